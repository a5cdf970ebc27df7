#include "winnow/engine/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "winnow/base/error.h"
#include "winnow/base/rng.h"

namespace winnow::engine {
namespace {

std::vector<float> random_logits(uint64_t seed) {
  Rng rng(seed);
  std::vector<float> logits;
  for (int i = 0; i < 50; ++i) logits.push_back(static_cast<float>(2.0 * rng.normal()));
  return logits;
}

std::vector<int32_t> picks(const SamplingOptions& options, const std::vector<float>& logits, int32_t n) {
  Sampler sampler(options);
  std::vector<int32_t> out;
  for (int32_t i = 0; i < n; ++i) out.push_back(sampler.pick(logits));
  return out;
}

TEST(Sampler, GreedyTakesTheLargestAndTheLowerIdOnTies) {
  Sampler greedy({});
  EXPECT_EQ(greedy.pick(std::vector<float>{1.0F, 3.0F, 2.0F, 3.0F}), 1);
  EXPECT_EQ(greedy.pick(std::vector<float>{-1.0F}), 0);
}

TEST(Sampler, SeedDecides) {
  const auto logits = random_logits(1);
  const SamplingOptions options{.temperature = 1.0, .seed = 7};
  const auto first = picks(options, logits, 40);
  EXPECT_EQ(picks(options, logits, 40), first);
  EXPECT_NE(picks({.temperature = 1.0, .seed = 8}, logits, 40), first);
  EXPECT_NE(std::count(first.begin(), first.end(), first[0]), 40) << "draws differ";
}

TEST(Sampler, EverySeedRepeats) {
  const auto logits = random_logits(1);
  for (const uint32_t seed : {0U, UINT32_MAX - 1, UINT32_MAX}) {
    const SamplingOptions options{.temperature = 1.0, .seed = seed};
    EXPECT_EQ(picks(options, logits, 40), picks(options, logits, 40)) << "seed " << seed;
  }
}

TEST(Sampler, NarrowFiltersAreGreedy) {
  for (uint64_t seed = 0; seed < 10; ++seed) {
    const auto logits = random_logits(seed);
    const auto best = static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
    const std::vector<int32_t> expected(10, best);
    EXPECT_EQ(picks({.temperature = 1.5, .top_k = 1, .seed = 3}, logits, 10), expected);
    EXPECT_EQ(picks({.temperature = 1.5, .top_p = 1e-6, .seed = 3}, logits, 10), expected);
    EXPECT_EQ(picks({.temperature = 1e-4, .seed = 3}, logits, 10), expected);
  }
}

TEST(Sampler, TopKAndTopPNeverLeaveTheirSets) {
  const std::vector<float> logits = {0.0F, 2.0F, 1.0F, 1.5F, -1.0F};  // order 1, 3, 2, 0, 4
  for (const int32_t id : picks({.temperature = 5.0, .top_k = 2, .seed = 1}, logits, 200)) {
    EXPECT_TRUE(id == 1 || id == 3) << id;
  }
  // Probabilities before the temperature 0.46, 0.28, 0.17, 0.06, 0.02: the first two reach 0.7.
  for (const int32_t id : picks({.temperature = 5.0, .top_p = 0.7, .seed = 1}, logits, 200)) {
    EXPECT_TRUE(id == 1 || id == 3) << id;
  }
}

TEST(Sampler, FrequenciesFollowTheSoftmax) {
  const std::vector<float> logits = {std::log(1.0F), std::log(2.0F), std::log(5.0F)};
  constexpr int32_t kDraws = 8000;
  const auto ids = picks({.temperature = 1.0, .seed = 11}, logits, kDraws);
  for (const auto& [id, p] : {std::pair{0, 0.125}, {1, 0.25}, {2, 0.625}}) {
    const double share = static_cast<double>(std::count(ids.begin(), ids.end(), id)) / kDraws;
    EXPECT_NEAR(share, p, 0.03) << id;  // five standard deviations
  }
  const auto hot = picks({.temperature = 100.0, .seed = 11}, logits, kDraws);
  EXPECT_NEAR(static_cast<double>(std::count(hot.begin(), hot.end(), 0)) / kDraws, 1.0 / 3, 0.03);
}

TEST(Sampler, OptionsOutOfRangeAreRefused) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinite = std::numeric_limits<double>::infinity();
  for (const double t : {-0.1, nan, infinite}) EXPECT_THROW(Sampler({.temperature = t}), Error) << t;
  for (const double p : {0.0, -0.5, 1.01, nan}) EXPECT_THROW(Sampler({.top_p = p}), Error) << p;
  EXPECT_THROW(Sampler({.top_k = -1}), Error);
}

}  // namespace
}  // namespace winnow::engine
