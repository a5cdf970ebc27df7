// A smaller picture instead of pruning, against the tower in plain loops, alone and with steps behind it.

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <numeric>
#include <string>
#include <vector>

#include "tests/support/engine_models.h"
#include "tests/support/expect_error.h"
#include "winnow/base/error.h"
#include "winnow/engine/flops.h"
#include "winnow/prune/cascade.h"

namespace winnow::engine {
namespace {

using testing::threads;
using testing::worst_error;

constexpr int32_t kSide = 6;  // of the oracle's grid
constexpr int32_t kPatchPx = 14;

Image a_picture() { return testing::picture(3, 100, 80); }

PruneOptions steps_of(const Model& model, const std::string& text, const std::string& keep) {
  PruneOptions options;
  options.steps = prune::parse_steps(text, keep, prune::BudgetMode::Exact, -1, model.llama().n_layer);
  return options;
}

struct Encoded {
  std::vector<float> pixels;
  EncodedImage image;
};

Encoded encode(const std::shared_ptr<const Model>& model, const PruneOptions& options) {
  Encoded out;
  Session session(model, threads(1));
  session.set_observer([&](std::string_view name, std::span<const int64_t>, std::span<const float> values) {
    if (name == "pixel_values") out.pixels.assign(values.begin(), values.end());
  });
  out.image = session.encode(a_picture(), ImageFit::Pad, session.tower_request(options));
  return out;
}

PrefillResult run(Session& session, const PruneOptions& options) {
  session.clear();
  const EncodedImage image = session.encode(a_picture(), ImageFit::Pad, session.tower_request(options));
  return session.prefill(testing::oracle_prompt(), {&image}, options, 0);
}

struct ResizeCase {
  std::string use, keep;
  int32_t side;
};

class SmallerPicture : public ::testing::TestWithParam<ResizeCase> {};

TEST_P(SmallerPicture, EqualsTheReference) {
  const auto& [use, keep, side] = GetParam();
  const auto model = testing::oracle_model();
  const Encoded got = encode(model, steps_of(*model, use, keep));
  EXPECT_EQ(got.image.layout.grid.rows, side);
  EXPECT_EQ(got.image.layout.grid.cols, side);
  const std::size_t size_px = static_cast<std::size_t>(side) * kPatchPx;
  ASSERT_EQ(got.pixels.size(), 3 * size_px * size_px);
  const Pixels direct = preprocess(a_picture(), {side * kPatchPx, model->clip().mean, model->clip().std});
  EXPECT_EQ(got.pixels, direct.values) << "from the whole picture, not from the scaled one";
  const auto expected = testing::oracle_reference().encode(got.pixels, testing::kOracleTowerLayers);
  EXPECT_LE(worst_error(got.image.features, expected.selected.values), 2e-5);
  EXPECT_LE(worst_error(got.image.projected, expected.projected.values), 2e-5);
}

INSTANTIATE_TEST_SUITE_P(Budgets, SmallerPicture,
                         ::testing::Values(ResizeCase{"resize", "25%", 3}, ResizeCase{"resize", "24", 4},
                                           ResizeCase{"resize", "25", 5}, ResizeCase{"resize", "1", 1},
                                           ResizeCase{"resize", "100%", 6},
                                           ResizeCase{"resize:side=2", "", 2}));

TEST(SmallerPicture, WithoutCls) {
  SynthShape shape = synth_shape("tiny");
  shape.name = "nocls-resize";
  shape.image_px = 84;
  shape.tower_cls = false;
  const SynthFiles files = testing::synth_files(shape);
  const auto model = testing::load_model(files);
  const Encoded got = encode(model, steps_of(*model, "resize", "16"));
  const auto expected =
      testing::ReferenceLlava(files.text, files.mmproj).encode(got.pixels, model->clip().n_layer + 1);
  EXPECT_LE(worst_error(got.image.projected, expected.projected.values), 2e-5);
}

/// Budgets and sides count groups of patches, so the patches always divide into groups.
TEST(SmallerPicture, OfAProjectorThatMergesPatches) {
  for (const bool pool : {false, true}) {
    SynthShape shape = synth_shape("tiny");
    shape.name = pool ? "pooled-resize" : "merged-resize";
    shape.image_px = 84;
    (pool ? shape.pool : shape.merge) = 2;
    const SynthFiles files = testing::synth_files(shape);
    const auto model = testing::load_model(files);
    const testing::ReferenceLlava reference(files.text, files.mmproj);
    for (const auto& [use, keep] : {std::pair{"resize", "8"}, std::pair{"resize:side=2", ""}}) {
      const Encoded got = encode(model, steps_of(*model, use, keep));
      EXPECT_EQ(got.image.layout.grid.size(), 4);
      EXPECT_EQ(got.pixels.size(), 3U * 56 * 56);
      const auto expected = reference.encode(got.pixels, model->clip().n_layer + 1);
      EXPECT_LE(worst_error(got.image.projected, expected.projected.values), 2e-5);
    }
  }
}

/// The decoder reads a picture of fewer tokens: the prompt is as long as if the model had been given it so.
TEST(SmallerPicture, GoesThroughTheDecoder) {
  const auto model = testing::oracle_model();
  const auto& reference = testing::oracle_reference();
  const PruneOptions options = steps_of(*model, "resize", "30%");
  const Encoded encoded = encode(model, options);
  Session session(model, threads(1));
  const PrefillResult got = session.prefill(testing::oracle_prompt(), {&encoded.image}, options, 0);
  std::vector<int32_t> shorter, positions;
  int32_t n_image = 0;
  for (const int32_t id : testing::oracle_results().at("input_ids").i32) {
    if (id == testing::kOracleImageToken && ++n_image > 9) continue;
    shorter.push_back(id);
    positions.push_back(static_cast<int32_t>(positions.size()));
  }
  const auto features = reference.encode(encoded.pixels, testing::kOracleTowerLayers);
  const auto expected =
      reference.forward(reference.embed(shorter, testing::kOracleImageToken, features.projected), positions);
  EXPECT_LE(worst_error(got.logits, expected.logits.row(expected.logits.rows - 1)), 2e-5);
  EXPECT_EQ(session.n_ids(), static_cast<int32_t>(shorter.size()));
  EXPECT_EQ(got.n_visual_before, 9);
  EXPECT_EQ(got.n_visual_after, 9);
  EXPECT_EQ(got.kv_bytes * 52, got.kv_bytes_unpruned * 25) << "16 of text and 9 instead of 36";
  ASSERT_EQ(got.steps.size(), 1U);
  EXPECT_EQ(got.steps[0].layer, prune::kBeforeTower);
  EXPECT_EQ(got.steps[0].n_before, kSide * kSide);
  EXPECT_EQ(got.steps[0].plan.n_out(), 9);
  EXPECT_EQ(got.steps[0].kept.size(), 9U);
}

TEST(SmallerPicture, AllTokensAreTheSamePicture) {
  for (const bool f32 : {true, false}) {
    Session session(testing::oracle_model(f32), threads(1));
    const Model& model = session.model();
    const PrefillResult plain = run(session, {});
    for (const auto& [use, keep] : {std::pair{"resize", "100%"}, std::pair{"resize:side=6", ""}}) {
      const PruneOptions options = steps_of(model, use, keep);
      EXPECT_FALSE(session.tower_request(options).grid.has_value());
      const PrefillResult all = run(session, options);
      EXPECT_EQ(all.logits, plain.logits) << "bit for bit";
      EXPECT_EQ(all.kv_bytes, plain.kv_bytes);
    }
  }
}

TEST(SmallerPicture, LaterStepsSeeItsGrid) {
  const auto model = testing::complete_oracle_model();
  Session session(model, threads(1));
  const auto counts = [&](const std::string& text, const std::string& keep) {
    const PrefillResult got = run(session, steps_of(*model, text, keep));
    std::vector<int32_t> out;
    for (const StepResult& step : got.steps) {
      out.push_back(step.plan.n_out());
      for (const int32_t cell : step.kept) EXPECT_LT(cell, got.steps[0].plan.n_out());
    }
    EXPECT_EQ(got.n_visual_after, out.back());
    for (const float logit : got.logits) EXPECT_TRUE(std::isfinite(logit));
    return out;
  };
  using Ints = std::vector<int32_t>;
  EXPECT_EQ(counts("then(resize, fastv@2)", "16,50%"), (Ints{16, 8}));
  EXPECT_EQ(counts("then(resize, fastervlm, fastv@2)", "25,40%,3"), (Ints{25, 10, 3}));
  EXPECT_EQ(counts("then(resize, window(fastervlm, 2x2))", "16,4"), (Ints{16, 4}));
  EXPECT_EQ(counts("then(resize:side=4, tome, grid)", ",8,4"), (Ints{16, 8, 4}));
  EXPECT_EQ(counts("then(resize:side=4, pooling:window=2x2)", ""), (Ints{16, 4}));
  EXPECT_EQ(counts("then(resize, visionzip)", "25,9"), (Ints{25, 9}));
  EXPECT_EQ(counts("then(resize, pyramiddrop)", "16,50%").front(), 16);
}

/// FastV behind a smaller picture is FastV on the prompt that the smaller picture makes.
TEST(SmallerPicture, FastVChoosesAmongItsTokens) {
  const auto model = testing::oracle_model();
  const auto& reference = testing::oracle_reference();
  const PruneOptions options = steps_of(*model, "then(resize, fastv@2)", "16,6");
  const Encoded encoded = encode(model, options);
  Session session(model, threads(1));
  const PrefillResult got = session.prefill(testing::oracle_prompt(), {&encoded.image}, options, 0);
  std::vector<int32_t> shorter;
  int32_t n_image = 0;
  for (const int32_t id : testing::oracle_results().at("input_ids").i32) {
    if (id != testing::kOracleImageToken || ++n_image <= 16) shorter.push_back(id);
  }
  std::vector<int32_t> positions(shorter.size());
  std::iota(positions.begin(), positions.end(), 0);
  testing::RefPrune drop{.layer = 2, .n_keep = 6, .visual_rows = std::vector<int32_t>(16)};
  std::iota(drop.visual_rows.begin(), drop.visual_rows.end(), testing::kOracleFirstVisual);
  const auto features = reference.encode(encoded.pixels, testing::kOracleTowerLayers);
  const auto expected = reference.forward(
      reference.embed(shorter, testing::kOracleImageToken, features.projected), positions, drop);
  EXPECT_EQ(got.steps[1].kept, expected.kept);
  EXPECT_LE(worst_error(got.logits, expected.logits.row(expected.logits.rows - 1)), 2e-5);
}

TEST(SmallerPicture, PicturesShareTheBudgetEvenly) {
  Session session(testing::oracle_model(), threads(1));
  const PruneOptions options = steps_of(session.model(), "resize", "50");  // 17, 17, 16
  for (int32_t image = 0; image < 3; ++image) {
    EXPECT_EQ(session.tower_request(options, 3, image).grid->rows, 4);
  }
  EXPECT_EQ(session.tower_request(steps_of(session.model(), "resize", "2"), 3, 0).grid->rows, 1);
}

TEST(SmallerPicture, CountedWork) {
  const auto model = testing::oracle_model();
  const ClipConfig& clip = model->clip();
  const auto flops = [&](const char* use, const char* keep) {
    return tower_flops(clip, encode(model, steps_of(*model, use, keep)).image.tower_rows);
  };
  const auto of = [&](double n_patch, const std::vector<std::pair<double, double>>& rows) {
    const double d = clip.n_embd;
    double sum = 2.0 * n_patch * 3.0 * kPatchPx * kPatchPx * d;
    for (const auto& [attention, mlp] : rows) {
      sum += 8.0 * attention * d * d + 4.0 * attention * attention * d + 4.0 * mlp * d * clip.n_ff;
    }
    return sum;
  };
  EXPECT_DOUBLE_EQ(flops("none", ""), of(36, {{37, 37}, {37, 37}, {37, 37}}));
  EXPECT_DOUBLE_EQ(flops("resize", "9"), of(9, {{10, 10}, {10, 10}, {10, 10}}));
  EXPECT_DOUBLE_EQ(flops("tome:r=3", ""), of(36, {{37, 34}, {34, 31}, {31, 28}}));
}

TEST(SmallerPicture, WhatCannotBeIsSaid) {
  const auto model = testing::oracle_model();
  Session session(model, threads(1));
  const auto prefill = [&](const EncodedImage& image, const PruneOptions& options) {
    return session.prefill(testing::oracle_prompt(), {&image}, options, 0);
  };
  const EncodedImage plain = session.encode(a_picture(), ImageFit::Pad, {});
  const PruneOptions quarter = steps_of(*model, "resize", "25%");
  test::expect_refused("encoded as 6 x 6 visual tokens, expected 3 x 3", [&] { prefill(plain, quarter); });
  const EncodedImage small = session.encode(a_picture(), ImageFit::Pad, session.tower_request(quarter));
  test::expect_refused("encoded as 3 x 3 visual tokens, expected 6 x 6", [&] { prefill(small, {}); });
  test::expect_refused("encoded as 3 x 3 visual tokens, expected 4 x 4",
                       [&] { prefill(small, steps_of(*model, "resize", "50%")); });
  test::expect_refused("side, got 7, expected 1 to 6",
                       [&] { session.tower_request(steps_of(*model, "resize:side=7", "")); });
  test::expect_refused("expected 9 (or no count at all)",
                       [&] { session.tower_request(steps_of(*model, "resize:side=3", "10")); });
  PruneOptions behind = steps_of(*model, "fastervlm", "9");
  behind.steps.push_back(quarter.steps[0]);
  test::expect_refused("resize acts on the picture, got another step in front",
                       [&] { session.tower_request(behind); });
  for (const prune::Grid grid : {prune::Grid{3, 2}, prune::Grid{0, 0}, prune::Grid{7, 7}}) {
    TowerRequest request;
    request.grid = grid;
    test::expect_refused("expected a square of at most 6 x 6",
                         [&] { session.encode(a_picture(), ImageFit::Pad, request); });
  }
}

}  // namespace
}  // namespace winnow::engine
