// Prefill in chunks and segments, and decoding on the ragged cache, against one pass over everything.

#include <gtest/gtest.h>

#include <numeric>
#include <string>
#include <vector>

#include "tests/support/engine_models.h"

namespace winnow::engine {
namespace {

using testing::kOracleFirstVisual;
using testing::kOracleVisual;
using testing::oracle_model;
using testing::oracle_prompt;
using testing::oracle_reference;
using testing::prune_with;
using testing::RefMatrix;
using testing::RefPrune;
using testing::run_turn;
using testing::threads;
using testing::Turn;
using testing::worst_error;

constexpr int32_t kTokens = 52;

TEST(Segments, BatchesGiveTheLogitsOfOneShot) {
  for (const auto& model : {oracle_model(), testing::tiny_model()}) {
    const int32_t n_patch = model->clip().n_patch();
    const Image image = testing::picture(3, model->clip().image_size_px, model->clip().image_size_px);
    const Prompt prompt = {{testing::text_ids(1, 5), -1}, {{}, 0}, {testing::text_ids(2, 9), -1}};
    Session one_shot(model, threads(1));
    const EncodedImage encoded = one_shot.encode(image, ImageFit::Crop, {});
    const PrefillResult expected = one_shot.prefill(prompt, {&encoded}, {}, 0, true);
    for (const int32_t batch : {1, 7, 14 + n_patch - 1, 14 + n_patch, 512}) {
      SessionOptions options = threads(1);
      options.n_batch = batch;
      Session session(model, options);
      const PrefillResult actual = session.prefill(prompt, {&encoded}, {}, 0, true);
      EXPECT_LE(worst_error(actual.logits, expected.logits), 1e-5) << "batch " << batch;
      EXPECT_EQ(session.cache().bytes_used(), one_shot.cache().bytes_used());
    }
  }
}

/// What the reference needs to recompute a pruned turn: the whole unpruned sequence and the kept rows.
struct Recompute {
  RefMatrix embeds;
  std::vector<int32_t> positions;
  RefPrune prune;
};

RefMatrix embedded(const Turn& run, const std::vector<Image>& pictures) {
  std::vector<float> pixels;
  Session session(oracle_model(), threads(1));
  session.set_observer([&](std::string_view name, std::span<const int64_t>, std::span<const float> values) {
    if (name == "pixel_values") pixels.assign(values.begin(), values.end());
  });
  session.encode(pictures[0], ImageFit::Crop, {});
  std::vector<int32_t> ids = testing::oracle_results().at("input_ids").i32;
  ids.insert(ids.end(), run.tokens.begin(), run.tokens.end());
  const auto features = oracle_reference().encode(pixels, testing::kOracleTowerLayers);
  return oracle_reference().embed(ids, testing::kOracleImageToken, features.projected);
}

/// Positions of all rows under a policy, written out here from its definition.
std::vector<int32_t> positions_of(prune::PositionPolicy policy, const std::vector<int32_t>& kept) {
  std::vector<int32_t> ids(kTokens);
  std::iota(ids.begin(), ids.end(), 0);
  const auto count = static_cast<int32_t>(kept.size());
  for (int32_t out = 0; out < count; ++out) {
    const auto row = static_cast<std::size_t>(kOracleFirstVisual + kept[static_cast<std::size_t>(out)]);
    if (policy == prune::PositionPolicy::Compact) ids[row] = kOracleFirstVisual + out;
    if (policy == prune::PositionPolicy::Regrid) {
      ids[row] = kOracleFirstVisual + (2 * out + 1) * kOracleVisual / (2 * count);
    }
  }
  for (int32_t row = kOracleFirstVisual + kOracleVisual; row < kTokens; ++row) {
    if (policy == prune::PositionPolicy::Compact) ids[static_cast<std::size_t>(row)] -= kOracleVisual - count;
  }
  return ids;
}

/// Every decode step of the engine's ragged cache against recomputing the whole sequence.
void expect_recomputed(const std::string& method, int32_t layer, prune::PositionPolicy policy,
                       bool kept_known) {
  const std::string what =
      method + " layer " + std::to_string(layer) + " " + std::string(prune::position_policy_name(policy));
  const std::vector<Image> pictures = {testing::picture(3, 84, 84)};
  PruneOptions options = prune_with(method, "9", layer, *oracle_model());
  options.position = policy;
  Session session(oracle_model(), threads(1));
  const Turn run = run_turn(session, oracle_prompt(), pictures, options, 8);
  const std::vector<int32_t>& kept = run.prefill.steps.at(0).kept;
  ASSERT_EQ(kept.size(), 9U) << what;

  RefPrune drop;
  drop.layer = std::max(layer, 0);
  drop.n_keep = 9;
  drop.query_row = kTokens - 1;
  for (int32_t j = 0; j < kOracleVisual; ++j) drop.visual_rows.push_back(kOracleFirstVisual + j);
  drop.positions_after = positions_of(policy, kept);
  if (kept_known) drop.kept = kept;
  const RefMatrix all = embedded(run, pictures);
  for (std::size_t step = 0; step <= run.step_logits.size(); ++step) {
    const auto n = kTokens + static_cast<int64_t>(step);
    RefMatrix embeds(n, all.cols);
    std::copy_n(all.values.begin(), n * all.cols, embeds.values.begin());
    std::vector<int32_t> positions(static_cast<std::size_t>(n));
    std::iota(positions.begin(), positions.end(), 0);
    const auto expected = oracle_reference().forward(embeds, positions, drop);
    EXPECT_EQ(expected.kept, kept) << what;
    const auto& actual = step == 0 ? run.prefill.logits : run.step_logits[step - 1];
    EXPECT_LE(worst_error(actual, expected.logits.row(expected.logits.rows - 1)), 1e-4)
        << what << ", step " << step;
  }
}

TEST(RaggedDecode, EqualsRecomputingTheWholeSequence) {
  for (const int32_t layer : {1, 2, 3}) {
    expect_recomputed("fastv", layer, prune::PositionPolicy::Original, false);
  }
}

TEST(RaggedDecode, EqualsRecomputingUnderEveryPositionPolicy) {
  expect_recomputed("fastv", 2, prune::PositionPolicy::Compact, true);
  expect_recomputed("fastv", 2, prune::PositionPolicy::Regrid, true);
  for (const auto policy :
       {prune::PositionPolicy::Original, prune::PositionPolicy::Compact, prune::PositionPolicy::Regrid}) {
    expect_recomputed("fastervlm", -1, policy, true);
  }
  expect_recomputed("random", 4, prune::PositionPolicy::Compact, true);
}

TEST(KvMemory, FollowsTheTokensKept) {
  const std::vector<Image> pictures = {testing::picture(3, 84, 84)};
  const auto run = [&](const char* method, const char* keep, int32_t layer, const SessionOptions& options) {
    Session session(oracle_model(false), options);
    return run_turn(session, oracle_prompt(), pictures, prune_with(method, keep, layer, *oracle_model()));
  };
  const Turn none = run("none", "", -1, threads(1));
  EXPECT_EQ(none.prefill.kv_bytes, int64_t{5} * kTokens * 2 * 96 * 2) << "two bytes a value in f16";
  for (const int32_t keep : {1, 9, 18, 35}) {
    const Turn pruned = run("fastv", std::to_string(keep).c_str(), 2, threads(1));
    EXPECT_EQ(pruned.prefill.kv_bytes_unpruned, none.prefill.kv_bytes);
    EXPECT_EQ(pruned.prefill.kv_bytes,
              int64_t{2 * kTokens + 3 * (kTokens - kOracleVisual + keep)} * 2 * 96 * 2);
    EXPECT_GE(pruned.kv_allocated, pruned.prefill.kv_bytes);
    EXPECT_LT(pruned.kv_allocated, none.kv_allocated);
  }
  const Turn tower = run("random", "9", -1, threads(1));
  EXPECT_LT(tower.kv_allocated, none.kv_allocated * 6 / 10) << "25 of 52 tokens in every layer";
  SessionOptions wide = threads(1);
  wide.kv_type = "f32";
  EXPECT_EQ(run("none", "", -1, wide).prefill.kv_bytes, 2 * none.prefill.kv_bytes);
}

TEST(KvMemory, GrowingDuringDecodingKeepsTheResults) {
  Session small(oracle_model(), threads(1));
  Session large(oracle_model(), threads(1));
  const PruneOptions options = prune_with("fastv", "9", 2, *oracle_model());
  const Image image = testing::picture(3, 84, 84);
  const EncodedImage encoded = small.encode(image, ImageFit::Crop, {});
  constexpr int32_t kSteps = 300;  // beyond one growth of the cache
  small.prefill(oracle_prompt(), {&encoded}, options, 0);
  large.prefill(oracle_prompt(), {&encoded}, options, kSteps + 10);
  const std::vector<int32_t> ids = testing::text_ids(9, kSteps);
  const int64_t allocated = large.cache().bytes_allocated();
  for (const int32_t id : ids) ASSERT_EQ(small.decode(id), large.decode(id));
  EXPECT_EQ(large.cache().bytes_allocated(), allocated) << "room was reserved";
  EXPECT_EQ(small.n_ids(), kTokens + kSteps);
}

TEST(KvMemory, ClearForgetsEverything) {
  const std::vector<Image> pictures = {testing::picture(3, 84, 84)};
  Session session(oracle_model(), threads(1));
  const Turn first = run_turn(session, oracle_prompt(), pictures, {}, 2);
  session.clear();
  EXPECT_EQ(session.cache().bytes_allocated(), 0);
  EXPECT_EQ(session.n_ids(), 0);
  const Turn again = run_turn(session, oracle_prompt(), pictures, {}, 2);
  EXPECT_EQ(again.prefill.logits, first.prefill.logits);
  EXPECT_EQ(again.step_logits, first.step_logits);
}

}  // namespace
}  // namespace winnow::engine
