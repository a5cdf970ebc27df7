#include <gtest/gtest.h>

#include "tests/prune/random_signals.h"

namespace winnow::prune {
namespace {

using Ints = std::vector<int32_t>;
using test::OwnedSignals;
using test::random_signals;
using test::run;

TEST(BalancedTest, HandWorked) {
  OwnedSignals signals{{1, 4}, {}, {}};
  signals.of[Signal::LastTextAttention] = {{0.1F, 0.2F, 0.3F, 0.5F}, 1, 4};  // normalised: 0, .25, .5, 1
  // Cosines with (1, 0): 1, 0, -1, 1; normalised redundancy 1, .5, 0, 1; uniqueness 0, .5, 1, 0.
  signals.of[Signal::Hidden] = {{2, 0, 0, 3, -1, 0, 5, 0}, 4, 2};
  signals.of[Signal::HiddenLast] = {{1, 0}, 1, 2};
  const Plan half = run("balanced", signals, 2);
  EXPECT_EQ(half.scores, (std::vector<float>{0, 0.375F, 0.75F, 0.5F}));
  EXPECT_EQ(half.index, (Ints{2, 3}));
  EXPECT_EQ(run("balanced:alpha=1", signals, 2).scores, (std::vector<float>{0, 0.25F, 0.5F, 1}));
  EXPECT_EQ(run("balanced:alpha=0", signals, 2).index, (Ints{1, 2}));
  EXPECT_FLOAT_EQ(run("balanced:alpha=0.25", signals, 2).scores[3], 0.25F);
}

TEST(BalancedTest, AlphaOneIsTheAttentionMethod) {
  for (uint64_t seed = 0; seed < 10; ++seed) {
    const OwnedSignals signals = random_signals({12, 12}, seed);
    EXPECT_EQ(run("balanced:alpha=1", signals, 36).index, run("fastv", signals, 36).index);
    EXPECT_EQ(run("balanced:alpha=1,importance=last_visual", signals, 36).index,
              run("fastv_vis", signals, 36).index);
    EXPECT_EQ(run("balanced:alpha=1,importance=cls", signals, 36).index, run("fastervlm", signals, 36).index);
  }
}

TEST(BalancedTest, SourcesOfRedundancy) {
  OwnedSignals signals{{1, 4}, {}, {}};
  signals.of[Signal::LastTextAttention] = {{1, 1, 1, 1}, 1, 4};
  // Tokens 0 and 1 are alike, 2 and 3 stand alone: either source drops one of the first two last.
  signals.of[Signal::Hidden] = {{1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1}, 4, 3};
  EXPECT_EQ(run("balanced:redundancy=mean", signals, 2).index, (Ints{2, 3}));
  EXPECT_EQ(run("balanced:redundancy=max", signals, 2).index, (Ints{2, 3}));
}

TEST(BalancedTest, NeedsFollowTheParameters) {
  const auto needs = [](const char* text) {
    const MethodUse use = parse_method(text);
    return use.method->needs(use.params);
  };
  using Needs = std::vector<Need>;
  EXPECT_EQ(needs("balanced"), (Needs{{Signal::LastTextAttention}, {Signal::Hidden}, {Signal::HiddenLast}}));
  EXPECT_EQ(needs("balanced:redundancy=mean"), (Needs{{Signal::LastTextAttention}, {Signal::Hidden}}));
  EXPECT_EQ(needs("balanced:importance=last_visual,redundancy=max"),
            (Needs{{Signal::LastVisualAttention}, {Signal::Hidden}}));
  EXPECT_EQ(needs("balanced:importance=cls"),
            (Needs{{Signal::ClsAttention}, {Signal::Hidden}, {Signal::HiddenLast}}));
}

TEST(BalancedTest, ConstantSignalsFallBackToTheOrder) {
  OwnedSignals signals = random_signals({3, 3}, 2);
  for (auto& [signal, matrix] : signals.of) std::fill(matrix.values.begin(), matrix.values.end(), 0.5F);
  EXPECT_EQ(run("balanced", signals, 4).index, (Ints{0, 1, 2, 3}));
}

}  // namespace
}  // namespace winnow::prune
