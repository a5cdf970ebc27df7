// Merging inside the tower against plain loops: ToMe (Bolya et al. 2023, arXiv 2210.09461) and MustDrop's
// windows (Liu et al. 2024, arXiv 2411.10803), alone and with the decoder behind them.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "tests/support/engine_models.h"
#include "tests/support/expect_error.h"
#include "winnow/base/error.h"
#include "winnow/prune/cascade.h"

namespace winnow::engine {
namespace {

using testing::RefBetween;
using testing::RefMatrix;
using testing::threads;
using testing::worst_error;

constexpr int32_t kPatches = 36;
constexpr int32_t kSide = 6;

double cosine(std::span<const double> a, std::span<const double> b) {
  double ab = 0, aa = 0, bb = 0;
  for (std::size_t c = 0; c < a.size(); ++c) {
    ab += a[c] * b[c];
    aa += a[c] * a[c];
    bb += b[c] * b[c];
  }
  return ab / std::sqrt(aa * bb);
}

/// One row in the tower: which patches it is the mean of ([CLS] is none), where it stands.
struct Row {
  std::vector<int32_t> patches;
  int32_t position = -1;
  std::vector<double> values;
  double size() const { return std::max<double>(1.0, static_cast<double>(patches.size())); }
};

/// The rows of the tower, followed by hand.
struct Rows {
  explicit Rows(bool has_cls) {
    if (has_cls) rows.push_back({{}, -1, {}});
    for (int32_t p = 0; p < kPatches; ++p) rows.push_back({{p}, p, {}});
  }
  void read(const RefMatrix& m) {
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const auto row = m.row(static_cast<int64_t>(i));
      rows[i].values.assign(row.begin(), row.end());
    }
  }
  RefMatrix matrix() const {
    RefMatrix m(static_cast<int64_t>(rows.size()), static_cast<int64_t>(rows[0].values.size()));
    for (std::size_t i = 0; i < rows.size(); ++i)
      std::copy(rows[i].values.begin(), rows[i].values.end(), m.row(static_cast<int64_t>(i)).begin());
    return m;
  }
  std::vector<Row> rows;
};

void merge_into(Row& target, const Row& from) {
  const double total = target.size() + from.size();
  for (std::size_t c = 0; c < target.values.size(); ++c)
    target.values[c] = (target.values[c] * target.size() + from.values[c] * from.size()) / total;
  target.patches.insert(target.patches.end(), from.patches.begin(), from.patches.end());
}

/// Mean over heads of each row of keys [t, n_head * d].
std::vector<std::vector<double>> head_means(const RefMatrix& keys, int64_t n_head) {
  const int64_t d = keys.cols / n_head;
  std::vector<std::vector<double>> out(static_cast<std::size_t>(keys.rows),
                                       std::vector<double>(static_cast<std::size_t>(d), 0.0));
  for (int64_t row = 0; row < keys.rows; ++row) {
    for (int64_t c = 0; c < keys.cols; ++c)
      out[static_cast<std::size_t>(row)][static_cast<std::size_t>(c % d)] += keys.at(row, c);
  }
  return out;
}

/// Section 3 of the paper, one block: rows at even places look for the most similar at an odd place, and the
/// r closest go.
void tome_block(Rows& rows, const std::vector<std::vector<double>>& metric, int32_t r, bool has_cls) {
  struct Pair {
    double similarity;
    std::size_t from, to;
  };
  std::vector<Pair> pairs;
  for (std::size_t a = has_cls ? 2 : 0; a < metric.size(); a += 2) {
    Pair best{-2.0, a, 1};
    for (std::size_t b = 1; b < metric.size(); b += 2) {
      if (const double s = cosine(metric[a], metric[b]); s > best.similarity) best = {s, a, b};
    }
    pairs.push_back(best);
  }
  std::stable_sort(pairs.begin(), pairs.end(),
                   [](const Pair& x, const Pair& y) { return x.similarity > y.similarity; });
  std::vector<Row> out;
  if (has_cls) out.push_back(rows.rows[0]);
  std::vector<std::size_t> stay;
  for (std::size_t i = static_cast<std::size_t>(r); i < pairs.size(); ++i) stay.push_back(pairs[i].from);
  if (has_cls) std::sort(stay.begin(), stay.end());
  for (const std::size_t i : stay) out.push_back(rows.rows[i]);
  for (std::size_t i = 0; i < static_cast<std::size_t>(r); ++i)
    merge_into(rows.rows[pairs[i].to], rows.rows[pairs[i].from]);
  for (std::size_t b = 1; b < rows.rows.size(); b += 2) out.push_back(rows.rows[b]);
  rows.rows = std::move(out);
}

/// Windows of 3 x 3 patches whose mean cosine over different pairs reaches the threshold.
void merge_windows(Rows& rows, double threshold) {
  struct Window {
    double score;
    std::vector<std::size_t> members;
  };
  std::vector<Window> merged;
  for (int32_t top = 0; top < kSide; top += 3) {
    for (int32_t left = 0; left < kSide; left += 3) {
      Window w{0.0, {}};
      for (int32_t i = 0; i < 9; ++i)
        w.members.push_back(static_cast<std::size_t>(1 + (top + i / 3) * kSide + left + i % 3));
      for (const std::size_t a : w.members) {
        for (const std::size_t b : w.members) {
          if (a != b) w.score += cosine(rows.rows[a].values, rows.rows[b].values) / 72.0;
        }
      }
      if (w.score >= threshold) merged.push_back(w);
    }
  }
  std::stable_sort(merged.begin(), merged.end(),
                   [](const Window& a, const Window& b) { return a.score > b.score; });
  std::vector<Row> out{rows.rows[0]};
  std::vector<bool> gone(rows.rows.size(), false);
  for (const Window& w : merged) {
    Row mean = rows.rows[w.members[0]];
    for (std::size_t i = 1; i < w.members.size(); ++i) merge_into(mean, rows.rows[w.members[i]]);
    mean.position = rows.rows[w.members.back()].position;
    for (const std::size_t member : w.members) gone[member] = true;
    out.push_back(mean);
  }
  for (std::size_t i = 1; i < rows.rows.size(); ++i) {
    if (!gone[i]) out.push_back(rows.rows[i]);
  }
  rows.rows = std::move(out);
}

/// Makes the reference merge as ToMe does, and follows it in `rows`.
void tome_by_hand(RefBetween& between, Rows& rows, const std::vector<int32_t>& r, int64_t n_head,
                  bool proportional) {
  const bool has_cls = rows.rows[0].patches.empty();
  between.behind_attention = [&, r, n_head, has_cls, proportional](int32_t block, RefMatrix& x,
                                                                   const RefMatrix& keys) {
    if (block >= static_cast<int32_t>(r.size()) || r[static_cast<std::size_t>(block)] == 0) return;
    rows.read(x);
    tome_block(rows, head_means(keys, n_head), r[static_cast<std::size_t>(block)], has_cls);
    x = rows.matrix();
    between.key_bias.clear();
    if (!proportional) return;
    for (const Row& row : rows.rows) between.key_bias.push_back(std::log(row.size()));
  };
}

struct Encoded {
  std::vector<float> pixels;
  EncodedImage image;
};

PruneOptions steps_of(const Model& model, const std::string& text, const std::string& keep) {
  PruneOptions options;
  options.steps = prune::parse_steps(text, keep, prune::BudgetMode::Exact, -1, model.llama().n_layer);
  return options;
}

Encoded encode(const std::shared_ptr<const Model>& model, const PruneOptions& options) {
  Encoded out;
  Session session(model, threads(1));
  session.set_observer([&](std::string_view name, std::span<const int64_t>, std::span<const float> values) {
    if (name == "pixel_values") out.pixels.assign(values.begin(), values.end());
  });
  out.image = session.encode(testing::picture(3, 84, 84), ImageFit::Crop, session.tower_request(options));
  return out;
}

void expect_rows(const EncodedImage& image, const Rows& expected, bool has_cls) {
  const auto n_cls = static_cast<std::size_t>(has_cls ? 1 : 0);
  ASSERT_TRUE(image.merge.has_value());
  const prune::Plan& plan = *image.merge;
  ASSERT_EQ(static_cast<std::size_t>(plan.n_out()), expected.rows.size() - n_cls);
  for (int32_t o = 0; o < plan.n_out(); ++o) {
    const Row& row = expected.rows[static_cast<std::size_t>(o) + n_cls];
    std::vector<int32_t> patches = row.patches;
    std::sort(patches.begin(), patches.end());
    EXPECT_EQ(std::vector<int32_t>(plan.sources(o).begin(), plan.sources(o).end()), patches);
    for (const float weight : plan.weights(o)) EXPECT_NEAR(weight, 1.0 / row.size(), 1e-6);
    EXPECT_EQ(plan.position_of[static_cast<std::size_t>(o)], row.position);
  }
}

struct TomeCase {
  std::string use, keep;
  std::vector<int32_t> r;  ///< of the three blocks that are run
  bool proportional;
};

class TomeInTheTower : public ::testing::TestWithParam<TomeCase> {};

TEST_P(TomeInTheTower, EqualsTheReference) {
  const TomeCase& c = GetParam();
  const auto model = testing::oracle_model();
  const Encoded got = encode(model, steps_of(*model, c.use, c.keep));
  Rows rows(true);
  RefBetween between;
  tome_by_hand(between, rows, c.r, model->clip().n_head, c.proportional);
  const auto features = testing::oracle_reference().encode(got.pixels, testing::kOracleTowerLayers, &between);
  EXPECT_LE(worst_error(got.image.features, features.selected.values), 2e-5);
  EXPECT_LE(worst_error(got.image.projected, features.projected.values), 2e-5);
  expect_rows(got.image, rows, true);
}

INSTANTIATE_TEST_SUITE_P(Uses, TomeInTheTower,
                         ::testing::Values(TomeCase{"tome:r=3", "", {3, 3, 3}, true},
                                           TomeCase{"tome:r=3,proportional=off", "", {3, 3, 3}, false},
                                           TomeCase{"tome:r=4,inflect=-1", "", {8, 4, 0}, true},
                                           TomeCase{"tome:r=100", "", {18, 9, 4}, true},
                                           TomeCase{"tome", "16", {7, 7, 6}, true},
                                           TomeCase{"tome", "25%", {9, 9, 9}, true},
                                           TomeCase{"tome", "6", {12, 12, 6}, true}));

TEST(TomeInTheTower, WithoutCls) {
  SynthShape shape = synth_shape("tiny");
  shape.name = "nocls-tome";
  shape.image_px = 84;
  shape.tower_cls = false;
  const SynthFiles files = testing::synth_files(shape);
  const auto model = testing::load_model(files);
  const Encoded got = encode(model, steps_of(*model, "tome:r=5", ""));
  Rows rows(false);
  const std::vector<int32_t> r(static_cast<std::size_t>(model->clip().n_layer), 5);
  RefBetween between;
  tome_by_hand(between, rows, r, model->clip().n_head, true);
  const testing::ReferenceLlava reference(files.text, files.mmproj);
  const auto features = reference.encode(got.pixels, model->clip().n_layer + 1, &between);
  EXPECT_LE(worst_error(got.image.features, features.selected.values), 2e-5);
  expect_rows(got.image, rows, false);
}

TEST(WindowsInTheTower, EqualTheReference) {
  const auto model = testing::oracle_model();
  for (const double threshold : {-1.0, 0.3, 0.5, 0.7, 1.0}) {
    SCOPED_TRACE(threshold);
    const std::string use = "window_merge:threshold=" + std::to_string(threshold);
    const Encoded got = encode(model, steps_of(*model, use, ""));
    Rows rows(true);
    RefBetween between;
    between.behind_block = [&](int32_t block, RefMatrix& x) {
      if (block != 0) return;
      rows.read(x);
      merge_windows(rows, threshold);
      x = rows.matrix();
    };
    const auto features =
        testing::oracle_reference().encode(got.pixels, testing::kOracleTowerLayers, &between);
    EXPECT_LE(worst_error(got.image.features, features.selected.values), 2e-5);
    expect_rows(got.image, rows, true);
  }
}

/// The decoder reads the merged tokens in their order, renumbered or at the ids of their cells.
TEST(MergedTokens, GoThroughTheDecoder) {
  const auto model = testing::oracle_model();
  const auto& reference = testing::oracle_reference();
  Session session(model, threads(1));
  const auto& ids = testing::oracle_results().at("input_ids").i32;
  for (const bool compact : {true, false}) {
    PruneOptions options = steps_of(*model, "tome", "12");
    if (!compact) options.position = prune::PositionPolicy::Original;
    const EncodedImage image =
        session.encode(testing::picture(3, 84, 84), ImageFit::Crop, session.tower_request(options));
    session.clear();
    const PrefillResult got = session.prefill(testing::oracle_prompt(), {&image}, options, 0);

    RefMatrix projected(12, model->llama().n_embd);
    std::copy(image.projected.begin(), image.projected.end(), projected.values.begin());
    std::vector<int32_t> shorter, positions;
    int32_t n_image = 0;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const bool visual = ids[i] == testing::kOracleImageToken;
      if (visual && n_image == 12) continue;
      shorter.push_back(ids[i]);
      const auto at = static_cast<int32_t>(
          visual ? testing::kOracleFirstVisual + image.merge->position_of[static_cast<std::size_t>(n_image)]
                 : static_cast<int32_t>(i));
      positions.push_back(compact ? static_cast<int32_t>(positions.size()) : at);
      n_image += visual ? 1 : 0;
    }
    const auto expected =
        reference.forward(reference.embed(shorter, testing::kOracleImageToken, projected), positions);
    const auto last = expected.logits.row(expected.logits.rows - 1);
    EXPECT_LE(worst_error(got.logits, last), 2e-5) << (compact ? "compact" : "original");
    EXPECT_EQ(got.n_visual_before, kPatches);
    EXPECT_EQ(got.n_visual_after, 12);
    ASSERT_EQ(got.steps.size(), 1U);
    EXPECT_EQ(got.steps[0].layer, prune::kInTower);
    EXPECT_EQ(got.steps[0].n_before, kPatches);
    EXPECT_EQ(session.cache().layer(0).next_id,
              compact ? static_cast<int32_t>(shorter.size()) : static_cast<int32_t>(ids.size()));
  }
}

