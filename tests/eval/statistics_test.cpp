#include "winnow/eval/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "winnow/base/error.h"
#include "winnow/base/rng.h"

namespace winnow::eval {
namespace {

TEST(McnemarTest, WorkedOutByHand) {
  EXPECT_NEAR(mcnemar_exact(1, 5), 2.0 * (1 + 6) / 64, 1e-12);
  EXPECT_NEAR(mcnemar_exact(5, 1), 2.0 * (1 + 6) / 64, 1e-12);
  EXPECT_NEAR(mcnemar_exact(0, 5), 2.0 / 32, 1e-12);
  EXPECT_NEAR(mcnemar_exact(2, 8), 2.0 * (1 + 10 + 45) / 1024, 1e-12);
  EXPECT_EQ(mcnemar_exact(3, 3), 1.0);
  EXPECT_EQ(mcnemar_exact(0, 0), 1.0);
  EXPECT_NEAR(mcnemar_exact(0, 2000), 0.0, 1e-300);  // 2^-2000 is below the smallest double
  EXPECT_THROW(mcnemar_exact(-1, 2), Error);
}

TEST(CompareTest, EqualDifferencesLeaveNoDoubt) {
  const std::vector<ScorePair> pairs{{1.0, 0.5}, {0.5, 0.0}, {0.75, 0.25}};
  const Difference d = compare(pairs);
  EXPECT_EQ(d.mean, 0.5);
  EXPECT_EQ(d.low, 0.5);
  EXPECT_EQ(d.high, 0.5);
  EXPECT_EQ(d.n_won, 3);
  EXPECT_TRUE(d.shown());
  EXPECT_FALSE(compare(std::vector<ScorePair>(5, {1.0, 1.0})).shown());
}

/// n questions, of which the configuration alone has `won` right, the baseline alone `lost`.
std::vector<ScorePair> questions(int32_t n, int32_t won, int32_t lost) {
  std::vector<ScorePair> pairs(static_cast<std::size_t>(n), {1.0, 1.0});
  for (int32_t i = 0; i < won + lost; ++i)
    (i < won ? pairs[static_cast<std::size_t>(i)].baseline : pairs[static_cast<std::size_t>(i)].score) = 0.0;
  return pairs;
}

TEST(CompareTest, LargeSamplesHaveTheNormalInterval) {
  const Difference d = compare(questions(1000, 80, 40));
  EXPECT_NEAR(d.mean, 0.04, 1e-12);
  const double half = 1.96 * std::sqrt((120.0 / 1000 - 0.04 * 0.04) / 1000);
  EXPECT_NEAR(d.low, 0.04 - half, 0.001);
  EXPECT_NEAR(d.high, 0.04 + half, 0.001);
  EXPECT_TRUE(d.shown());
  EXPECT_EQ(d.n_won, 80);
  EXPECT_EQ(d.n_lost, 40);
  EXPECT_EQ(d.n_tied, 880);
  EXPECT_FALSE(compare(questions(1000, 60, 50)).shown());
}

TEST(CompareTest, AClusterCountsAsOneDraw) {
  std::vector<ScorePair> alone = questions(400, 60, 20), twice;
  for (std::size_t i = 0; i < alone.size(); ++i) {
    alone[i].cluster = static_cast<int32_t>(i);
    twice.insert(twice.end(), 2, alone[i]);
  }
  const Difference a = compare(alone), b = compare(twice);
  EXPECT_EQ(a.low, b.low);  // a question asked twice says no more than once
  EXPECT_EQ(a.high, b.high);
  for (ScorePair& pair : twice) pair.cluster = -1;
  const Difference c = compare(twice);
  EXPECT_LT(c.high - c.low, 0.8 * (a.high - a.low));
}

TEST(CompareTest, TheIntervalCoversTheTruthAboutAsOftenAsItSays) {
  Rng rng(7);
  int covered = 0;
  constexpr int kTrials = 400;
  for (int trial = 0; trial < kTrials; ++trial) {
    std::vector<ScorePair> pairs;
    for (int i = 0; i < 200; ++i)
      pairs.push_back({rng.uniform() < 0.7 ? 1.0 : 0.0, rng.uniform() < 0.6 ? 1.0 : 0.0});
    const Difference d = compare(pairs, {400, static_cast<uint64_t>(trial)});
    covered += d.low <= 0.1 && 0.1 <= d.high ? 1 : 0;
  }
  EXPECT_GE(covered, kTrials * 91 / 100);
  EXPECT_LE(covered, kTrials * 98 / 100);
}

TEST(CompareTest, SameSeedSameBits) {
  const auto pairs = questions(50, 9, 4);
  EXPECT_EQ(compare(pairs).low, compare(pairs).low);
  EXPECT_EQ(compare(pairs, {1000, 3}).high, compare(pairs, {1000, 3}).high);
}

TEST(CompareTest, BadInput) {
  EXPECT_THROW(compare({}), Error);
  EXPECT_THROW(compare(questions(5, 1, 1), {99, 1}), Error);
  const std::vector<ScorePair> bad{{std::numeric_limits<double>::quiet_NaN(), 1.0}};
  EXPECT_THROW(compare(bad), Error);
}

TEST(RelativeAverageTest, WorkedOutByHand) {
  // 8 of 10 against 10 of 10, and 3 of 4 against 2 of 4: (0.8 + 1.5) / 2.
  const std::vector<std::vector<ScorePair>> benchmarks{questions(10, 0, 2), {{1, 1}, {1, 1}, {1, 0}, {0, 0}}};
  const RelativeAverage r = relative_average(benchmarks);
  EXPECT_NEAR(r.mean, 1.15, 1e-12);
  EXPECT_LT(r.low, 1.15);
  EXPECT_GT(r.high, 1.15);
  EXPECT_FALSE(r.shown());
}

TEST(RelativeAverageTest, OneBenchmarkHasTheNormalInterval) {
  const std::vector<std::vector<ScorePair>> benchmarks{questions(1000, 0, 100)};
  const RelativeAverage r = relative_average(benchmarks);
  const double half = 1.96 * std::sqrt(0.1 * 0.9 / 1000);
  EXPECT_NEAR(r.low, 0.9 - half, 0.002);
  EXPECT_NEAR(r.high, 0.9 + half, 0.002);
  EXPECT_TRUE(r.shown());
}

TEST(RelativeAverageTest, NothingIsRelativeToNothing) {
  const std::vector<std::vector<ScorePair>> benchmarks{{{1, 0}, {0, 0}}};
  EXPECT_THROW(relative_average(benchmarks), Error);
  EXPECT_THROW(relative_average({}), Error);
}

}  // namespace
}  // namespace winnow::eval
