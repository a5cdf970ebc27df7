// window(METHOD, RxC) and then(STEP, ...): how they are written, and what they come to.

#include <gtest/gtest.h>

#include "tests/prune/expect_error.h"
#include "tests/prune/random_signals.h"
#include "winnow/prune/cascade.h"
#include "winnow/prune/syntax.h"

namespace winnow::prune {
namespace {

using Ints = std::vector<int32_t>;
using test::expect_error;
using test::OwnedSignals;
using test::random_signals;
using test::run;

constexpr const char* kBalanced =
    "balanced:alpha=0.3,features=hidden,importance=cls,normalise=minmax,redundancy=last_token";

void expect_parse_error(const std::string& text, const std::vector<std::string>& parts,
                        ErrorCode code = ErrorCode::InvalidArgument) {
  SCOPED_TRACE(text);
  expect_error(code, parts, [&] { parse_method(text); });
}

TEST(SyntaxTest, SplitsOutsideParentheses) {
  using Parts = std::vector<std::string_view>;
  EXPECT_EQ(split_outside("a, b(c, d) ,e", ','), (Parts{"a", "b(c, d)", "e"}));
  EXPECT_EQ(split_outside("", ','), (Parts{""}));
  EXPECT_EQ(split_outside(" ,", ','), (Parts{"", ""}));
  EXPECT_EQ(trimmed(" \t a b\n"), "a b");
  EXPECT_EQ(trimmed("  "), "");
  for (const char* text : {"(", ")", "a(b", "a)b", ")(", "((a)"}) {
    expect_error(ErrorCode::InvalidArgument, {"parentheses", text}, [&] { split_outside(text, ','); });
  }
}

TEST(SyntaxTest, Calls) {
  const auto call = parse_call(" window ( fastv , 2x2 ) ");
  ASSERT_TRUE(call);
  EXPECT_EQ(call->name, "window");
  EXPECT_EQ(call->arguments, "fastv , 2x2");
  for (const char* text : {"", "fastv", "balanced:alpha=(1)", "a,b(c)", "a@b(c)"})
    EXPECT_FALSE(parse_call(text)) << text;
  expect_error(ErrorCode::InvalidArgument, {"got 'b' behind"}, [] { parse_call("w(a)b"); });
  expect_error(ErrorCode::InvalidArgument, {"got '(b)' behind"}, [] { parse_call("w(a)(b)"); });
}

TEST(WindowTest, Parses) {
  EXPECT_EQ(parse_method("window(fastv)").to_string(), "window(fastv, 2x2)");
  EXPECT_EQ(parse_method("window(fastv,3x5)").to_string(), "window(fastv, 3x5)");
  for (const char* text : {"window(balanced:alpha=0.3,importance=cls, 3x3)",
                           "  window (balanced : alpha = 0.30 ,importance= cls,3x3 ) "}) {
    EXPECT_EQ(parse_method(text).to_string(), std::string("window(") + kBalanced + ", 3x3)");
  }
  EXPECT_EQ(parse_method("window(balanced:alpha=0.3,importance=cls)").to_string(),
            std::string("window(") + kBalanced + ", 2x2)");
  const MethodUse use = parse_method("window(fastv, 3x3)");
  EXPECT_EQ(parse_method(use.to_string()).to_string(), use.to_string());
  EXPECT_EQ(use.method->info().name, use.to_string());
}

TEST(WindowTest, IsWindowFastV) {
  for (const Grid grid : {Grid{12, 12}, Grid{5, 7}}) {
    const OwnedSignals whole = random_signals(grid, 1);
    const OwnedSignals pruned = random_signals(grid, 2, {0, 3, 4, 8, 9, 11, 17, 20, 21, 30});
    for (const char* size : {"2x2", "3x3", "1x4", "40x40"}) {
      for (const OwnedSignals* signals : {&whole, &pruned}) {
        for (const int32_t n_keep : {1, 4, 9}) {
          const Plan by_name = run(std::string("window_fastv:window=") + size, *signals, n_keep);
          const Plan combined = run(std::string("window(fastv, ") + size + ")", *signals, n_keep);
          EXPECT_EQ(combined.index, by_name.index) << size;
          EXPECT_EQ(combined.scores, by_name.scores) << size;
        }
      }
    }
  }
}

TEST(WindowTest, ActsWhereItsMethodDoes) {
  const auto step = [](const char* text) { return make_step(text, "9", BudgetMode::Exact, -1, 32); };
  EXPECT_EQ(step("window(fastv)").layer, 2);
  EXPECT_EQ(default_position(step("window(fastv)")), PositionPolicy::Original);
  EXPECT_EQ(step("window(fastervlm)").layer, kAfterTower);
  EXPECT_EQ(default_position(step("window(fastervlm)")), PositionPolicy::Compact);
  const Step projected = step("window(balanced:features=projected,importance=cls,redundancy=mean, 3x3)");
  EXPECT_EQ(projected.layer, kAfterTower);
  EXPECT_EQ(default_position(projected), PositionPolicy::Compact);
  const MethodUse use = parse_method("window(balanced:importance=cls)");
  EXPECT_EQ(use.method->needs(use.params),
            (std::vector<Need>{{Signal::ClsAttention}, {Signal::Hidden}, {Signal::HiddenLast}}));
}

TEST(WindowTest, NeedsAMethodThatRanks) {
  for (const char* name : {"none", "random", "grid", "pooling", "m3", "bilinear"}) {
    expect_parse_error(std::string("window(") + name + ", 2x2)",
                       {"window() needs a method that ranks tokens, ", name, " does not"});
  }
  expect_parse_error("window(window_fastv)", {"window_fastv:window=2x2 does not"});
  expect_parse_error("window(window(fastv), 2x2)",
                     {"window() needs a method that ranks tokens, window() does not"});
  expect_parse_error("window(then(fastv), 2x2)", {"then() does not"});
  expect_parse_error("window(balanced:redundancy=selected, 2x2)", {"redundancy=selected does not"});
}

TEST(WindowTest, BadTextIsNamed) {
  expect_parse_error("window(fastw, 2x2)", {"unknown method, got 'fastw'"}, ErrorCode::NotFound);
  expect_parse_error("window()", {"unknown method, got ''"}, ErrorCode::NotFound);
  expect_parse_error("window", {"unknown method, got 'window'"}, ErrorCode::NotFound);
  expect_parse_error("frame(fastv, 2x2)", {"unknown combination, got 'frame(...)'"}, ErrorCode::NotFound);
  for (const char* size : {"", "2", "0x2", "2x", "2x2x2", "2 x 2", "9999x1", "axb", "fastv", "-1x2"}) {
    expect_parse_error(std::string("window(fastv, ") + size + ")",
                       {std::string("size of window(), got '") + size + "'", "ROWSxCOLUMNS"});
  }
  expect_parse_error("window(fastv, 2x2, 3x3)", {"unknown method"}, ErrorCode::NotFound);
  expect_parse_error("window(balanced:alpha=2, 3x3)", {"balanced:alpha", "'2'"});
  expect_parse_error("window(fastv, 2x2", {"parentheses"});
  expect_parse_error("window(fastv, 2x2))", {"behind the closing parenthesis"});
  expect_parse_error("then(fastv, fastv@9)", {"cascade", "one method"});
}

TEST(WindowTest, AUseOwnsItsMethod) {
  MethodUse copy;
  {
    const MethodUse use = parse_method("window(fastv, 4x4)");
    copy = use;
  }
  const OwnedSignals signals = random_signals({8, 8}, 5);
  Rng rng(1);
  EXPECT_EQ(run_method(copy, signals.view({{Signal::LastTextAttention}}), 4, rng).n_out(), 4);
  EXPECT_EQ(copy.to_string(), "window(fastv, 4x4)");
  EXPECT_EQ(parse_method("fastv").owner, nullptr);
}

/// "METHOD@LAYER BUDGET" of each step.
std::vector<std::string> steps(const std::string& text, const std::string& keeps, int32_t layer = -1) {
  std::vector<std::string> out;
  for (const Step& step : parse_steps(text, keeps, BudgetMode::Exact, layer, 32)) {
    out.push_back(step.use.to_string() + "@" + std::to_string(step.layer) + " " + step.budget.to_string());
  }
  return out;
}

using Texts = std::vector<std::string>;

TEST(CascadeTest, OneStepNeedsNoThen) {
  EXPECT_EQ(steps("fastv", "25%"), (Texts{"fastv@2 25%"}));
  EXPECT_EQ(steps("fastv", "144", 5), (Texts{"fastv@5 144"}));
  EXPECT_EQ(steps("fastv@7", "144"), (Texts{"fastv@7 144"}));
  EXPECT_EQ(steps("then(fastv@7)", "144"), (Texts{"fastv@7 144"}));
  EXPECT_EQ(steps("random@tower", "9"), (Texts{"random@-1 9"}));
  EXPECT_EQ(steps("fastervlm@tower", "9"), (Texts{"fastervlm@-1 9"}));
  EXPECT_EQ(steps("none", ""), (Texts{"none@-1 100%"}));
  EXPECT_EQ(steps("window(fastv, 3x3)@4", "9"), (Texts{"window(fastv, 3x3)@4 9"}));
}

TEST(CascadeTest, StepsInOrderWithTheirBudgets) {
  EXPECT_EQ(steps("then(fastervlm, fastv@2, random@16)", "50%,25%,9"),
            (Texts{"fastervlm@-1 50%", "fastv@2 25%", "random@16 9"}));
  EXPECT_EQ(steps(" then( fastervlm @ tower , window( fastv , 3x3 ) @ 16 ) ", " 50% , 9 "),
            (Texts{"fastervlm@-1 50%", "window(fastv, 3x3)@16 9"}));
  EXPECT_EQ(steps("then(fastervlm, random)", "50%,9"), (Texts{"fastervlm@-1 50%", "random@-1 9"}));
}

TEST(CascadeTest, CommasOfParametersBelongToTheirMethod) {
  EXPECT_EQ(
      steps("then(balanced:alpha=0.3,importance=cls@2, window(balanced:alpha=0.3,importance=cls, 3x3)@8)",
            "50%,9"),
      (Texts{std::string(kBalanced) + "@2 50%", std::string("window(") + kBalanced + ", 3x3)@8 9"}));
}

TEST(CascadeTest, OneBudgetIsForTheLast) {
  EXPECT_EQ(steps("then(pooling:window=2x2, fastv)", "25%"),
            (Texts{"pooling:window=2x2@-1 ", "fastv@2 25%"}));
  EXPECT_EQ(steps("then(pooling:window=2x2, fastv)", ",25%"),
            (Texts{"pooling:window=2x2@-1 ", "fastv@2 25%"}));
  EXPECT_EQ(steps("then(fastv, none@9)", "25%,"), (Texts{"fastv@2 25%", "none@9 100%"}));
  expect_error(ErrorCode::InvalidArgument, {"fastervlm", "nothing"},
               [] { steps("then(fastervlm, fastv)", "25%"); });
  expect_error(ErrorCode::InvalidArgument, {"fastv", "nothing"},
               [] { steps("then(fastervlm, fastv)", "25%,"); });
  expect_error(ErrorCode::InvalidArgument, {"budgets, got 3", "'1,2,3'", "expected 2"},
               [] { steps("then(fastervlm, fastv)", "1,2,3"); });
  expect_error(ErrorCode::InvalidArgument, {"budgets, got 2", "expected 1"},
               [] { steps("fastv", "144,64"); });
  expect_error(ErrorCode::InvalidArgument, {"'x'", "whole number"},
               [] { steps("then(fastervlm, fastv)", "50%,x"); });
}

TEST(CascadeTest, LayersAreChecked) {
  const auto fails = [](const std::string& text, const std::vector<std::string>& parts, int32_t layer = -1) {
    SCOPED_TRACE(text);
    expect_error(ErrorCode::InvalidArgument, parts, [&] { steps(text, "9,9", layer); });
  };
  fails("then(fastv@5, random@3)", {"random", "got 3 after 5", "ascending"});
  fails("then(fastv@5, random@5)", {"random", "got 5 after 5"});
  fails("then(fastv, fastervlm)", {"fastervlm", "got tower after 2"});
  fails("then(fastv@2, random@tower)", {"random", "got tower after 2"});
  fails("then(fastv@tower, random@3)", {"fastv", "got tower", "inside the decoder"});
  fails("then(fastervlm@2, random@3)", {"fastervlm", "after the tower"});
  fails("then(fastv@0, random@3)", {"fastv", "got 0", "1 to 31"});
  fails("then(fastv@2, random@32)", {"random", "got 32"});
  fails("then(fastervlm, fastv)", {"layer, got 7", "METHOD@LAYER"}, 7);
  for (const char* layer : {"", "-1", "two", "2.5", "Tower", "99999999999", "+3"}) {
    fails(std::string("then(fastervlm, fastv@") + layer + ")",
          {std::string("layer of a step, got '") + layer + "'"});
  }
  fails("then(fastervlm, fastv@2@3)", {"'fastv@2@3'", "METHOD@LAYER"});
  expect_error(ErrorCode::InvalidArgument, {"layer, got 7", "fastv@5"}, [] { steps("fastv@5", "9", 7); });
}

TEST(CascadeTest, BadTextIsNamed) {
  const auto fails = [](const std::string& text, const std::vector<std::string>& parts, ErrorCode code) {
    SCOPED_TRACE(text);
    expect_error(code, parts, [&] { parse_cascade(text); });
  };
  fails("then()", {"unknown method, got ''"}, ErrorCode::NotFound);
  fails("then(fastv,)", {"unknown method, got ''"}, ErrorCode::NotFound);
  fails("then(fastv", {"parentheses"}, ErrorCode::InvalidArgument);
  fails("then(fastv)@3", {"cascade"}, ErrorCode::InvalidArgument);
  fails("then(then(fastv), random)", {"cascade"}, ErrorCode::InvalidArgument);
  fails("then(alpha=3, fastv)", {"unknown method, got 'alpha=3'"}, ErrorCode::NotFound);
  fails("then( , alpha=3)", {"unknown method, got ', alpha=3'"}, ErrorCode::NotFound);
  fails("then(fastv, alpha=3)", {"unknown method, got 'fastv, alpha=3'"}, ErrorCode::NotFound);
  fails("after(fastv, random)", {"unknown combination, got 'after(...)'"}, ErrorCode::NotFound);
  fails("then(window(pooling), fastv)", {"pooling does not"}, ErrorCode::InvalidArgument);
}

TEST(CascadeTest, TextRoundTrips) {
  for (const auto& [text, keeps] : std::vector<std::pair<std::string, std::string>>{
           {"fastv", "25%"},
           {"then(fastervlm, fastv@2, random@16)", "50%,25%,9"},
           {"then(pooling:window=2x2, window(balanced:alpha=0.3,importance=cls, 3x3)@8)", "12.5%"},
           {"then(balanced:alpha=0.25@3, balanced:redundancy=max,alpha=1@4)", "100,50%"},
           {"then(none, random)", ",7"}}) {
    const std::vector<Step> first = parse_steps(text, keeps, BudgetMode::Exact, -1, 32);
    const std::string written = steps_to_string(first);
    const std::vector<Step> second =
        parse_steps(written, budgets_to_string(first), BudgetMode::Exact, -1, 32);
    ASSERT_EQ(second.size(), first.size()) << written;
    EXPECT_EQ(steps_to_string(second), written);
    EXPECT_EQ(budgets_to_string(second), budgets_to_string(first));
    for (std::size_t i = 0; i < first.size(); ++i) EXPECT_EQ(second[i].layer, first[i].layer) << written;
  }
  EXPECT_EQ(steps_to_string(parse_steps("then(fastervlm, window(fastv))", "9,5", BudgetMode::Exact, -1, 32)),
            "then(fastervlm@tower, window(fastv, 2x2)@2)");
}

TEST(CascadeTest, OtherModesSpeakOfOneStep) {
  const auto parse = [](const char* text, const char* keeps, BudgetMode mode) {
    return parse_steps(text, keeps, mode, -1, 32, 4);
  };
  for (const BudgetMode mode : {BudgetMode::LayerAverage, BudgetMode::Total, BudgetMode::ReductionRate}) {
    expect_error(ErrorCode::InvalidArgument, {std::string(budget_mode_name(mode)), "2 steps", "exact"},
                 [&] { parse("then(fastervlm, fastv)", "50%,25%", mode); });
    const std::vector<Step> one = parse("then(pooling:window=2x2, fastv)", "25%", mode);
    EXPECT_EQ(one[1].budget.mode, mode);
    EXPECT_EQ(one[1].budget.tacr, 4);
  }
  EXPECT_EQ(parse("then(fastervlm, fastv)", "50%,25%", BudgetMode::Exact)[0].budget.tacr, 4);
}

TEST(CascadeTest, TrainingAwareBudgetReachesTheQuotas) {
  const std::vector<Step> total = parse_steps("fastv", "11.1%", BudgetMode::Total, -1, 28, 4);
  EXPECT_EQ(step_quotas(total[0], std::vector<Grid>{{24, 24}}, Ints{576}, 28), (Ints{256}));
  const std::vector<Step> rate = parse_steps("fastv", "33.3%", BudgetMode::ReductionRate, -1, 28, 4);
  EXPECT_EQ(step_quotas(rate[0], std::vector<Grid>{{36, 36}}, Ints{1296}, 28), (Ints{1080}));
}

TEST(BudgetsTest, Lists) {
  EXPECT_TRUE(parse_budgets("", BudgetMode::Exact).empty());
  EXPECT_TRUE(parse_budgets("  ", BudgetMode::Exact).empty());
  EXPECT_EQ(parse_budgets("50%", BudgetMode::Exact).size(), 1U);
  const std::vector<Budget> list = parse_budgets(" 50% ,, 9,", BudgetMode::LayerAverage);
  ASSERT_EQ(list.size(), 4U);
  EXPECT_EQ(list[0].to_string(), "50%");
  EXPECT_EQ(list[1].to_string(), "");
  EXPECT_EQ(list[2].to_string(), "9");
  EXPECT_EQ(list[3].to_string(), "");
  for (const Budget& budget : list) EXPECT_EQ(budget.mode, BudgetMode::LayerAverage);
}

}  // namespace
}  // namespace winnow::prune
