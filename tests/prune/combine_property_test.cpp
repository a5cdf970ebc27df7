// What must hold for window() of every method that ranks, for every cascade, and for any text at all.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <set>

#include "tests/prune/random_signals.h"
#include "winnow/base/error.h"
#include "winnow/prune/cascade.h"
#include "winnow/prune/syntax.h"

namespace winnow::prune {
namespace {

using Ints = std::vector<int32_t>;
using test::OwnedSignals;

/// Every method with its defaults and with every choice of every parameter.
std::vector<std::string> uses(bool ranking_only) {
  std::vector<std::string> result;
  const auto add = [&](const std::string& text) {
    const MethodUse use = parse_method(text);
    if (!ranking_only || use.method->ranks(use.params)) result.push_back(text);
  };
  for (const Method* method : selecting_methods()) {
    add(method->info().name);
    for (const ParamSpec& spec : method->info().params) {
      for (const std::string& choice : spec.choices)
        add(method->info().name + ":" + spec.name + "=" + choice);
    }
  }
  return result;
}

/// Tokens of each window in the order of the rule: rows of windows from the top, every other one from the
/// right.
std::vector<Ints> windows(const Signals& signals, Window window) {
  std::vector<Ints> result;
  const Grid grid = signals.grid;
  for (int32_t top = 0; top < grid.rows; top += window.rows) {
    Ints lefts;
    for (int32_t left = 0; left < grid.cols; left += window.cols) lefts.push_back(left);
    if (top / window.rows % 2 == 1) std::reverse(lefts.begin(), lefts.end());
    for (const int32_t left : lefts) {
      Ints& tokens = result.emplace_back();
      for (int32_t j = 0; j < signals.n(); ++j) {
        const int32_t row = signals.cell(j) / grid.cols - top;
        const int32_t col = signals.cell(j) % grid.cols - left;
        if (row >= 0 && row < window.rows && col >= 0 && col < window.cols) tokens.push_back(j);
      }
    }
  }
  return result;
}

/// Counts follow the rule; inside a window nothing that was dropped is better than what was kept.
void expect_windowed(const Plan& plan, const Signals& signals, Window window, int32_t n_keep) {
  ASSERT_EQ(plan.n_out(), n_keep);
  ASSERT_TRUE(plan.is_selection());
  ASSERT_TRUE(std::is_sorted(plan.index.begin(), plan.index.end()));
  const std::set<int32_t> kept(plan.index.begin(), plan.index.end());
  int64_t seen = 0;
  for (const Ints& tokens : windows(signals, window)) {
    const int64_t due = n_keep * (seen + std::ssize(tokens)) / signals.n() - n_keep * seen / signals.n();
    seen += std::ssize(tokens);
    int64_t count = 0;
    float worst_kept = INFINITY;
    float best_dropped = -INFINITY;
    for (const int32_t token : tokens) {
      const float score = plan.scores[static_cast<std::size_t>(token)];
      if (kept.contains(token)) {
        ++count;
        worst_kept = std::min(worst_kept, score);
      } else {
        best_dropped = std::max(best_dropped, score);
      }
    }
    ASSERT_EQ(count, due);
    ASSERT_LE(std::abs(static_cast<double>(count) -
                       static_cast<double>(n_keep) * static_cast<double>(tokens.size()) / signals.n()),
              1.0);
    ASSERT_GE(worst_kept, best_dropped);
  }
  ASSERT_EQ(seen, signals.n());
}

class EveryRanking : public ::testing::TestWithParam<std::string> {};

TEST_P(EveryRanking, WindowKeepsWhatTheRuleSays) {
  Rng rng(41);
  for (const Grid grid : {Grid{12, 12}, Grid{5, 7}, Grid{1, 9}}) {
    for (const bool whole : {true, false}) {
      const Ints token_of = whole ? Ints{} : rng.sample(grid.size(), grid.size() / 2 + 1);
      const OwnedSignals signals = test::random_signals(grid, rng.next(), token_of);
      const int32_t n = signals.view({}).n();
      for (const Window window : {Window{2, 2}, Window{3, 5}, Window{64, 1}, Window{1, 1}}) {
        const std::string text = fmt::format("window({}, {}x{})", GetParam(), window.rows, window.cols);
        const MethodUse use = parse_method(text);
        for (const int32_t n_keep : {1, 2, n / 3, n / 2, n - 1}) {
          SCOPED_TRACE(fmt::format("{}, {} of {} on {}x{}", text, n_keep, n, grid.rows, grid.cols));
          const Plan plan = test::run(text, signals, n_keep);
          expect_windowed(plan, signals.view({}), window, n_keep);
          EXPECT_EQ(plan.scores, test::run(GetParam(), signals, n_keep).scores);
        }
        Rng unused(1);
        EXPECT_EQ(run_method(use, signals.view({}), n, unused).index, identity_plan(n).index);
      }
    }
  }
}

TEST_P(EveryRanking, OneWindowIsTheMethodItself) {
  const OwnedSignals signals = test::random_signals({9, 9}, 17);
  for (const int32_t n_keep : {1, 20, 80}) {
    EXPECT_EQ(test::run(fmt::format("window({}, 9x9)", GetParam()), signals, n_keep).index,
              test::run(GetParam(), signals, n_keep).index);
  }
}

TEST_P(EveryRanking, WindowRoundTrips) {
  const std::string text = parse_method(fmt::format("window({}, 3x4)", GetParam())).to_string();
  EXPECT_EQ(parse_method(text).to_string(), text);
}

std::string test_name(const ::testing::TestParamInfo<std::string>& param) {
  std::string name = param.param;
  for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  return name;
}

INSTANTIATE_TEST_SUITE_P(Registry, EveryRanking, ::testing::ValuesIn(uses(true)), test_name);

TEST(EveryUse, WindowRanksOrSaysThatItCannot) {
  for (const std::string& text : uses(false)) {
    const MethodUse use = parse_method(text);
    try {
      parse_method(fmt::format("window({})", text));
      EXPECT_TRUE(use.method->ranks(use.params)) << text;
    } catch (const Error& error) {
      EXPECT_FALSE(use.method->ranks(use.params)) << text << ": " << error.what();
      EXPECT_NE(
          std::string(error.what()).find("window() needs a method that ranks tokens, " + use.to_string()),
          std::string::npos)
          << error.what();
    }
  }
}

TEST(EveryCascade, RoundTrips) {
  Rng rng(43);
  std::vector<std::string> all = uses(false);
  for (const std::string& text : uses(true)) all.push_back(fmt::format("window({}, 3x3)", text));
  int32_t n_parsed = 0;
  for (int round = 0; round < 3000; ++round) {
    std::vector<std::string> parts;
    std::vector<std::string> keeps;
    int32_t layer = static_cast<int32_t>(rng.below(4)) - 1;
    for (uint64_t i = 0, n = 1 + rng.below(4); i < n; ++i) {
      parts.push_back(all[rng.below(all.size())]);
      if (layer >= 0)
        parts.back() += rng.below(2) == 0 ? fmt::format("@{}", layer) : fmt::format(" @ {} ", layer);
      layer += static_cast<int32_t>(rng.below(9));
      keeps.push_back(rng.below(2) == 0 ? "50%" : std::to_string(1 + rng.below(99)));
    }
    const std::string text = fmt::format("then({})", fmt::join(parts, rng.below(2) == 0 ? "," : " , "));
    std::vector<Step> steps;
    try {
      steps = parse_steps(text, fmt::format("{}", fmt::join(keeps, ",")), BudgetMode::Exact, -1, 32);
    } catch (const Error&) {
      continue;  // layers that a method does not take
    }
    ++n_parsed;
    ASSERT_EQ(steps.size(), parts.size()) << text;
    const std::string written = steps_to_string(steps);
    const auto again = parse_steps(written, budgets_to_string(steps), BudgetMode::Exact, -1, 32);
    ASSERT_EQ(steps_to_string(again), written) << text;
    ASSERT_EQ(budgets_to_string(again), budgets_to_string(steps)) << text;
  }
  EXPECT_GT(n_parsed, 300);
}

/// Nothing but Error comes out, and what is read is written so that it reads the same.
void expect_harmless(const std::string& text, const std::string& keeps) {
  SCOPED_TRACE(fmt::format("'{}' keep '{}'", text.substr(0, 200), keeps.substr(0, 200)));
  try {
    const MethodUse use = parse_method(text);
    EXPECT_EQ(parse_method(use.to_string()).to_string(), use.to_string());
  } catch (const Error& error) {
    EXPECT_NE(error.code(), ErrorCode::Internal) << error.what();
  }
  try {
    const auto steps = parse_steps(text, keeps, BudgetMode::Exact, -1, 32);
    const std::string written = steps_to_string(steps);
    EXPECT_EQ(steps_to_string(parse_steps(written, budgets_to_string(steps), BudgetMode::Exact, -1, 32)),
              written);
  } catch (const Error& error) {
    EXPECT_NE(error.code(), ErrorCode::Internal) << error.what();
  }
}

TEST(ParserFuzz, RandomWords) {
  const std::vector<std::string> words{"fastv",      "window",    "then", "balanced", "pooling",
                                       "window=2x2", "alpha=0.3", "none", "(",        ")",
                                       "(",          ")",         ",",    ",",        ":",
                                       "=",          "@",         "@2",   "@tower",   "2x2",
                                       "3x3",        " ",         "x",    "25%",      "importance=cls",
                                       "random",     "-1",        "9"};
  const std::vector<std::string> budgets{"9", "50%", ",", "", " ", "%", "x"};
  Rng rng(47);
  for (int round = 0; round < 60000; ++round) {
    std::string text;
    std::string keeps;
    for (uint64_t i = 0, n = rng.below(14); i < n; ++i) text += words[rng.below(words.size())];
    for (uint64_t i = 0, n = rng.below(5); i < n; ++i) keeps += budgets[rng.below(budgets.size())];
    expect_harmless(text, keeps);
    if (::testing::Test::HasFailure()) return;
  }
}

TEST(ParserFuzz, RandomBytesAndChangedTexts) {
  const std::string good =
      "then(balanced:alpha=0.3,importance=cls@2, window(balanced:alpha=1, 3x3)@8, random@9)";
  Rng rng(53);
  for (int round = 0; round < 40000; ++round) {
    std::string text = good;
    if (round % 3 == 0) text.assign(rng.below(40), ' ');
    for (uint64_t i = 0, n = 1 + rng.below(round % 3 == 0 ? 40 : 4); i < n && !text.empty(); ++i) {
      const std::size_t at = rng.below(text.size());
      const uint64_t kind = rng.below(3);
      if (kind == 0) text.erase(at, 1 + rng.below(5));
      if (kind == 1) text.insert(at, 1, static_cast<char>(rng.below(256)));
      if (kind == 2) text[at] = good[rng.below(good.size())];
    }
    expect_harmless(text, "50%,25%,9");
    if (::testing::Test::HasFailure()) return;
  }
}

TEST(ParserFuzz, DeepAndLongTexts) {
  for (const char* piece :
       {"(", ")", "window(", "then(", "then(fastv,", "window(fastv,2x2", "@", ",", ":", "a", "fastv,"}) {
    std::string text;
    for (int i = 0; i < 50000; ++i) text += piece;
    expect_harmless(text, "9");
    expect_harmless(fmt::format("then({})", text), "9");
    expect_harmless(fmt::format("window({})", text), "9");
    std::string closed = text;
    closed.append(50000, ')');
    expect_harmless(closed, "9");
  }
  std::string keeps;
  for (int i = 0; i < 50000; ++i) keeps += "9,";
  expect_harmless("fastv", keeps);
}

}  // namespace
}  // namespace winnow::prune
