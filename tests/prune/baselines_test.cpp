// none, random, grid and pooling.

#include <gtest/gtest.h>

#include "tests/prune/expect_error.h"
#include "tests/prune/random_signals.h"

namespace winnow::prune {
namespace {

using Ints = std::vector<int32_t>;
using test::expect_error;
using test::OwnedSignals;
using test::random_signals;
using test::run;

OwnedSignals image(Grid grid, Ints token_of = {}) { return {grid, std::move(token_of), {}}; }

/// What the engine does with a plan: outputs [n_out] of one feature per token.
std::vector<double> apply_plan(const Plan& plan, const std::vector<double>& feature) {
  std::vector<double> outputs;
  for (int32_t out = 0; out < plan.n_out(); ++out) {
    double sum = 0;
    for (std::size_t i = 0; i < plan.sources(out).size(); ++i) {
      sum +=
          static_cast<double>(plan.weights(out)[i]) * feature[static_cast<std::size_t>(plan.sources(out)[i])];
    }
    outputs.push_back(sum);
  }
  return outputs;
}

TEST(NoneTest, KeepsEverything) { EXPECT_EQ(run("none", image({2, 3}), 6).index, (Ints{0, 1, 2, 3, 4, 5})); }

TEST(RandomTest, SeedDecides) {
  const OwnedSignals signals = image({24, 24});
  EXPECT_EQ(run("random", signals, 64, 5).index, run("random", signals, 64, 5).index);
  EXPECT_NE(run("random", signals, 64, 5).index, run("random", signals, 64, 6).index);
}

TEST(RandomTest, EveryTokenIsAsLikely) {
  const OwnedSignals signals = image({4, 4});
  std::vector<int> counts(16, 0);
  Rng rng(3);
  for (int round = 0; round < 8000; ++round) {
    for (const int32_t token : run_method(parse_method("random"), signals.view({}), 4, rng).index) {
      ++counts[static_cast<std::size_t>(token)];
    }
  }
  for (const int count : counts) EXPECT_NEAR(count, 2000, 5 * std::sqrt(8000 * 0.25 * 0.75));
}

TEST(GridTest, CentresOfCells) {
  EXPECT_EQ(run("grid", image({6, 6}), 4).index,
            (Ints{7, 10, 25, 28}));                            // 3x3 cells, rows and columns 1 and 4
  EXPECT_EQ(run("grid", image({6, 6}), 1).index, (Ints{14}));  // row 2, column 2
  EXPECT_EQ(run("grid", image({1, 9}), 3).index, (Ints{1, 4, 7}));
  // 5 of 4x6: round(sqrt(5 * 4 / 6)) = 2 bands of two rows with 2 and 3 cells.
  EXPECT_EQ(run("grid", image({4, 6}), 5).index, (Ints{1, 4, 12, 14, 16}));
}

TEST(GridTest, PrunedImageIsCutInRasterOrder) {
  EXPECT_EQ(run("grid", image({3, 3}, {0, 2, 3, 5, 6, 8}), 2).index, (Ints{1, 4}));
}

TEST(PoolingTest, WindowsAverageLikePlainLoops) {
  Rng rng(8);
  for (const auto& [grid, window] : std::vector<std::pair<Grid, Window>>{
           {{24, 24}, {2, 2}}, {{24, 24}, {3, 3}}, {{24, 24}, {5, 7}}, {{5, 7}, {2, 3}}, {{1, 9}, {4, 4}}}) {
    std::vector<double> feature;
    for (int32_t i = 0; i < grid.size(); ++i) feature.push_back(rng.normal());
    std::vector<double> expected;
    for (int32_t top = 0; top < grid.rows; top += window.rows) {
      for (int32_t left = 0; left < grid.cols; left += window.cols) {
        double sum = 0;
        int count = 0;
        for (int32_t row = top; row < top + window.rows && row < grid.rows; ++row) {
          for (int32_t col = left; col < left + window.cols && col < grid.cols; ++col, ++count) {
            sum += feature[static_cast<std::size_t>(row * grid.cols + col)];
          }
        }
        expected.push_back(sum / count);
      }
    }
    const std::string use =
        "pooling:window=" + std::to_string(window.rows) + "x" + std::to_string(window.cols);
    const std::vector<double> actual =
        apply_plan(run(use, image(grid), static_cast<int32_t>(expected.size())), feature);
    ASSERT_EQ(actual.size(), expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i)
      EXPECT_NEAR(actual[i], expected[i], 1e-6) << use << " output " << i;
  }
}

TEST(PoolingTest, CountEqualsWindowWhenItDivides) {
  const Plan by_count = run("pooling", image({24, 24}), 144);
  const Plan by_window = run("pooling:window=2x2", image({24, 24}), 144);
  EXPECT_EQ(by_count.index, by_window.index);
  EXPECT_EQ(by_count.weight, by_window.weight);
  EXPECT_EQ(by_count.position_of, by_window.position_of);
}

TEST(PoolingTest, AnyCountUsesEveryTokenOnce) {
  for (const Grid grid : {Grid{5, 7}, Grid{1, 9}, Grid{12, 12}}) {
    for (int32_t n_keep = 1; n_keep < grid.size(); ++n_keep) {
      const Plan plan = run("pooling", image(grid), n_keep);
      Ints sorted = plan.index;
      std::sort(sorted.begin(), sorted.end());
      EXPECT_EQ(sorted, identity_plan(grid.size()).index) << grid.rows << "x" << grid.cols << ", " << n_keep;
    }
  }
}

TEST(PoolingTest, PositionIsTheCentreOfTheCell) {
  EXPECT_EQ(run("pooling", image({6, 6}), 4).position_of, (Ints{7, 10, 25, 28}));
  EXPECT_EQ(run("pooling:window=2x2", image({3, 3}), 4).position_of, (Ints{0, 2, 6, 8}));
}

TEST(PoolingTest, FixedCount) {
  const MethodUse windows = parse_method("pooling:window=2x2");
  EXPECT_EQ(windows.method->fixed_count({24, 24}, windows.params), 144);
  EXPECT_EQ(windows.method->fixed_count({5, 7}, windows.params), 12);
  EXPECT_FALSE(windows.method->fixed_count({5, 7}, parse_method("pooling").params).has_value());
}

TEST(PoolingTest, PrunedImages) {
  const OwnedSignals pruned = image({3, 3}, {0, 2, 3, 5, 6, 8});
  const Plan plan = run("pooling", pruned, 2);
  EXPECT_EQ(plan.index, (Ints{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(plan.offsets, (Ints{0, 3, 6}));
  expect_error(ErrorCode::Unsupported, {"already pruned", "6 of 9"},
               [&] { run("pooling:window=2x2", pruned, 4); });
}

}  // namespace
}  // namespace winnow::prune
