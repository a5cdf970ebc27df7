// m3 and bilinear against plain loops in double precision; nothing of winnow/prune but the method under test.

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "tests/prune/expect_error.h"
#include "tests/prune/random_signals.h"

namespace winnow::prune {
namespace {

using Doubles = std::vector<double>;
using Ints = std::vector<int32_t>;
using test::expect_error;
using test::OwnedSignals;
using test::run;

OwnedSignals image(Grid grid, Ints token_of = {}) { return {grid, std::move(token_of), {}}; }

Doubles random_feature(Grid grid, uint64_t seed) {
  Rng rng(seed);
  Doubles feature;
  for (int32_t i = 0; i < grid.size(); ++i) feature.push_back(rng.normal());
  return feature;
}

/// What the engine does with a plan: outputs of one feature per token.
Doubles apply_plan(const Plan& plan, const Doubles& feature) {
  Doubles outputs(static_cast<std::size_t>(plan.n_out()), 0.0);
  for (int32_t out = 0; out < plan.n_out(); ++out) {
    for (std::size_t i = 0; i < plan.sources(out).size(); ++i) {
      outputs[out] += static_cast<double>(plan.weights(out)[i]) * feature[plan.sources(out)[i]];
    }
  }
  return outputs;
}

void expect_near(const Doubles& actual, const Doubles& expected, const std::string& what) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(actual[i], expected[i], 1e-6) << what << ", output " << i;
  }
}

std::optional<int32_t> count_of(const std::string& text, Grid grid) {
  const MethodUse use = parse_method(text);
  return use.method->fixed_count(grid, use.params);
}

Doubles window_means(const Doubles& feature, Grid grid, Window window) {
  Doubles means;
  for (int32_t top = 0; top < grid.rows; top += window.rows) {
    for (int32_t left = 0; left < grid.cols; left += window.cols) {
      double sum = 0;
      for (int32_t row = top; row < top + window.rows; ++row) {
        for (int32_t col = left; col < left + window.cols; ++col) sum += feature[row * grid.cols + col];
      }
      means.push_back(sum / (window.rows * window.cols));
    }
  }
  return means;
}

struct Chain {
  Grid grid;
  std::vector<Window> windows;  // of scales 0, 1, 2 ...
};

const std::vector<Chain>& chains() {
  static const std::vector<Chain> list{{{24, 24}, {{1, 1}, {2, 2}, {4, 4}, {8, 8}, {24, 24}}},
                                       {{16, 24}, {{1, 1}, {2, 2}, {4, 4}, {8, 8}, {16, 24}}},
                                       {{27, 27}, {{1, 1}, {3, 3}, {9, 9}, {27, 27}}},
                                       {{6, 9}, {{1, 1}, {3, 3}, {6, 9}}},
                                       {{5, 7}, {{1, 1}, {5, 7}}},
                                       {{1, 9}, {{1, 1}, {1, 9}}}};
  return list;
}

TEST(M3Test, CountsOfThePaper) {
  for (const auto& [scale, count] : {std::pair{0, 576}, {1, 144}, {2, 36}, {3, 9}, {4, 1}, {16, 1}}) {
    EXPECT_EQ(count_of("m3:scale=" + std::to_string(scale), {24, 24}), count);
  }
  EXPECT_FALSE(count_of("m3", {24, 24}).has_value());
  EXPECT_EQ(count_of("m3:scale=3", {1, 1}), 1);
}

TEST(M3Test, EveryScaleOfEveryGridAveragesLikePlainLoops) {
  for (const auto& [grid, windows] : chains()) {
    const Doubles feature = random_feature(grid, 3);
    for (std::size_t scale = 0; scale < windows.size(); ++scale) {
      const std::string use = "m3:scale=" + std::to_string(scale);
      const Doubles expected = window_means(feature, grid, windows[scale]);
      ASSERT_EQ(count_of(use, grid), static_cast<int32_t>(expected.size())) << use;
      const Plan plan = run(use, image(grid), static_cast<int32_t>(expected.size()));
      expect_near(apply_plan(plan, feature), expected,
                  use + " of " + std::to_string(grid.rows) + "x" + std::to_string(grid.cols));
    }
  }
}

