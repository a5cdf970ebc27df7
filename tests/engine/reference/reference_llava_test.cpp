#include "tests/support/reference_llava.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "winnow/record/safetensors.h"

namespace winnow::testing {
namespace {

const std::string kData = WINNOW_TEST_DATA "/llava15/";
constexpr int32_t kImageToken = 500;
constexpr int32_t kTowerLayers = 4;
constexpr int32_t kFirstVisual = 7;
constexpr int32_t kVisual = 36;

const record::TensorFile& results() {
  static const record::TensorFile file = record::read_safetensors(kData + "exact.safetensors");
  return file;
}

const ReferenceLlava& model() {
  static const ReferenceLlava the_model(kData + "text.gguf", kData + "mmproj-legacy.gguf");
  return the_model;
}

/// max |a - b| / max(1, max |b|); infinite when the sizes differ or a value is no number.
double worst_error(const RefMatrix& actual, const std::vector<float>& expected) {
  if (actual.values.size() != expected.size()) return INFINITY;
  double scale = 1.0;
  double worst = 0.0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double difference = std::abs(actual.values[i] - static_cast<double>(expected[i]));
    if (!std::isfinite(difference)) return INFINITY;
    scale = std::max(scale, std::abs(static_cast<double>(expected[i])));
    worst = std::max(worst, difference);
  }
  return worst / scale;
}

double worst_error(const RefMatrix& actual, const std::string& name) {
  return worst_error(actual, results().at(name).f32);
}

std::vector<int32_t> range(int32_t first, int32_t n) {
  std::vector<int32_t> values(static_cast<std::size_t>(n));
  std::iota(values.begin(), values.end(), first);
  return values;
}

RefMatrix prompt() {
  const RefFeatures features = model().encode(results().at("pixel_values").f32, kTowerLayers);
  return model().embed(results().at("input_ids").i32, kImageToken, features.projected);
}

// float32 against float64: noise measured by the reference's own author is 1.3e-5 absolute on logits of
// magnitude 8.
constexpr double kTolerance = 2e-5;

TEST(ReferenceLlava, TowerAndProjectorEqualHuggingFace) {
  const RefFeatures features = model().encode(results().at("pixel_values").f32, kTowerLayers);
  ASSERT_EQ(features.blocks.size(), 3U);
  EXPECT_LE(worst_error(features.input, "vis.in"), kTolerance);
  for (std::size_t block = 0; block < features.blocks.size(); ++block) {
    EXPECT_LE(worst_error(features.blocks[block], "vis." + std::to_string(block) + ".out"), kTolerance);
  }
  EXPECT_LE(worst_error(features.selected, "selected"), kTolerance);
  EXPECT_LE(worst_error(features.projected, "proj"), kTolerance);
}

TEST(ReferenceLlava, CompleteTowerGivesTheSameFeatures) {
  const ReferenceLlava complete(kData + "text.gguf", kData + "mmproj-all.gguf");
  const RefFeatures features = complete.encode(results().at("pixel_values").f32, kTowerLayers);
  ASSERT_EQ(features.blocks.size(), 4U);
  EXPECT_LE(worst_error(features.blocks[3], "vis.3.out"), kTolerance);
  EXPECT_LE(worst_error(features.projected, "proj"), kTolerance);
}

TEST(ReferenceLlava, DecoderEqualsHuggingFace) {
  const RefMatrix embeds = prompt();
  EXPECT_LE(worst_error(embeds, "llm.embeds"), kTolerance);
  const RefForward out = model().forward(embeds, range(0, static_cast<int32_t>(embeds.rows)));
  ASSERT_EQ(out.layers.size(), 5U);
  for (std::size_t layer = 0; layer < out.layers.size(); ++layer) {
    EXPECT_LE(worst_error(out.layers[layer], "llm." + std::to_string(layer) + ".out"), kTolerance) << layer;
  }
  EXPECT_LE(worst_error(out.norm, "llm.norm"), kTolerance);
  EXPECT_LE(worst_error(out.logits, "logits"), kTolerance);
  EXPECT_EQ(out.rows, range(0, static_cast<int32_t>(embeds.rows)));
}

TEST(ReferenceLlava, GreedyEqualsHuggingFace) {
  const RefMatrix embeds = prompt();
  EXPECT_EQ(model().greedy(embeds, range(0, static_cast<int32_t>(embeds.rows)), 8),
            results().at("greedy").i32);
}

TEST(ReferenceLlava, SecondImageGivesItsLogitsAndAnswer) {
  const record::TensorFile second = record::read_safetensors(kData + "resize.safetensors");
  const RefFeatures features = model().encode(second.at("pixel_values").f32, kTowerLayers);
  const RefMatrix embeds = model().embed(second.at("input_ids").i32, kImageToken, features.projected);
  const std::vector<int32_t> positions = range(0, static_cast<int32_t>(embeds.rows));
  const RefMatrix logits = model().forward(embeds, positions).logits;
  EXPECT_LE(worst_error(logits, second.at("logits").f32), kTolerance);
  EXPECT_EQ(model().greedy(embeds, positions, 8), second.at("greedy").i32);
}

TEST(ReferenceLlava, AttentionRowsAreCausalAndSumToOne) {
  const RefMatrix embeds = prompt();
  const RefForward out = model().forward(embeds, range(0, static_cast<int32_t>(embeds.rows)));
  double flattest = 1.0;
  for (const auto& layer : out.attention) {
    ASSERT_EQ(layer.size(), 6U);
    for (const RefMatrix& probs : layer) {
      for (int64_t i = 0; i < probs.rows; ++i) {
        const auto row = probs.row(i);
        EXPECT_NEAR(std::accumulate(row.begin(), row.end(), 0.0), 1.0, 1e-12);
        EXPECT_TRUE(std::all_of(row.begin() + i + 1, row.end(), [](double p) { return p == 0.0; }));
      }
      const auto last = probs.row(probs.rows - 1);
      flattest = std::min(flattest, *std::max_element(last.begin(), last.end()));
    }
  }
  EXPECT_GT(flattest, 2.0 / static_cast<double>(embeds.rows)) << "a flat attention would hide wrong scores";
}

class ReferencePruning : public ::testing::TestWithParam<std::pair<int32_t, int32_t>> {};

TEST_P(ReferencePruning, KeepsTheLargestLastRowScores) {
  const auto [layer, n_keep] = GetParam();
  const RefMatrix embeds = prompt();
  const std::vector<int32_t> positions = range(0, static_cast<int32_t>(embeds.rows));
  const RefForward full = model().forward(embeds, positions);
  const RefPrune prune{.layer = layer, .n_keep = n_keep, .visual_rows = range(kFirstVisual, kVisual)};
  const RefForward out = model().forward(embeds, positions, prune);

  ASSERT_EQ(out.kept.size(), static_cast<std::size_t>(n_keep));
  ASSERT_EQ(out.rows.size(), static_cast<std::size_t>(embeds.rows - kVisual + n_keep));
  ASSERT_EQ(out.logits.rows, static_cast<int64_t>(out.rows.size()));
  // Until the drop nothing changes, and the scores are the full pass's attention.
  EXPECT_EQ(out.layers[static_cast<std::size_t>(layer - 1)].values,
            full.layers[static_cast<std::size_t>(layer - 1)].values);
  double lowest_kept = INFINITY;
  double highest_dropped = -INFINITY;
  for (int32_t j = 0; j < kVisual; ++j) {
    double score = 0.0;
    for (const RefMatrix& probs : full.attention[static_cast<std::size_t>(layer - 1)]) {
      score += probs.at(embeds.rows - 1, kFirstVisual + j) / 6.0;
    }
    EXPECT_NEAR(out.scores[static_cast<std::size_t>(j)], score, 1e-12);
    const bool kept = std::binary_search(out.kept.begin(), out.kept.end(), j);
    (kept ? lowest_kept : highest_dropped) =
        kept ? std::min(lowest_kept, score) : std::max(highest_dropped, score);
  }
  EXPECT_GE(lowest_kept, highest_dropped);
}

INSTANTIATE_TEST_SUITE_P(LayersAndBudgets, ReferencePruning,
                         ::testing::Values(std::pair{1, 4}, std::pair{2, 9}, std::pair{3, 18},
                                           std::pair{2, 1}));

TEST(ReferenceLlava, KeepingAllChangesNothing) {
  const RefMatrix embeds = prompt();
  const std::vector<int32_t> positions = range(0, static_cast<int32_t>(embeds.rows));
  const RefPrune prune{.layer = 2, .n_keep = kVisual, .visual_rows = range(kFirstVisual, kVisual)};
  EXPECT_EQ(model().forward(embeds, positions, prune).logits.values,
            model().forward(embeds, positions).logits.values);
}

TEST(ReferenceLlava, DroppingBeforeLayerZeroEqualsShorterPrompt) {
  const RefMatrix embeds = prompt();
  const std::vector<int32_t> positions = range(0, static_cast<int32_t>(embeds.rows));
  const RefPrune prune{
      .layer = 0, .visual_rows = range(kFirstVisual, kVisual), .kept = std::vector<int32_t>{0, 7, 30}};
  const RefForward dropped = model().forward(embeds, positions, prune);
  EXPECT_EQ(dropped.rows[kFirstVisual + 1], kFirstVisual + 7);
  const RefForward shorter = model().forward(ref_rows(embeds, dropped.rows), dropped.rows);
  EXPECT_EQ(dropped.logits.values, shorter.logits.values);
  const RefForward renumbered =
      model().forward(ref_rows(embeds, dropped.rows), range(0, static_cast<int32_t>(dropped.rows.size())));
  EXPECT_NE(dropped.logits.values, renumbered.logits.values) << "original positions must be kept";
}

TEST(ReferenceLlava, DecodingKeepsTheSetOfThePrompt) {
  const RefMatrix embeds = prompt();
  const std::vector<int32_t> positions = range(0, static_cast<int32_t>(embeds.rows));
  RefPrune prune{.layer = 2, .n_keep = 6, .visual_rows = range(kFirstVisual, kVisual)};
  const std::vector<int32_t> by_score = model().greedy(embeds, positions, 4, prune);
  prune.kept = model().forward(embeds, positions, prune).kept;
  EXPECT_EQ(model().greedy(embeds, positions, 4, prune), by_score);
}

TEST(ReferenceLlava, MissingFileIsAnError) {
  EXPECT_THROW(ReferenceLlava(kData + "absent.gguf", ""), std::runtime_error);
}

}  // namespace
}  // namespace winnow::testing
