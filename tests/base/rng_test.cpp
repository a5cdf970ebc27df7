#include "winnow/base/rng.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "winnow/base/error.h"

namespace winnow {
namespace {

TEST(RngTest, KnownValuesOfSplitMix64) {
  // Published test vector of the generator for seed 1234567.
  Rng rng(1234567);
  EXPECT_EQ(rng.next(), 6457827717110365317ULL);
  EXPECT_EQ(rng.next(), 3203168211198807973ULL);
  EXPECT_EQ(rng.next(), 9817491932198370423ULL);
  EXPECT_EQ(rng.next(), 4593380528125082431ULL);
  EXPECT_EQ(rng.next(), 16408922859458223821ULL);
}

TEST(RngTest, StreamsOfASeedDiffer) {
  Rng first(7, 0);
  Rng second(7, 1);
  Rng again(7, 1);
  int equal = 0;
  for (int i = 0; i < 1000; ++i) {
    const uint64_t value = second.next();
    equal += first.next() == value ? 1 : 0;
    EXPECT_EQ(again.next(), value);
  }
  EXPECT_EQ(equal, 0);
}

TEST(RngTest, BelowIsUniform) {
  Rng rng(1);
  std::vector<int> counts(7, 0);
  for (int i = 0; i < 70000; ++i) ++counts[rng.below(7)];
  // Five standard deviations of a binomial with n = 70000, p = 1/7.
  for (const int count : counts) EXPECT_NEAR(count, 10000, 5 * std::sqrt(70000.0 * 6 / 49));
  EXPECT_EQ(Rng(3).below(1), 0U);
  EXPECT_THROW(Rng(3).below(0), Error);
}

TEST(RngTest, BelowReachesLargeRangesWithoutBias) {
  Rng rng(5);
  const uint64_t n = 3ULL << 62U;  // plain modulo would draw the first third twice as often
  int low = 0;
  for (int i = 0; i < 30000; ++i) low += rng.below(n) < n / 3 ? 1 : 0;
  EXPECT_NEAR(low, 10000, 5 * std::sqrt(30000.0 * 2 / 9));
}

TEST(RngTest, UniformAndNormalHaveTheirMoments) {
  Rng rng(2);
  const int n = 100000;
  double sum = 0;
  double normal_sum = 0;
  double normal_squares = 0;
  for (int i = 0; i < n; ++i) {
    const double u = rng.uniform();
    ASSERT_GE(u, 0.0);
    ASSERT_LT(u, 1.0);
    sum += u;
    const double z = rng.normal();
    ASSERT_TRUE(std::isfinite(z));
    normal_sum += z;
    normal_squares += z * z;
  }
  EXPECT_NEAR(sum / n, 0.5, 5 / std::sqrt(12.0 * n));
  EXPECT_NEAR(normal_sum / n, 0.0, 5 / std::sqrt(1.0 * n));
  EXPECT_NEAR(normal_squares / n, 1.0, 5 * std::sqrt(2.0 / n));
}

TEST(RngTest, SampleIsAscendingDistinctAndUniform) {
  Rng rng(9);
  std::vector<int> counts(20, 0);
  for (int round = 0; round < 10000; ++round) {
    const std::vector<int32_t> items = rng.sample(20, 5);
    ASSERT_EQ(items.size(), 5U);
    for (std::size_t i = 0; i < items.size(); ++i) {
      ASSERT_GE(items[i], 0);
      ASSERT_LT(items[i], 20);
      if (i > 0) {
        ASSERT_LT(items[i - 1], items[i]);
      }
      ++counts[static_cast<std::size_t>(items[i])];
    }
  }
  for (const int count : counts) EXPECT_NEAR(count, 2500, 5 * std::sqrt(10000 * 0.25 * 0.75));
}

TEST(RngTest, SampleEdges) {
  Rng rng(9);
  EXPECT_TRUE(rng.sample(5, 0).empty());
  EXPECT_EQ(rng.sample(3, 3), (std::vector<int32_t>{0, 1, 2}));
  EXPECT_TRUE(rng.sample(0, 0).empty());
  EXPECT_THROW(rng.sample(3, 4), Error);
  EXPECT_THROW(rng.sample(3, -1), Error);
}

}  // namespace
}  // namespace winnow