TEST(M3Test, AScaleIsAPoolOfTheScaleBefore) {
  for (const auto& [grid, windows] : chains()) {
    Grid finer = grid;
    Doubles nested = random_feature(grid, 4);
    const Doubles feature = nested;
    for (std::size_t scale = 1; scale < windows.size(); ++scale) {
      const Grid coarser{grid.rows / windows[scale].rows, grid.cols / windows[scale].cols};
      nested = window_means(nested, finer, {finer.rows / coarser.rows, finer.cols / coarser.cols});
      finer = coarser;
      const Plan plan = run("m3:scale=" + std::to_string(scale), image(grid), coarser.size());
      expect_near(apply_plan(plan, feature), nested, "scale " + std::to_string(scale));
    }
  }
}

TEST(M3Test, ACountOfTheChainIsItsScale) {
  for (const auto& [scale, count] : {std::pair{1, 144}, {2, 36}, {3, 9}, {4, 1}}) {
    const Plan by_scale = run("m3:scale=" + std::to_string(scale), image({24, 24}), count);
    EXPECT_EQ(run("m3", image({24, 24}), count).index, by_scale.index) << count;
    EXPECT_EQ(run("pooling", image({24, 24}), count).index, by_scale.index) << count;
  }
}

TEST(M3Test, ScalesNeedTheWholeImage) {
  const OwnedSignals pruned = image({3, 3}, {0, 2, 3, 5, 6, 8});
  EXPECT_EQ(run("m3", pruned, 2).offsets, (Ints{0, 3, 6}));
  expect_error(ErrorCode::Unsupported, {"already pruned", "6 of 9"}, [&] { run("m3:scale=1", pruned, 1); });
}

/// Weights of output i of n_out over n_in inputs: aten's area_pixel_compute_source_index,
/// align_corners=False.
Doubles plain_weights(int32_t i, int32_t n_out, int32_t n_in) {
  Doubles weights(static_cast<std::size_t>(n_in), 0.0);
  const double x = std::max(0.0, (i + 0.5) * n_in / n_out - 0.5);
  const auto low = static_cast<int32_t>(x + 1e-12);
  const int32_t high = std::min(low + 1, n_in - 1);
  weights[low] += 1.0 - (x - low);
  weights[high] += x - low;
  return weights;
}

/// aten's upsample_bilinear2d_aa: a triangle around the centre, cut at the edges and normalised.
Doubles antialiased_weights(int32_t i, int32_t n_out, int32_t n_in) {
  Doubles weights(static_cast<std::size_t>(n_in), 0.0);
  const double scale = static_cast<double>(n_in) / n_out;
  const double centre = scale * (i + 0.5);
  double sum = 0;
  for (int32_t j = 0; j < n_in; ++j) {
    weights[j] = std::max(0.0, 1.0 - std::abs((j + 0.5 - centre) / scale));
    sum += weights[j];
  }
  for (double& weight : weights) weight /= sum;
  return weights;
}

Doubles resampled(const Doubles& feature, Grid grid, Window size, bool antialias) {
  const auto weights = antialias ? antialiased_weights : plain_weights;
  Doubles outputs;
  for (int32_t r = 0; r < size.rows; ++r) {
    const Doubles row = weights(r, size.rows, grid.rows);
    for (int32_t c = 0; c < size.cols; ++c) {
      const Doubles col = weights(c, size.cols, grid.cols);
      double sum = 0;
      for (int32_t token = 0; token < grid.size(); ++token) {
        sum += row[token / grid.cols] * col[token % grid.cols] * feature[token];
      }
      outputs.push_back(sum);
    }
  }
  return outputs;
}

TEST(BilinearTest, ResamplesLikePlainLoops) {
  const std::vector<std::pair<Grid, Window>> cases{
      {{24, 24}, {12, 12}}, {{24, 24}, {8, 8}},   {{24, 24}, {7, 19}},
      {{24, 24}, {1, 1}},   {{27, 27}, {14, 14}}, {{5, 7}, {4, 6}},
      {{5, 7}, {5, 3}},     {{1, 9}, {1, 4}},     {{24, 16}, {23, 16}}};
  for (const auto& [grid, size] : cases) {
    const Doubles feature = random_feature(grid, 9);
    for (const bool antialias : {false, true}) {
      const std::string use = std::string("bilinear:antialias=") + (antialias ? "on" : "off") +
                              ",size=" + std::to_string(size.rows) + "x" + std::to_string(size.cols);
      const Plan plan = run(use, image(grid), size.rows * size.cols);
      expect_near(apply_plan(plan, feature), resampled(feature, grid, size, antialias), use);
    }
  }
}