TEST(MergedTokens, LaterStepsSeeWhatIsLeft) {
  const auto model = testing::complete_oracle_model();
  Session session(model, threads(1));
  const auto left_by = [&](const std::string& text, const std::string& keep) {
    const PruneOptions options = steps_of(*model, text, keep);
    const EncodedImage image =
        session.encode(testing::picture(3, 84, 84), ImageFit::Crop, session.tower_request(options));
    session.clear();
    return session.prefill(testing::oracle_prompt(), {&image}, options, 0);
  };
  const PrefillResult cascade = left_by("then(tome, divprune, fastv@2)", "50%,50%,3");
  ASSERT_EQ(cascade.steps.size(), 3U);
  EXPECT_EQ(cascade.steps[1].n_before, 18);
  EXPECT_EQ(cascade.steps[2].n_before, 9);
  EXPECT_EQ(cascade.n_visual_after, 3);
  // All of MustDrop: the key tokens come from the block behind the features, which sees merged tokens.
  const PrefillResult all = left_by("then(window_merge:threshold=-1, mustdrop)", "");
  ASSERT_GE(all.schedule.size(), 2U);
  EXPECT_EQ(all.schedule[0].layer, prune::kInTower);
  EXPECT_LT(all.steps[0].plan.n_out(), kPatches);
  EXPECT_EQ(all.steps[1].n_before, all.steps[0].plan.n_out());
}

