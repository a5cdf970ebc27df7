// What must hold for every method of the registry with every kind of parameter value, on every grid and
// count. A new method is tested here without a line being added.

#include <gtest/gtest.h>

#include <cctype>
#include <limits>
#include <numeric>
#include <set>
#include <tuple>

#include "tests/prune/expect_error.h"
#include "tests/prune/random_signals.h"

namespace winnow::prune {
namespace {

using Ints = std::vector<int32_t>;
using test::expect_error;
using test::Matrix;
using test::OwnedSignals;
using test::random_signals;
using test::run;

/// The values of a parameter that are worth trying: ends of a range, every choice, windows that divide and
/// don't.
std::vector<std::string> values_to_try(const ParamSpec& spec) {
  switch (spec.kind) {
    case ParamKind::Real: return {std::to_string(spec.min), std::to_string(spec.max)};
    case ParamKind::Integer: {
      return {std::to_string(static_cast<int32_t>(spec.min)), std::to_string(static_cast<int32_t>(spec.max))};
    }
    case ParamKind::Choice: return spec.choices;
    case ParamKind::Window: return {"2x2", "3x5", "64x1"};
  }
  return {};
}

/// Every method with its defaults, and with each parameter at each of these values.
std::vector<std::string> all_uses() {
  std::vector<std::string> uses;
  for (const Method* method : selecting_methods()) {
    uses.push_back(method->info().name);
    for (const ParamSpec& spec : method->info().params) {
      for (const std::string& value : values_to_try(spec)) {
        uses.push_back(method->info().name + ":" + spec.name + "=" + value);
      }
    }
  }
  return uses;
}

/// Counts that a use allows on an image of n tokens, all of them (n) left out; the last is the method's own
/// if it is adaptive.
Ints counts_to_try(const MethodUse& use, const OwnedSignals& signals, int32_t n) {
  if (use.method->info().keeps_all) return {};
  if (const auto fixed = use.method->fixed_count(signals.grid, use.params)) {
    return signals.token_of.empty() && *fixed < n ? Ints{*fixed} : Ints{};
  }
  std::set<int32_t> counts{1, 2, n / 9, n / 4, n / 3, n / 2, n - 2, n - 1};
  Ints result;
  for (const int32_t count : counts) {
    if (count >= 1 && count < n) result.push_back(count);
  }
  if (use.method->info().adaptive) result.push_back(kMethodDecides);
  return result;
}

void expect_equal(const Plan& a, const Plan& b) {
  EXPECT_EQ(a.offsets, b.offsets);
  EXPECT_EQ(a.index, b.index);
  EXPECT_EQ(a.weight, b.weight);
  EXPECT_EQ(a.position_of, b.position_of);
  EXPECT_EQ(a.scores, b.scores);
}

bool reads_cls_token(const MethodUse& use) {
  const std::vector<Need> needs = use.method->needs(use.params);
  return std::any_of(needs.begin(), needs.end(),
                     [](const Need& need) { return need.signal == Signal::ClsToken; });
}

/// What MethodInfo says about the weights of an output. A selection uses no token twice.
void expect_weights(const Plan& plan, Outputs kind, int32_t n_in) {
  std::set<int32_t> used;
  for (int32_t out = 0; out < plan.n_out(); ++out) {
    ASSERT_FALSE(plan.sources(out).empty());
    double sum = 0;
    for (const float weight : plan.weights(out)) sum += static_cast<double>(weight);
    if (kind != Outputs::Sums) {
      EXPECT_NEAR(sum, 1.0, 1e-5) << "output " << out;
    }
    if (kind != Outputs::Selection) used.clear();
    for (const int32_t token : plan.sources(out)) {
      EXPECT_GE(token, 0);
      EXPECT_LT(token, n_in);
      EXPECT_TRUE(used.insert(token).second) << "token " << token << " is used twice";
    }
  }
}

/// n_keep: as asked for; kMethodDecides for any number up to n.
void expect_valid(const Plan& plan, const MethodUse& use, int32_t n, int32_t n_keep) {
  const MethodInfo& info = use.method->info();
  if (n_keep == kMethodDecides) {
    ASSERT_GE(plan.n_out(), 1);
    ASSERT_LE(plan.n_out(), n);
  } else {
    ASSERT_EQ(plan.n_out(), n_keep);
  }
  expect_weights(plan, info.outputs, reads_cls_token(use) ? n + 1 : n);
  EXPECT_TRUE(info.outputs != Outputs::Selection || plan.is_selection());
  EXPECT_TRUE(!info.raster_order || std::is_sorted(plan.position_of.begin(), plan.position_of.end()));
  EXPECT_EQ(std::set<int32_t>(plan.position_of.begin(), plan.position_of.end()).size(),
            static_cast<std::size_t>(plan.n_out()));
  EXPECT_TRUE(plan.scores.empty() || plan.scores.size() == static_cast<std::size_t>(n));
}

class EveryMethod : public ::testing::TestWithParam<std::tuple<std::string, Grid>> {
 protected:
  const std::string& text() const { return std::get<0>(GetParam()); }
  Grid grid() const { return std::get<1>(GetParam()); }
  MethodUse use() const { return parse_method(text()); }
  std::vector<Need> needs() const { return use().method->needs(use().params); }
};

TEST_P(EveryMethod, GivesExactlyWhatIsAsked) {
  const OwnedSignals signals = random_signals(grid(), 1);
  for (const int32_t n_keep : counts_to_try(use(), signals, grid().size())) {
    SCOPED_TRACE("n_keep " + std::to_string(n_keep));
    expect_valid(run(text(), signals, n_keep), use(), grid().size(), n_keep);
  }
}

TEST_P(EveryMethod, AdaptiveMethodsFindACount) {
  if (!use().method->info().adaptive) return;
  const OwnedSignals signals = random_signals(grid(), 1);
  const Plan plan = run(text(), signals, kMethodDecides, 7);
  EXPECT_GE(plan.n_out(), 1);
  expect_valid(plan, use(), grid().size(), plan.n_out());
  expect_equal(plan, run(text(), signals, kMethodDecides, 7));
}

TEST_P(EveryMethod, SameSeedSamePlan) {
  const OwnedSignals signals = random_signals(grid(), 2);
  for (const int32_t n_keep : counts_to_try(use(), signals, grid().size())) {
    expect_equal(run(text(), signals, n_keep, 7), run(text(), signals, n_keep, 7));
  }
}

TEST_P(EveryMethod, KeepingAllIsTheIdentity) {
  const MethodUse method = use();
  if (method.method->fixed_count(grid(), method.params).value_or(grid().size()) != grid().size()) return;
  expect_equal(run(text(), random_signals(grid(), 3), grid().size()), identity_plan(grid().size()));
}

TEST_P(EveryMethod, ReadsNothingThatItDoesNotDeclare) {
  const OwnedSignals signals = random_signals(grid(), 4);
  for (const int32_t n_keep : counts_to_try(use(), signals, grid().size())) {
    Rng rng(1);
    expect_equal(run(text(), signals, n_keep), run_method(use(), signals.view_all(needs()), n_keep, rng));
  }
}

TEST_P(EveryMethod, WorksOnAnAlreadyPrunedImage) {
  Rng rng(6);
  const int32_t n = grid().size() / 2 + 1;
  const OwnedSignals signals = random_signals(grid(), 5, rng.sample(grid().size(), n));
  for (const int32_t n_keep : counts_to_try(use(), signals, n))
    expect_valid(run(text(), signals, n_keep), use(), n, n_keep);
}

TEST_P(EveryMethod, BadSignalsAreNamed) {
  const OwnedSignals good = random_signals(grid(), 6);
  const Ints counts = counts_to_try(use(), good, grid().size());
  if (counts.empty()) return;
  const auto expect_rejected = [&](Signal signal, const char* what, const auto& change) {
    OwnedSignals bad = good;
    change(bad.of[signal]);
    expect_error(ErrorCode::InvalidArgument,
                 {what, std::string(signal_name(signal)), use().method->info().name},
                 [&] { run(text(), bad, counts.front()); });
  };
  for (const Need& need : needs()) {
    for (const float value : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                              -std::numeric_limits<float>::infinity()}) {
      expect_rejected(need.signal, "values", [&](Matrix& matrix) { matrix.values.back() = value; });
      expect_rejected(need.signal, "values", [&](Matrix& matrix) { matrix.values.front() = value; });
    }
    expect_rejected(need.signal, "shape", [](Matrix& matrix) { matrix.rows = 0; });
    expect_rejected(need.signal, "shape", [](Matrix& matrix) { matrix.cols = 0; });
    // A token too many, whichever way tokens run; one too few where more are allowed. Text may be of any
    // length.
    const SignalShape shape = signal_shape(need.signal);
    if (shape == SignalShape::Text) continue;
    expect_rejected(need.signal, "shape", [&](Matrix& matrix) {
      const bool by_column = matrix.cols == grid().size();
      const int64_t extra = shape == SignalShape::AllTokens ? -1 : 1;
      matrix = test::random_matrix(matrix.rows + (by_column ? 0 : extra),
                                   matrix.cols + (by_column ? extra : 0), [] { return 0.5; });
    });
  }
  if (needs().empty()) return;
  Signals bare;
  bare.grid = grid();
  Rng rng(1);
  expect_error(ErrorCode::InvalidArgument, {"got no"}, [&] { run_method(use(), bare, counts.front(), rng); });
}

TEST_P(EveryMethod, RanksWhenItKeepsTheBestOfItsScores) {
  if (grid().size() < 500) return;  // by chance on small grids
  const OwnedSignals signals = random_signals(grid(), 7);
  const Ints counts = counts_to_try(use(), signals, grid().size());
  bool best = !counts.empty() && counts.size() > 1;
  std::vector<float> scores;
  for (const int32_t n_keep : counts) {
    const Plan plan = run(text(), signals, n_keep);
    if (scores.empty()) scores = plan.scores;
    Ints ranked(scores.size());
    std::iota(ranked.begin(), ranked.end(), 0);
    std::stable_sort(ranked.begin(), ranked.end(),
                     [&](int32_t a, int32_t b) { return scores[a] > scores[b]; });
    ranked.resize(std::min(ranked.size(), static_cast<std::size_t>(n_keep)));
    std::sort(ranked.begin(), ranked.end());
    best = best && plan.is_selection() && plan.scores == scores && plan.index == ranked;
  }
  const bool says = use().method->ranks(use().params);
  if (says) {
    EXPECT_TRUE(best) << text() << " says that it ranks, but does not keep the best of its scores";
  }
  // At the edges of a parameter some methods come down to ranking and need not say so.
  if (text() == use().method->info().name) {
    EXPECT_EQ(says, best) << "Method::ranks() of " << text() << ": window() goes by it";
  }
}

std::string test_name(const ::testing::TestParamInfo<std::tuple<std::string, Grid>>& info) {
  const auto& [use, grid] = info.param;
  std::string name = use + "_on_" + std::to_string(grid.rows) + "x" + std::to_string(grid.cols);
  for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  return name;
}

INSTANTIATE_TEST_SUITE_P(Registry, EveryMethod,
                         ::testing::Combine(::testing::ValuesIn(all_uses()),
                                            ::testing::Values(Grid{6, 6}, Grid{5, 7}, Grid{24, 24},
                                                              Grid{1, 9})),
                         test_name);

TEST(FuzzTest, RandomSignalsNeverBreakAMethod) {
  Rng rng(20);
  const std::vector<std::string> uses = all_uses();
  for (int round = 0; round < 3000; ++round) {
    const Grid grid{static_cast<int32_t>(1 + rng.below(9)), static_cast<int32_t>(1 + rng.below(9))};
    Ints token_of;
    if (rng.below(3) == 0) {
      token_of =
          rng.sample(grid.size(), static_cast<int32_t>(1 + rng.below(static_cast<uint64_t>(grid.size()))));
    }
    OwnedSignals signals =  // a width that the 4 heads divide
        random_signals(grid, rng.next(), token_of, static_cast<int64_t>(4 * (1 + rng.below(10))));
    // Ties, zeros and numbers at the ends of float32 (not in attention, whose sum must stay finite).
    for (auto& [signal, matrix] : signals.of) {
      const SignalShape shape = signal_shape(signal);
      const bool attention = shape == SignalShape::PerHead || shape == SignalShape::OneRow;
      for (float& value : matrix.values) {
        const uint64_t kind = rng.below(12);
        if (kind == 0) value = 0.0F;
        if (kind == 1) value = matrix.values.front();
        if (kind == 2) value = 1e-42F;
        if (kind == 3 && !attention) value = rng.below(2) == 0 ? 3e38F : -3e38F;
      }
    }
    const std::string& text = uses[rng.below(uses.size())];
    const int32_t n = signals.view({}).n();
    for (const int32_t n_keep : counts_to_try(parse_method(text), signals, n)) {
      SCOPED_TRACE(text + ", round " + std::to_string(round) + ", n_keep " + std::to_string(n_keep));
      expect_valid(run(text, signals, n_keep, rng.next()), parse_method(text), n, n_keep);
      if (::testing::Test::HasFailure()) return;
    }
  }
}

/// Methods that look at each token by itself or at the set of all, never at where it stands.
class OrderFree : public ::testing::TestWithParam<std::string> {};

/// The same tokens in another order: new token i is old token order[i].
OwnedSignals permuted(const OwnedSignals& signals, const Ints& order) {
  OwnedSignals result = signals;
  for (auto& [signal, matrix] : result.of) {
    const Matrix& old = signals.of.at(signal);
    for (int64_t i = 0; i < static_cast<int64_t>(order.size()); ++i) {
      if (old.cols == static_cast<int64_t>(order.size())) {
        for (int64_t head = 0; head < old.rows; ++head)
          matrix.values[head * old.cols + i] = old.view()(head, order[i]);
      } else if (old.rows == static_cast<int64_t>(order.size())) {
        for (int64_t c = 0; c < old.cols; ++c) matrix.values[i * old.cols + c] = old.view()(order[i], c);
      }
    }
  }
  return result;
}

void expect_permuted_tokens_give_the_permuted_set(const std::string& use) {
  Rng rng(31);
  for (int round = 0; round < 20; ++round) {
    const OwnedSignals signals = random_signals({6, 7}, rng.next());
    Ints order(42);
    std::iota(order.begin(), order.end(), 0);
    for (std::size_t i = order.size() - 1; i > 0; --i) std::swap(order[i], order[rng.below(i + 1)]);
    const OwnedSignals shuffled = permuted(signals, order);
    for (const int32_t n_keep : {1, 5, 14, 41}) {
      Ints mapped;
      for (const int32_t token : run(use, shuffled, n_keep).index) mapped.push_back(order[token]);
      std::sort(mapped.begin(), mapped.end());
      EXPECT_EQ(mapped, run(use, signals, n_keep).index) << use << ", n_keep " << n_keep;
    }
  }
}

TEST_P(OrderFree, PermutedTokensGiveThePermutedSet) {
  expect_permuted_tokens_give_the_permuted_set(GetParam());
}

/// Order-free too, but where everything ties, its split of a list into two decides.
TEST(VisPrunerTest, PermutedTokensGiveThePermutedSet) {
  expect_permuted_tokens_give_the_permuted_set("vispruner");
}

TEST_P(OrderFree, TiesGoToTheLowerIndex) {
  OwnedSignals signals = random_signals({6, 6}, 1);
  for (auto& [signal, matrix] : signals.of) std::fill(matrix.values.begin(), matrix.values.end(), 0.25F);
  EXPECT_EQ(run(GetParam(), signals, 5).index, (Ints{0, 1, 2, 3, 4}));
}

TEST_P(OrderFree, KeptTokensScoreNoLessThanDropped) {
  const OwnedSignals signals = random_signals({12, 12}, 8);
  const Plan plan = run(GetParam(), signals, 30);
  if (plan.scores.empty()) return;  // it compares tokens with each other and gives none a score of its own
  std::vector<float> ranked = plan.scores;
  std::sort(ranked.rbegin(), ranked.rend());
  for (const int32_t token : plan.index) EXPECT_GE(plan.scores[static_cast<std::size_t>(token)], ranked[29]);
}

INSTANTIATE_TEST_SUITE_P(
    Scorers, OrderFree,
    ::testing::Values("fastervlm", "hired", "fastv", "fastv_vis", "balanced", "balanced:importance=cls",
                      "balanced:redundancy=mean", "balanced:redundancy=max", "divprune", "scope",
                      "scope:combine=add", "cdpruner", "cdpruner:relevance=clip", "cdpruner:theta=0.5", "mmr",
                      "mmr:importance=l2", "mmr:importance=text", "greedyprune", "greedyprune:tau=0.3",
                      "balanced:importance=column", "balanced:importance=rater", "balanced:importance=l2",
                      "balanced:normalise=zscore", "balanced:normalise=none", "pyramiddrop", "v2drop",
                      "v2drop:norm=l1", "v2drop:norm=cosine", "mustdrop:keys=0"));

}  // namespace
}  // namespace winnow::prune
