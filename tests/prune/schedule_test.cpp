#include "winnow/prune/schedule.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/prune/expect_error.h"
#include "tests/support/recorder_method.h"

namespace winnow::prune {
namespace {

using Ints = std::vector<int32_t>;
using test::expect_error;
using testing::RecorderMethod;

int32_t keep(const std::string& text, BudgetMode mode, int32_t n, int32_t layer, int32_t n_layer) {
  return tokens_to_keep(parse_budget(text, mode), n, layer, n_layer);
}

TEST(BudgetTest, ParsesCountsAndPercentages) {
  EXPECT_DOUBLE_EQ(parse_budget("144").value, 144);
  EXPECT_FALSE(parse_budget("144").percent);
  EXPECT_DOUBLE_EQ(parse_budget("12.5%").value, 12.5);
  EXPECT_TRUE(parse_budget("12.5%").percent);
  EXPECT_EQ(parse_budget("1", BudgetMode::LayerAverage).mode, BudgetMode::LayerAverage);
  for (const char* text : {"144", "25%", "12.5%", "100%", "1"})
    EXPECT_EQ(parse_budget(text).to_string(), text);
  EXPECT_EQ(Budget{}.to_string(), "");
}

TEST(BudgetTest, RejectsEverythingElse) {
  for (const char* text : {"",     "0",    "-1",     "+5",     "2.5",
                           "2.0",  "abc",  "12a",    " 12",    "12 ",
                           "1e3",  "0x10", "nan",    "inf",    "%",
                           "0%",   "-5%",  "100.1%", "25%%",   "1e1%",
                           "nan%", ".",    ".%",     "1.2.3%", "99999999999999999999"}) {
    expect_error(ErrorCode::InvalidArgument, {std::string("'") + text + "'", "whole number", "percentage"},
                 [&] { parse_budget(text); });
  }
}

TEST(BudgetTest, NothingIsABudgetOnlyWhereItIsMeant) {
  for (const char* text : {"0", "0%"}) {
    const Budget budget = parse_budget(text, BudgetMode::Exact, true);
    EXPECT_TRUE(budget.given());
    EXPECT_EQ(budget.to_string(), text);
    EXPECT_EQ(tokens_to_keep(budget, 576, 2, 32), 0);
    expect_error(ErrorCode::InvalidArgument, {"from 1", "above 0%"}, [&] { parse_budget(text); });
  }
  EXPECT_FALSE(Budget{}.given());
  expect_error(ErrorCode::InvalidArgument, {"'-1'", "from 0", "from 0%"},
               [] { parse_budget("-1", BudgetMode::Exact, true); });
  expect_error(ErrorCode::InvalidArgument, {"layer average, got 0"},
               [] { tokens_to_keep(parse_budget("0", BudgetMode::LayerAverage, true), 576, 2, 32); });
}

TEST(BudgetTest, ModeNamesRoundTrip) {
  EXPECT_EQ(parse_budget_mode("exact"), BudgetMode::Exact);
  EXPECT_EQ(parse_budget_mode("average"), BudgetMode::LayerAverage);
  for (const char* name : {"exact", "average", "total", "trr"})
    EXPECT_EQ(budget_mode_name(parse_budget_mode(name)), name);
  expect_error(ErrorCode::InvalidArgument, {"'mean'", "exact, average, total or trr"},
               [] { parse_budget_mode("mean"); });
}

TEST(TokensToKeepTest, ExactCounts) {
  EXPECT_EQ(keep("144", BudgetMode::Exact, 576, 2, 32), 144);
  EXPECT_EQ(keep("144", BudgetMode::Exact, 576, kAfterTower, 32), 144);
  EXPECT_EQ(keep("600", BudgetMode::Exact, 576, 2, 32), 576);
  EXPECT_EQ(keep("25%", BudgetMode::Exact, 576, 2, 32), 144);
  EXPECT_EQ(keep("11.1%", BudgetMode::Exact, 576, 2, 32), 64);  // 63.936
  EXPECT_EQ(keep("50%", BudgetMode::Exact, 5, 2, 32), 3);       // 2.5, half up
  EXPECT_EQ(keep("10%", BudgetMode::Exact, 4, 2, 32), 1);       // 0.4, at least one
  EXPECT_EQ(keep("100%", BudgetMode::Exact, 577, 2, 32), 577);
}

TEST(TokensToKeepTest, LayerAverageOfFastV) {
  // (32 T - K 576) / (32 - K): K=2 gives 166.4, 98.1, 29.9; K=3 gives 152.3, 81.7, 11.0.
  EXPECT_EQ(keep("192", BudgetMode::LayerAverage, 576, 2, 32), 166);
  EXPECT_EQ(keep("128", BudgetMode::LayerAverage, 576, 2, 32), 98);
  EXPECT_EQ(keep("64", BudgetMode::LayerAverage, 576, 2, 32), 30);
  EXPECT_EQ(keep("192", BudgetMode::LayerAverage, 576, 3, 32), 152);
  EXPECT_EQ(keep("128", BudgetMode::LayerAverage, 576, 3, 32), 82);
  EXPECT_EQ(keep("64", BudgetMode::LayerAverage, 576, 3, 32), 11);
  EXPECT_EQ(keep("25%", BudgetMode::LayerAverage, 576, 2, 32), 115);  // T = 144: 3456 / 30 = 115.2
}

TEST(TokensToKeepTest, LayerAverageEdges) {
  EXPECT_EQ(keep("64", BudgetMode::LayerAverage, 576, kAfterTower, 32), 64);
  EXPECT_EQ(keep("64", BudgetMode::LayerAverage, 576, 0, 32), 64);
  EXPECT_EQ(keep("576", BudgetMode::LayerAverage, 576, 2, 32), 576);
  EXPECT_EQ(keep("700", BudgetMode::LayerAverage, 576, 2, 32), 576);
  EXPECT_EQ(keep("36", BudgetMode::LayerAverage, 576, 2, 32),
            1);  // the first two layers alone are exactly 36
  expect_error(ErrorCode::InvalidArgument, {"layer average, got 35", "36.0"},
               [] { keep("35", BudgetMode::LayerAverage, 576, 2, 32); });
}

TEST(TokensToKeepTest, BadCallsAreErrors) {
  expect_error(ErrorCode::InvalidArgument, {"0 visual tokens"},
               [] { keep("1", BudgetMode::Exact, 0, 2, 32); });
  expect_error(ErrorCode::InvalidArgument, {"layer 32 of 32"},
               [] { keep("1", BudgetMode::Exact, 9, 32, 32); });
  expect_error(ErrorCode::InvalidArgument, {"budget, got nothing"}, [] { tokens_to_keep({}, 9, 2, 32); });
}

int32_t keep_trained(const std::string& text, BudgetMode mode, int32_t n, int32_t tacr) {
  Budget budget = parse_budget(text, mode);
  budget.tacr = tacr;
  return tokens_to_keep(budget, n, 2, 32);
}

/// FastV-dagger of arXiv 2502.11501 on Qwen2-VL: TRR = TACR x TFRR with TACR = 4, rates of 66.7, 77.8
/// and 88.9 %.
TEST(TrainingAwareTest, RatesMultiplyAsInThePaper) {
  const auto dropped = [](const char* kept) {
    return 10000 - keep_trained(kept, BudgetMode::ReductionRate, 10000, 4);
  };
  EXPECT_EQ(dropped("33.3%"), 1667);  // 66.7 / 4 = 16.675, half up of what is kept
  EXPECT_EQ(dropped("22.2%"), 1945);
  EXPECT_EQ(dropped("11.1%"), 2222);  // 22.225
  EXPECT_EQ(keep_trained("33.3%", BudgetMode::ReductionRate, 1296, 4), 1080);
  EXPECT_EQ(keep_trained("100%", BudgetMode::ReductionRate, 1296, 4), 1296);
  EXPECT_EQ(keep_trained("25%", BudgetMode::ReductionRate, 576, 9), 528);  // 75 / 9 = 8.33 % go
  expect_error(ErrorCode::InvalidArgument, {"trr", "the count 144", "percentage"},
               [] { keep_trained("144", BudgetMode::ReductionRate, 576, 4); });
}

TEST(TrainingAwareTest, TotalCountsTheTokensBeforeTraining) {
  // 576 tokens that were 2304: 11.1 % of those are 255.7, a ratio of 9 = 4 x 2.25.
  EXPECT_EQ(keep_trained("11.1%", BudgetMode::Total, 576, 4), 256);
  EXPECT_EQ(keep_trained("6.25%", BudgetMode::Total, 576, 4), 144);
  EXPECT_EQ(keep_trained("25%", BudgetMode::Total, 576, 4), 576);
  EXPECT_EQ(keep_trained("33.3%", BudgetMode::Total, 576, 4), 576);  // training alone does more
  EXPECT_EQ(keep_trained("144", BudgetMode::Total, 576, 4), 144);
}

TEST(TrainingAwareTest, WithoutTrainingAllAreExact) {
  for (int32_t n = 1; n < 800; n += 7) {
    for (const char* text : {"0.1%", "11.1%", "12.5%", "33.3%", "50%", "99.9%", "100%"}) {
      const int32_t exact = keep(text, BudgetMode::Exact, n, 2, 32);
      EXPECT_EQ(keep(text, BudgetMode::Total, n, 2, 32), exact) << n << " " << text;
      EXPECT_EQ(keep(text, BudgetMode::ReductionRate, n, 2, 32), exact) << n << " " << text;
    }
  }
  Budget budget = parse_budget("25%", BudgetMode::Total);
  budget.tacr = 0;
  expect_error(ErrorCode::InvalidArgument, {"ratio, got 0"}, [&] { tokens_to_keep(budget, 9, 2, 32); });
}

TEST(LayerAverageTest, HandWorked) {
  EXPECT_DOUBLE_EQ(layer_average(576, 144, 2, 32), 171.0);
  EXPECT_DOUBLE_EQ(layer_average(576, 144, kAfterTower, 32), 144.0);
  EXPECT_DOUBLE_EQ(layer_average(576, 144, 0, 32), 144.0);
  EXPECT_DOUBLE_EQ(layer_average(576, 576, 5, 32), 576.0);
  EXPECT_NEAR(layer_average(576, 166, 2, 32), 192, 0.5);
}

TEST(ImageQuotasTest, HandWorked) {
  EXPECT_EQ(image_quotas(144, Ints{576}), (Ints{144}));
  EXPECT_EQ(image_quotas(100, Ints{576, 576}), (Ints{50, 50}));
  EXPECT_EQ(image_quotas(101, Ints{576, 576}), (Ints{51, 50}));       // the lower image wins the tie
  EXPECT_EQ(image_quotas(10, Ints{576, 576, 144}), (Ints{5, 4, 1}));  // 4.44, 4.44, 1.11
  EXPECT_EQ(image_quotas(7, Ints{10, 20, 40}), (Ints{1, 2, 4}));
  EXPECT_EQ(image_quotas(5, Ints{1000, 1, 1}), (Ints{3, 1, 1}));                // one each comes first
  EXPECT_EQ(image_quotas(9, Ints{1000, 500, 1, 1, 1}), (Ints{4, 2, 1, 1, 1}));  // 5.988, 2.994
  EXPECT_EQ(image_quotas(4, Ints{10, 10, 1, 1}), (Ints{1, 1, 1, 1}));
  EXPECT_EQ(image_quotas(1, Ints{9, 9, 9}), (Ints{1, 1, 1}));
  EXPECT_EQ(image_quotas(99, Ints{3, 4}), (Ints{3, 4}));
  EXPECT_TRUE(image_quotas(5, {}).empty());
  expect_error(ErrorCode::InvalidArgument, {"got 0"}, [] { image_quotas(5, Ints{3, 0}); });
}

TEST(ImageQuotasTest, AlwaysSumsUpWithinTheImages) {
  Rng rng(11);
  for (int round = 0; round < 2000; ++round) {
    Ints sizes;
    int64_t sum = 0;
    for (uint64_t i = 0, n = 1 + rng.below(6); i < n; ++i) {
      sizes.push_back(static_cast<int32_t>(1 + rng.below(rng.below(4) == 0 ? 3 : 600)));
      sum += sizes.back();
    }
    const auto wanted = static_cast<int32_t>(rng.below(static_cast<uint64_t>(sum) + 10));
    const Ints quotas = image_quotas(wanted, sizes);
    int64_t total = 0;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      ASSERT_GE(quotas[i], 1);
      ASSERT_LE(quotas[i], sizes[i]);
      total += quotas[i];
    }
    ASSERT_EQ(total, std::clamp<int64_t>(wanted, static_cast<int64_t>(sizes.size()), sum));
  }
}

TEST(MakeStepTest, DefaultsOfEachStage) {
  EXPECT_EQ(make_step("fastv", "144", BudgetMode::Exact, -1, 32).layer, 2);
  EXPECT_EQ(make_step("fastv", "144", BudgetMode::Exact, 5, 32).layer, 5);
  EXPECT_EQ(make_step("fastervlm", "25%", BudgetMode::Exact, -1, 32).layer, kAfterTower);
  EXPECT_EQ(make_step("random", "25%", BudgetMode::Exact, -1, 32).layer, kAfterTower);
  EXPECT_EQ(make_step("random", "25%", BudgetMode::Exact, 2, 32).layer, 2);
  EXPECT_EQ(make_step("random", "25%", BudgetMode::Exact, 0, 32).layer, 0);
  const Step step = make_step("balanced:alpha=0.25", "10%", BudgetMode::LayerAverage, 3, 32);
  EXPECT_EQ(
      step.use.to_string(),
      "balanced:alpha=0.25,features=hidden,importance=last_text,normalise=minmax,redundancy=last_token");
  EXPECT_EQ(step.budget.mode, BudgetMode::LayerAverage);
  EXPECT_EQ(step.budget.to_string(), "10%");
}

TEST(DefaultPositionTest, TheAuthorsOwnOrTheHosts) {
  const auto policy = [](const char* method, int32_t layer) {
    return default_position(make_step(method, "9", BudgetMode::Exact, layer, 32));
  };
  EXPECT_EQ(policy("fastv", -1), PositionPolicy::Original);
  EXPECT_EQ(policy("fastervlm", -1), PositionPolicy::Compact);
  EXPECT_EQ(policy("random", -1), PositionPolicy::Compact);
  EXPECT_EQ(policy("random", 2), PositionPolicy::Original);
}

TEST(MakeStepTest, LayersAreChecked) {
  const auto at = [](const char* method, int32_t layer, int32_t n_layer) {
    return [=] { make_step(method, "9", BudgetMode::Exact, layer, n_layer); };
  };
  expect_error(ErrorCode::InvalidArgument, {"fastv", "got 0", "1 to 31"}, at("fastv", 0, 32));
  expect_error(ErrorCode::InvalidArgument, {"fastv", "got 32", "1 to 31"}, at("fastv", 32, 32));
  expect_error(ErrorCode::InvalidArgument, {"fastv", "got 1", "1 layers"}, at("fastv", -1, 1));
  EXPECT_EQ(make_step("fastv", "9", BudgetMode::Exact, -1, 2).layer, 1) << "too shallow for layer 2";
  EXPECT_EQ(make_step("horizon", "9", BudgetMode::Exact, -1, 8).layer, 5) << "20 of 32";
  expect_error(ErrorCode::InvalidArgument, {"random", "got 32"}, at("random", 32, 32));
  expect_error(ErrorCode::InvalidArgument, {"fastervlm", "after the tower"}, at("fastervlm", 2, 32));
}

TEST(MakeStepTest, WhatIsOnlyInTheDecoderIsNotThereAfterTheTower) {
  const std::string projected = "balanced:features=projected";
  expect_error(ErrorCode::InvalidArgument, {projected.substr(0, 9), "after the tower", "last_text_attention"},
               [&] { make_step(projected, "9", BudgetMode::Exact, -1, 32); });
  expect_error(ErrorCode::InvalidArgument, {"after the tower", "hidden_last"},
               [&] { make_step(projected + ",importance=cls", "9", BudgetMode::Exact, -1, 32); });
  const Step step = make_step(projected + ",importance=cls,redundancy=max", "9", BudgetMode::Exact, -1, 32);
  EXPECT_EQ(step.layer, kAfterTower);
  EXPECT_EQ(default_position(step), PositionPolicy::Compact);
  expect_error(ErrorCode::InvalidArgument, {"balanced", "after the tower"}, [&] {
    make_step(projected + ",importance=cls,redundancy=max", "9", BudgetMode::Exact, 2, 32);
  });
  EXPECT_EQ(make_step("balanced:importance=cls,redundancy=max", "9", BudgetMode::Exact, -1, 32).layer, 2);
}

TEST(MakeStepTest, TheCountMayOnlyBeMissingWhereItIsKnown) {
  EXPECT_EQ(make_step("none", "", BudgetMode::Exact, -1, 32).budget.to_string(), "100%");
  EXPECT_EQ(make_step("none", "144", BudgetMode::Exact, -1, 32).budget.to_string(), "100%");
  EXPECT_EQ(make_step("pooling:window=2x2", "", BudgetMode::Exact, -1, 32).budget.to_string(), "");
  expect_error(ErrorCode::InvalidArgument, {"random", "nothing"},
               [] { make_step("random", "", BudgetMode::Exact, -1, 32); });
  expect_error(ErrorCode::InvalidArgument, {"pooling", "nothing"},
               [] { make_step("pooling", "", BudgetMode::Exact, -1, 32); });
  expect_error(ErrorCode::NotFound, {"fastw"}, [] { make_step("fastw", "9", BudgetMode::Exact, -1, 32); });
}

Ints quotas(const char* method, const char* keep_text, const std::vector<Grid>& grids) {
  Ints sizes;
  for (const Grid& grid : grids) sizes.push_back(grid.size());
  return step_quotas(make_step(method, keep_text, BudgetMode::Exact, -1, 32), grids, sizes, 32);
}

TEST(StepQuotasTest, BudgetParametersOrEverything) {
  EXPECT_EQ(quotas("random", "100", {{24, 24}, {24, 24}}), (Ints{50, 50}));
  EXPECT_EQ(quotas("none", "", {{24, 24}, {5, 7}}), (Ints{576, 35}));
  EXPECT_EQ(quotas("pooling:window=2x2", "", {{24, 24}, {5, 7}}), (Ints{144, 12}));
  EXPECT_EQ(quotas("pooling:window=2x2", "156", {{24, 24}, {5, 7}}), (Ints{144, 12}));
  EXPECT_EQ(quotas("pooling:window=2x2", "25%", {{24, 24}}), (Ints{144}));
  expect_error(ErrorCode::InvalidArgument, {"pooling:window=2x2", "got 64", "expected 144"}, [] {
    quotas("pooling:window=2x2", "64", {{24, 24}});
  });
  EXPECT_TRUE(quotas("random", "100", {}).empty());
}

TEST(StepQuotasTest, KeepsAllWhenThereAreFewerTokensThanAsked) {
  EXPECT_EQ(quotas("random", "36", {{6, 6}}), (Ints{36}));
  EXPECT_EQ(quotas("random", "40", {{6, 6}}), (Ints{36}));
}

TEST(StepQuotasTest, ImagesWithoutTokensKeepNone) {
  const Step step = make_step("random", "10", BudgetMode::Exact, 2, 32);
  const std::vector<Grid> grids = {{24, 24}, {5, 7}, {24, 24}};
  EXPECT_EQ(step_quotas(step, grids, Ints{30, 0, 70}, 32), (Ints{3, 0, 7}));
  EXPECT_EQ(step_quotas(step, grids, Ints{0, 0, 0}, 32), (Ints{0, 0, 0}));
  EXPECT_EQ(step_quotas(make_step("random", "10%", BudgetMode::Exact, 2, 32), grids, Ints{0, 35, 65}, 32),
            (Ints{0, 4, 6}))
      << "a percentage is of what is left";
}

TEST(StepQuotasTest, AnAdaptiveMethodDecidesWithoutABudget) {
  const RecorderMethod method({});
  const std::vector<Grid> grids = {{4, 4}, {4, 4}};
  EXPECT_EQ(step_quotas(method.step("", 2), grids, Ints{16, 0}, 32), (Ints{kMethodDecides, 0}));
  EXPECT_EQ(step_quotas(method.step("8", 2), grids, Ints{16, 16}, 32), (Ints{4, 4}));
  EXPECT_EQ(step_quotas(method.step("0", 2), grids, Ints{16, 16}, 32), (Ints{0, 0}));
}

TEST(MakeStepTest, AdaptiveMethodsNeedNoCountAndDroppingAllIsForTheDecoder) {
  const RecorderMethod method({});
  EXPECT_FALSE(make_step(method.use(), "", BudgetMode::Exact, 2, 32).budget.given());
  EXPECT_EQ(make_step(method.use(), "0", BudgetMode::Exact, 2, 32).budget.to_string(), "0");
  expect_error(ErrorCode::InvalidArgument, {"got 0", "at least 1"},
               [&] { make_step(method.use(), "0", BudgetMode::Exact, -1, 32); });
  expect_error(ErrorCode::InvalidArgument, {"got 0", "at least 1"},
               [] { make_step("random", "0", BudgetMode::Exact, -1, 32); });
}

/// Two steps whose counts are the average and half of it, 100 and 10 by default.
RecorderMethod scheduled() {
  return RecorderMethod({}, {}, [](const ScheduleRequest& request) -> std::vector<Scheduled> {
    const auto n = static_cast<int32_t>(request.average);
    if (n == 0) return {{2, 100, {}}, {scaled_layer(20, request.n_layer), 10, {{"cls", "keys"}}}};
    return {{2, n, {}}, {5, n / 2, {}}, {9, 0, {}}};
  });
}

TEST(ExpandStepsTest, AMethodsOwnScheduleTakesThePlaceOfAStepWithoutALayer) {
  const RecorderMethod method = scheduled();
  const Step own = make_step(method.use(), "", BudgetMode::Exact, -1, 32);
  EXPECT_EQ(own.layer, kOwnSchedule);
  const std::vector<Step> steps = expand_steps(std::vector{own}, 576, 32);
  ASSERT_EQ(steps.size(), 2U);
  EXPECT_EQ(steps[0].layer, 2);
  EXPECT_EQ(steps[0].budget.to_string(), "100");
  EXPECT_EQ(steps[0].use.to_string(), "recorder:cls=none");
  EXPECT_EQ(steps[1].layer, 20);
  EXPECT_EQ(steps[1].use.to_string(), "recorder:cls=keys");
  EXPECT_EQ(make_step(method.use(), "9", BudgetMode::Exact, 3, 32).layer, 3) << "a layer was given";
}

TEST(ExpandStepsTest, TheBudgetIsTheLayerAverage) {
  const RecorderMethod method = scheduled();
  for (const auto& [keep_text, average] : {std::pair{"64", 64}, {"25%", 144}}) {
    const Step own = make_step(method.use(), keep_text, BudgetMode::Exact, -1, 32);
    const std::vector<Step> steps = expand_steps(std::vector{own}, 576, 32);
    ASSERT_EQ(steps.size(), 3U);
    EXPECT_DOUBLE_EQ(steps[0].budget.value, average);
    EXPECT_DOUBLE_EQ(steps[1].budget.value, average / 2);
    EXPECT_EQ(tokens_to_keep(steps[2].budget, 10, 9, 32), 0);
  }
  const Step all = make_step(method.use(), "100%", BudgetMode::Exact, -1, 32);
  const std::vector<Step> steps = expand_steps(std::vector{all}, 576, 32);
  ASSERT_EQ(steps.size(), 1U);
  EXPECT_EQ(tokens_to_keep(steps[0].budget, 576, steps[0].layer, 32), 576);
}

TEST(ExpandStepsTest, ACascadeIsTheUsers) {
  const RecorderMethod method = scheduled();
  const std::vector<Step> cascade = {method.step("100", kOwnSchedule), method.step("9", 3)};
  const std::vector<Step> steps = expand_steps(cascade, 576, 32);
  ASSERT_EQ(steps.size(), 2U);
  EXPECT_EQ(steps[0].layer, kAfterTower);
  EXPECT_EQ(steps[0].budget.to_string(), "100");
  EXPECT_EQ(steps[1].layer, 3);
}

TEST(ExpandStepsTest, SchedulesThatDoNotFitAreNamed) {
  for (const Ints& layers : {Ints{3, 3}, Ints{3, 2}, Ints{3, 8}, Ints{-1, 3}}) {
    const RecorderMethod method({}, {}, [&](const ScheduleRequest&) {
      return std::vector<Scheduled>{{layers[0], 8, {}}, {layers[1], 4, {}}};
    });
    expect_error(ErrorCode::Unsupported, {"schedule of recorder", "8 layers"},
                 [&] { expand_steps(std::vector{method.step("", kOwnSchedule)}, 16, 8); });
  }
}

}  // namespace
}  // namespace winnow::prune