/// MustDrop's last stage: the layers between the steps forget what later steps dropped.
TEST(TrimmedCaches, HoldWhatSurvivedTheLastStep) {
  const auto model = testing::complete_oracle_model();
  const PruneOptions options = steps_of(*model, "mustdrop", "12");
  Session session(model, threads(1));
  const testing::Turn turn =
      testing::run_turn(session, testing::oracle_prompt(), {testing::picture(3, 84, 84)}, options, 0);
  ASSERT_EQ(turn.prefill.schedule.size(), 2U);
  const int32_t n_left = 16 + turn.prefill.n_visual_after;
  EXPECT_LT(turn.prefill.n_visual_after, turn.prefill.steps[0].plan.n_out());
  for (int32_t il = 0; il < 5; ++il) {
    EXPECT_EQ(session.cache().layer(il).n, n_left) << il;
    EXPECT_EQ(session.cache().layer(il).next_id, n_left) << il;
  }
  EXPECT_EQ(turn.prefill.kv_bytes, session.cache().bytes_used());
  for (const float logit : session.decode(testing::text_ids(1, 1)[0])) ASSERT_TRUE(std::isfinite(logit));

  // A second turn goes on behind the shorter caches and leaves them alone.
  const PrefillResult second = session.prefill({{testing::text_ids(2, 4), -1}}, {}, options, 0);
  EXPECT_TRUE(second.steps.empty());
  for (int32_t il = 0; il < 5; ++il) EXPECT_EQ(session.cache().layer(il).n, n_left + 5) << il;
}