TEST(BilinearTest, HandWorked) {
  // 4 -> 3: x = 1/6, 3/2, 17/6.
  const Plan plan = run("bilinear:size=1x3", image({1, 4}), 3);
  EXPECT_EQ(plan.index, (Ints{0, 1, 1, 2, 2, 3}));
  EXPECT_EQ(plan.position_of, (Ints{0, 1, 2}));
  const std::vector<float> weights{5.0F / 6, 1.0F / 6, 0.5F, 0.5F, 1.0F / 6, 5.0F / 6};
  for (std::size_t i = 0; i < weights.size(); ++i) EXPECT_FLOAT_EQ(plan.weight[i], weights[i]);
  // 4 -> 2 with antialias: 7/8, 5/8 ... cut at the edge: tokens 0, 1, 2 weigh 3, 3, 1 of 7.
  const Plan smooth = run("bilinear:antialias=on,size=1x2", image({1, 4}), 2);
  EXPECT_EQ(smooth.index, (Ints{0, 1, 2, 1, 2, 3}));
  EXPECT_FLOAT_EQ(smooth.weight[0], 3.0F / 7);
  EXPECT_FLOAT_EQ(smooth.weight[2], 1.0F / 7);
  // 24 -> 8 without antialias is every third token, 24 -> 12 pooling.
  EXPECT_EQ(run("bilinear:size=8x8", image({24, 24}), 64).index, run("grid", image({24, 24}), 64).index);
  EXPECT_TRUE(run("bilinear:size=8x8", image({24, 24}), 64).is_selection());
  const Plan half = run("bilinear:size=12x12", image({24, 24}), 144);
  EXPECT_EQ(half.index, run("pooling:window=2x2", image({24, 24}), 144).index);
  EXPECT_EQ(half.weight, run("pooling:window=2x2", image({24, 24}), 144).weight);
}

TEST(BilinearTest, ACountIsTheSizeWhenItDivides) {
  for (const char* antialias : {"off", "on"}) {
    const std::string use = std::string("bilinear:antialias=") + antialias;
    const Plan by_count = run(use, image({24, 24}), 144);
    const Plan by_size = run(use + ",size=12x12", image({24, 24}), 144);
    EXPECT_EQ(by_count.index, by_size.index);
    EXPECT_EQ(by_count.weight, by_size.weight);
  }
}

TEST(BilinearTest, AnyCountKeepsAConstantAndALinearImage) {
  const Grid grid{9, 13};
  Doubles across;
  for (int32_t token = 0; token < grid.size(); ++token) across.push_back(token % grid.cols);
  for (int32_t n_keep = 1; n_keep < grid.size(); ++n_keep) {
    const Plan plan = run("bilinear", image(grid), n_keep);
    const Doubles constant = apply_plan(plan, Doubles(grid.size(), 1.0));
    const Doubles outputs = apply_plan(plan, across);
    ASSERT_EQ(plan.n_out(), n_keep);
    for (int32_t out = 0; out < n_keep; ++out) {
      EXPECT_NEAR(constant[out], 1.0, 1e-6);
      // A ramp is met exactly: half-pixel centres never leave the grid when it shrinks.
      EXPECT_GE(outputs[out] - plan.position_of[out] % grid.cols, -1e-5);
      EXPECT_LT(outputs[out] - plan.position_of[out] % grid.cols, 1.0);
    }
  }
}

TEST(BilinearTest, SizesStayInsideTheGridAndNeedAllOfIt) {
  EXPECT_EQ(count_of("bilinear:size=12x12", {24, 24}), 144);
  EXPECT_EQ(count_of("bilinear:size=64x2", {24, 24}), 48);
  EXPECT_FALSE(count_of("bilinear", {24, 24}).has_value());
  const OwnedSignals pruned = image({3, 3}, {0, 2, 3, 5, 6, 8});
  EXPECT_EQ(run("bilinear", pruned, 3).index, (Ints{0, 1, 2, 3, 4, 5}));
  expect_error(ErrorCode::Unsupported, {"already pruned"}, [&] { run("bilinear:size=2x2", pruned, 4); });
}

}  // namespace
}  // namespace winnow::prune
