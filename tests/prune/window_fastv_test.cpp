#include <gtest/gtest.h>

#include "tests/prune/random_signals.h"

namespace winnow::prune {
namespace {

using Ints = std::vector<int32_t>;
using test::OwnedSignals;
using test::run;

/// One head whose scores are given, on a grid.
OwnedSignals with_scores(Grid grid, std::vector<float> scores, Ints token_of = {}) {
  OwnedSignals signals{grid, std::move(token_of), {}};
  const auto n = static_cast<int64_t>(scores.size());
  signals.of[Signal::LastTextAttention] = {std::move(scores), 1, n};
  return signals;
}

TEST(WindowFastVTest, BestOfEachWindow) {
  // All the attention is in the bottom row, where plain FastV would keep nothing but that.
  const OwnedSignals signals = with_scores({4, 4}, {.01F, .02F, .03F, .01F,  //
                                                    .00F, .01F, .01F, .01F,  //
                                                    .01F, .01F, .01F, .01F,  //
                                                    .10F, .20F, .30F, .20F});
  EXPECT_EQ(run("fastv", signals, 4).index, (Ints{12, 13, 14, 15}));
  EXPECT_EQ(run("window_fastv", signals, 4).index, (Ints{1, 2, 13, 14}));
  EXPECT_EQ(run("window_fastv:window=4x4", signals, 4).index, run("fastv", signals, 4).index);
  EXPECT_EQ(run("window_fastv:window=1x4", signals, 4).index, (Ints{2, 5, 8, 14}));
}

TEST(WindowFastVTest, ScoresAreFastVs) {
  const OwnedSignals signals = test::random_signals({6, 6}, 4);
  EXPECT_EQ(run("window_fastv", signals, 9).scores, run("fastv", signals, 9).scores);
}

/// Tokens kept in each window of a grid.
Ints kept_per_window(Grid grid, Window window, int32_t n_keep) {
  const OwnedSignals signals = test::random_signals(grid, 3);
  const std::string use =
      "window_fastv:window=" + std::to_string(window.rows) + "x" + std::to_string(window.cols);
  const int32_t across = (grid.cols + window.cols - 1) / window.cols;
  const int32_t down = (grid.rows + window.rows - 1) / window.rows;
  Ints counts(static_cast<std::size_t>(across * down), 0);
  for (const int32_t token : run(use, signals, n_keep).index) {
    ++counts[static_cast<std::size_t>(token / grid.cols / window.rows * across +
                                      token % grid.cols / window.cols)];
  }
  return counts;
}

TEST(WindowFastVTest, QuotasHandWorked) {
  EXPECT_EQ(kept_per_window({24, 24}, {2, 2}, 144), Ints(144, 1));
  EXPECT_EQ(kept_per_window({24, 24}, {3, 3}, 128), Ints(64, 2));
  // 3 of 4 windows of 4: floor(3 (i+1) / 4) - floor(3 i / 4).
  EXPECT_EQ(kept_per_window({4, 4}, {2, 2}, 3), (Ints{0, 1, 1, 1}));
  // 3x3 grid: windows of 4, 2 tokens, then from the right 1, 2. 5 of 9: floor of 20/9, 30/9, 35/9, 45/9 = 2,
  // 3, 3, 5.
  EXPECT_EQ(kept_per_window({3, 3}, {2, 2}, 5), (Ints{2, 1, 2, 0}));
  // 8 of 9: floor of 32/9, 48/9, 56/9, 72/9 = 3, 5, 6, 8; never more than the window holds.
  EXPECT_EQ(kept_per_window({3, 3}, {2, 2}, 8), (Ints{3, 2, 2, 1}));
  // Half a token per window: a chessboard.
  EXPECT_EQ(kept_per_window({4, 8}, {2, 2}, 4), (Ints{0, 1, 0, 1, 1, 0, 1, 0}));
}

TEST(WindowFastVTest, OnlyRemainingTokensOfAPrunedImageCount) {
  // Windows of a 4x4 grid: top left still has 3 tokens, top right none, bottom left 1, bottom right 2.
  const OwnedSignals signals = with_scores({4, 4}, {.3F, .2F, .1F, .0F, .5F, .4F}, {0, 1, 4, 8, 10, 15});
  // 3 of 6: cumulative 3, 3, 4, 6 tokens give floor 1, 1, 2, 3: one each, tokens counted in the remaining
  // list.
  EXPECT_EQ(run("window_fastv", signals, 3).index, (Ints{0, 3, 4}));
}

TEST(WindowFastVTest, TiesGoToTheLowerIndexInsideAWindow) {
  EXPECT_EQ(run("window_fastv", with_scores({4, 4}, std::vector<float>(16, .5F)), 4).index,
            (Ints{0, 2, 8, 10}));
}

}  // namespace
}  // namespace winnow::prune