TEST(TrimmedCaches, KeepRowsAsTheyAre) {
  KvCache cache(1, 4, GGML_TYPE_F32, ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU));
  cache.reserve(0, 6);
  KvLayer& layer = cache.layer(0);
  std::vector<float> rows(20);
  std::iota(rows.begin(), rows.end(), 0.0F);
  ggml_backend_tensor_set(layer.k, rows.data(), 0, sizeof(float) * rows.size());
  for (float& value : rows) value = -value;
  ggml_backend_tensor_set(layer.v, rows.data(), 0, sizeof(float) * rows.size());
  layer.n = 5;
  layer.next_id = 9;
  cache.keep_rows(0, std::vector<int32_t>{0, 2, 3});
  EXPECT_EQ(layer.n, 3);
  EXPECT_EQ(layer.next_id, 7);
  std::vector<float> k(12), v(12);
  ggml_backend_tensor_get(layer.k, k.data(), 0, sizeof(float) * k.size());
  ggml_backend_tensor_get(layer.v, v.data(), 0, sizeof(float) * v.size());
  EXPECT_EQ(k, (std::vector<float>{0, 1, 2, 3, 8, 9, 10, 11, 12, 13, 14, 15}));
  for (std::size_t i = 0; i < k.size(); ++i) EXPECT_EQ(v[i], -k[i]);
  cache.keep_rows(0, std::vector<int32_t>{1}, false);
  EXPECT_EQ(layer.n, 1);
  EXPECT_EQ(layer.next_id, 7) << "ids that tokens share are not freed";
}

