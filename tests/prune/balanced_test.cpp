#include <gtest/gtest.h>

#include <cmath>

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

TEST(BalancedTest, NeedsOfEverySource) {
  const auto needs = [](const std::string& text) {
    const MethodUse use = parse_method("balanced:redundancy=mean," + text);
    return use.method->needs(use.params);
  };
  using Needs = std::vector<Need>;
  EXPECT_EQ(needs("importance=column"), (Needs{{Signal::ColumnAttention}, {Signal::Hidden}}));
  EXPECT_EQ(needs("importance=rater"),
            (Needs{{Signal::TextAttention}, {Signal::InputEmbeds}, {Signal::TextEmbeds}, {Signal::Hidden}}));
  EXPECT_EQ(needs("importance=l2"), (Needs{{Signal::Hidden}}));
  EXPECT_EQ(needs("importance=l2,features=projected"), (Needs{{Signal::Projected}}));
}

TEST(BalancedTest, AlphaOneNeedsNoSecondLookAtRedundancy) {
  const OwnedSignals signals = random_signals({12, 12}, 3);
  EXPECT_EQ(run("balanced:alpha=1,redundancy=selected", signals, 36).index, run("fastv", signals, 36).index);
}

TEST(BalancedTest, SelectedLooksAtWhatWasPickedOnly) {
  OwnedSignals signals{{1, 4}, {}, {}};
  signals.of[Signal::LastTextAttention] = {{.1F, .2F, .3F, .4F}, 1, 4};
  // Tokens 0 to 2 are alike, 3 stands alone: 3 is first, any of the others second, then their likeness
  // counts.
  signals.of[Signal::Hidden] = {{1, 0, 1, 0, 1, 0, 0, 1}, 4, 2};
  EXPECT_EQ(run("balanced:alpha=0,redundancy=selected", signals, 2).index, (Ints{0, 3}));
  EXPECT_EQ(run("balanced:redundancy=selected", signals, 2).index, (Ints{2, 3}));
  // Two pairs of twins: one of each, whatever the attention.
  signals.of[Signal::Hidden] = {{1, 0, 0, 1, 1, 0, 0, 1}, 4, 2};
  signals.of[Signal::LastTextAttention] = {{.4F, .0F, .4F, .1F}, 1, 4};
  EXPECT_EQ(run("balanced:alpha=0.2,redundancy=selected", signals, 2).index, (Ints{0, 3}));
  EXPECT_EQ(run("balanced:alpha=0.9,redundancy=selected", signals, 2).index, (Ints{0, 2}));
}

TEST(BalancedTest, RatersAreTheWordsThatLookAtTheImage) {
  OwnedSignals signals{{1, 2}, {}, {}};
  signals.of[Signal::Hidden] = {{1, 0, 0, 1}, 2, 2};
  signals.of[Signal::InputEmbeds] = {{1, 0, 1, 0}, 2, 2};
  signals.of[Signal::TextEmbeds] = {{0, 1, 5, 0, 0, 1}, 3, 2};  // the second word points where the image does
  // Two heads of three words; only rows 1 and 4 count.
  signals.of[Signal::TextAttention] = {{9, 0, .25F, .75F, 9, 0, 9, 0, .5F, .5F, 9, 0}, 6, 2};
  const std::string use = "balanced:alpha=1,normalise=none,importance=rater,redundancy=mean";
  EXPECT_EQ(run(use, signals, 1).scores, (std::vector<float>{.375F, .625F}));
  // No word stands out: all count.
  signals.of[Signal::TextEmbeds] = {{1, 1, 1, 1, 1, 1}, 3, 2};
  EXPECT_FLOAT_EQ(run(use, signals, 1).scores[0], 36.75F / 6);
}

TEST(BalancedTest, Scales) {
  OwnedSignals signals{{1, 4}, {}, {}};
  signals.of[Signal::LastTextAttention] = {{1, 3, 3, 5}, 1, 4};  // mean 3, deviation sqrt(2)
  signals.of[Signal::Hidden] = {{1, 1, 1, 1}, 4, 1};
  const auto scores = [&](const std::string& how) {
    return run("balanced:alpha=1,redundancy=mean,normalise=" + how, signals, 2).scores;
  };
  EXPECT_EQ(scores("none"), (std::vector<float>{1, 3, 3, 5}));
  EXPECT_EQ(scores("minmax"), (std::vector<float>{0, .5F, .5F, 1}));
  EXPECT_EQ(scores("rank"), (std::vector<float>{0, 1.0F / 3, 1.0F / 3, 1}));
  EXPECT_FLOAT_EQ(scores("zscore")[3], std::sqrt(2.0F));
  EXPECT_EQ(scores("zscore")[1], 0.0F);
}

TEST(BalancedTest, ConstantSignalsFallBackToTheOrder) {
  OwnedSignals signals = random_signals({3, 3}, 2);
  for (auto& [signal, matrix] : signals.of) std::fill(matrix.values.begin(), matrix.values.end(), 0.5F);
  for (const char* how : {"minmax", "zscore", "rank", "none"}) {
    for (const char* source : {"last_token", "mean", "max", "selected"}) {
      const std::string use = std::string("balanced:normalise=") + how + ",redundancy=" + source;
      EXPECT_EQ(run(use, signals, 4).index, (Ints{0, 1, 2, 3})) << use;
    }
  }
}

}  // namespace
}  // namespace winnow::prune