TEST(MergedTokens, ImagesShareTheBudget) {
  const auto model = testing::oracle_model();
  Session session(model, threads(1));
  const PruneOptions options = steps_of(*model, "tome", "25");
  EXPECT_EQ(session.tower_request(options, 2, 0).merge->n_keep, 13);
  EXPECT_EQ(session.tower_request(options, 2, 1).merge->n_keep, 12);
}

TEST(MergedTokens, WhatCannotBeIsSaid) {
  const auto model = testing::oracle_model();
  Session session(model, threads(1));
  const Image picture = testing::picture(3, 84, 84);
  const auto request = [&](const std::string& text, const std::string& keep) {
    return session.tower_request(steps_of(*model, text, keep));
  };
  test::expect_refused("cls_attention is wanted of tower block 2, but tome merges rows up to block 2", [&] {
    session.encode(picture, ImageFit::Crop, request("then(tome, fastervlm)", "18,9"));
  });
  test::expect_refused("expected at least 5",
                       [&] { session.encode(picture, ImageFit::Crop, request("tome", "3")); });
  test::expect_refused("expected no budget",
                       [&] { session.encode(picture, ImageFit::Crop, request("window_merge", "9")); });
  test::expect_refused("block, got 9",
                       [&] { session.encode(picture, ImageFit::Crop, request("window_merge:block=9", "")); });
  test::expect_refused("expected ascending layers", [&] { request("then(window_merge, tome)", ",9"); });
  PruneOptions two = steps_of(*model, "tome", "9");
  two.steps.push_back(two.steps[0]);
  test::expect_refused("expected one at most", [&] { session.tower_request(two); });
  const EncodedImage plain = session.encode(picture, ImageFit::Crop, {});
  test::expect_refused("encoded with nothing in the tower", [&] {
    session.prefill(testing::oracle_prompt(), {&plain}, steps_of(*model, "tome", "9"), 0);
  });
  SynthShape shape = synth_shape("tiny");
  shape.name = "merged-tome";
  shape.image_px = 84;
  shape.merge = 2;
  const auto merged = testing::load_model(testing::synth_files(shape));
  Session of_merged(merged, threads(1));
  test::expect_refused("projector", [&] {
    of_merged.encode(picture, ImageFit::Crop, of_merged.tower_request(steps_of(*merged, "tome", "9")));
  });
}

}  // namespace
}  // namespace winnow::engine
