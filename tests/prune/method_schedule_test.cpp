// Steps of the methods that act at several layers: layers ascend, counts and averages are the published ones,
// any other average is met.

#include <gtest/gtest.h>

#include <cmath>

#include "tests/prune/expect_error.h"
#include "winnow/prune/method.h"
#include "winnow/prune/schedule.h"
#include "winnow/prune/staged.h"

namespace winnow::prune {
namespace {

using Ints = std::vector<int32_t>;
using test::expect_error;

std::vector<Scheduled> schedule_of(const std::string& text, double average, int32_t n_visual = 576,
                                   int32_t n_layer = 32) {
  const MethodUse use = parse_method(text);
  return use.method->schedule({n_visual, n_layer, average}, use.params);
}

Ints layers_of(const std::vector<Scheduled>& steps) {
  Ints layers;
  for (const Scheduled& step : steps) layers.push_back(step.layer);
  return layers;
}

Ints counts_of(const std::vector<Scheduled>& steps) {
  Ints counts;
  for (const Scheduled& step : steps) counts.push_back(step.n_keep);
  return counts;
}

/// Mean over the layers of the tokens each sees; `handed_on` counts those that it hands to the next one.
double average_of(const std::vector<Scheduled>& steps, int32_t n_visual, int32_t n_layer,
                  bool handed_on = false) {
  int64_t sum = 0;
  for (int32_t layer = 0; layer < n_layer; ++layer) {
    int32_t there = n_visual;
    for (const Scheduled& step : steps) {
      if (step.layer <= layer + (handed_on ? 1 : 0)) there = step.n_keep;
    }
    sum += there;
  }
  return static_cast<double>(sum) / n_layer;
}

TEST(MethodSchedule, V2DropAsInThePaper) {
  EXPECT_EQ(layers_of(schedule_of("v2drop", 192)), (Ints{3, 17, 22}));
  EXPECT_EQ(counts_of(schedule_of("v2drop", 192)), (Ints{288, 86, 1}));
  EXPECT_EQ(counts_of(schedule_of("v2drop", 128)), (Ints{161, 40, 1}));
  EXPECT_EQ(counts_of(schedule_of("v2drop", 64)), (Ints{28, 1, 1}));
  EXPECT_NEAR(average_of(schedule_of("v2drop", 192), 576, 32), 193.8, 0.06);
  EXPECT_NEAR(average_of(schedule_of("v2drop", 128), 576, 32), 131.0, 0.05);
  EXPECT_NEAR(average_of(schedule_of("v2drop", 64), 576, 32), 66.7, 0.05);
  EXPECT_EQ(counts_of(schedule_of("v2drop", 0)), counts_of(schedule_of("v2drop", 192)));
  EXPECT_EQ(counts_of(schedule_of("v2drop:schedule=released", 0)), (Ints{288, 144, 1}));
  EXPECT_NEAR(average_of(schedule_of("v2drop:schedule=released", 0), 576, 32), 202.8, 0.06);
}

TEST(MethodSchedule, BtpAsInItsCode) {
  const std::vector<Scheduled> steps = schedule_of("btp", 128);
  EXPECT_EQ(layers_of(steps), (Ints{3, 6, 14, 22}));
  EXPECT_EQ(counts_of(steps), (Ints{288, 144, 48, 0}));
  EXPECT_DOUBLE_EQ(average_of(steps, 576, 32), 129.0);
  EXPECT_EQ(counts_of(schedule_of("btp", 0)), counts_of(steps));
  EXPECT_EQ(steps[0].params.at("expand"), "3.7");
  EXPECT_EQ(steps[1].params.at("diversity"), "0.1");
  EXPECT_EQ(steps[2].params.at("attention"), "1");
}

TEST(MethodSchedule, PyramidDropAsInThePaper) {
  const std::vector<Scheduled> steps = schedule_of("pyramiddrop", 0);
  EXPECT_EQ(layers_of(steps), (Ints{8, 16, 24}));
  EXPECT_EQ(counts_of(steps), (Ints{288, 144, 72}));
  EXPECT_DOUBLE_EQ(average_of(steps, 576, 32), 270.0);
  EXPECT_EQ(counts_of(schedule_of("pyramiddrop", 270)), counts_of(steps));
  EXPECT_EQ(counts_of(schedule_of("pyramiddrop", 0, 36)), (Ints{18, 9, 4}));
  EXPECT_EQ(counts_of(schedule_of("pyramiddrop:lambda=0.25", 0)), (Ints{144, 36, 9}));
  expect_error(ErrorCode::InvalidArgument, {"pyramiddrop", "got 128 of 576", "at least 144.8", "layer 8"},
               [] { schedule_of("pyramiddrop", 128); });
}

/// k of the authors' tables, and what is left once dropped tokens came back as means of clusters.
struct SparseTable {
  const char* use;
  double average;
  Ints left;
  double handed_on;
  double seen;
};

TEST(MethodSchedule, SparseVlmTables) {
  for (const SparseTable& table : {SparseTable{"sparsevlm", 192, {309, 204, 113}, 192.0, 206.5},
                                   SparseTable{"sparsevlm", 128, {312, 117, 39}, 128.6, 145.4},
                                   SparseTable{"sparsevlm", 96, {249, 55, 27}, 96.9, 114.1},
                                   SparseTable{"sparsevlm", 64, {82, 32, 18}, 64.8, 82.3},
                                   SparseTable{"sparsevlm:version=plus", 192, {300, 200, 118}, 192.4, 206.8},
                                   SparseTable{"sparsevlm:version=plus", 128, {238, 108, 60}, 128.0, 144.1},
                                   SparseTable{"sparsevlm:version=plus", 96, {246, 54, 28}, 96.8, 113.9},
                                   SparseTable{"sparsevlm:version=plus", 64, {66, 34, 20}, 64.4, 81.8}}) {
    SCOPED_TRACE(table.use + std::string(", ") + std::to_string(table.average));
    const std::vector<Scheduled> steps = schedule_of(table.use, table.average);
    EXPECT_EQ(layers_of(steps), (Ints{3, 7, 16}));
    EXPECT_EQ(counts_of(steps), table.left);
    EXPECT_NEAR(average_of(steps, 576, 32, true), table.handed_on, 0.06);
    EXPECT_NEAR(average_of(steps, 576, 32), table.seen, 0.06);
  }
  EXPECT_EQ(counts_of(schedule_of("sparsevlm", 0)), (Ints{309, 204, 113}));
  EXPECT_EQ(counts_of(schedule_of("sparsevlm:average=inputs", 0)), (Ints{309, 204, 113}));
  EXPECT_NEAR(average_of(schedule_of("sparsevlm:average=inputs", 192), 576, 32), 192, 0.5);
  EXPECT_NEAR(average_of(schedule_of("sparsevlm", 160), 576, 32, true), 160, 0.5);
}

TEST(MethodSchedule, AdaptiveMethodsDecideWithoutABudget) {
  EXPECT_EQ(layers_of(schedule_of("sparsevlm:version=1.0", 0)), (Ints{3, 7, 16, 20}));
  EXPECT_EQ(counts_of(schedule_of("sparsevlm:version=1.0", 0)), Ints(4, kMethodDecides));
  EXPECT_EQ(layers_of(schedule_of("mustdrop", 0)), (Ints{3, 7, 11, 15}));
  EXPECT_EQ(counts_of(schedule_of("mustdrop", 0)), Ints(4, kMethodDecides));
}

TEST(MethodSchedule, AnyAverageIsMet) {
  for (const char* text :
       {"v2drop", "btp", "pyramiddrop", "mustdrop", "sparsevlm", "sparsevlm:average=inputs",
        "sparsevlm:version=plus", "sparsevlm:version=1.0", "sparsevlm:version=1.0,average=inputs"}) {
    const bool handed_on =
        std::string(text).starts_with("sparsevlm") && std::string(text).find("inputs") == std::string::npos;
    for (const int32_t n_layer : {8, 24, 28, 32, 40}) {
      for (const int32_t n_visual : {144, 576, 1000, 2880}) {
        for (const double share : {0.30, 0.45, 0.7, 0.95}) {
          SCOPED_TRACE(fmt::format("{}, {} of {} tokens, {} layers", text, share, n_visual, n_layer));
          const std::vector<Scheduled> steps = schedule_of(text, share * n_visual, n_visual, n_layer);
          // Counts are whole numbers: one token more or less at each step.
          EXPECT_NEAR(average_of(steps, n_visual, n_layer, handed_on), share * n_visual, 1.5);
          int32_t layer = 0;
          int32_t there = n_visual;
          for (const Scheduled& step : steps) {
            EXPECT_GT(step.layer, layer);
            EXPECT_LT(step.layer, n_layer);
            EXPECT_GE(step.n_keep, 0);
            EXPECT_LE(step.n_keep, there);
            layer = step.layer;
            there = step.n_keep;
          }
        }
      }
    }
  }
}

TEST(MethodSchedule, EverythingOrTooLittle) {
  for (const char* text :
       {"v2drop", "btp", "pyramiddrop", "mustdrop", "sparsevlm", "sparsevlm:version=1.0"}) {
    for (const Scheduled& step : schedule_of(text, 576)) EXPECT_EQ(step.n_keep, 576) << text;
    for (const Scheduled& step : schedule_of(text, 9999)) EXPECT_EQ(step.n_keep, 576) << text;
    expect_error(ErrorCode::InvalidArgument,
                 {std::string(text).substr(0, std::string(text).find(':')), "got 20 of 576", "at least"},
                 [&] { schedule_of(text, 20); });
  }
}

TEST(MethodSchedule, ShallowDecoders) {
  for (const Method* method : methods()) {
    const MethodUse use = parse_method(method->info().name);
    for (int32_t n_layer = 1; n_layer <= 12; ++n_layer) {
      const std::vector<Scheduled> steps = method->schedule({100, n_layer, 0.0}, use.params);
      int32_t layer = 0;
      for (const Scheduled& step : steps) {
        EXPECT_GT(step.layer, layer) << method->info().name << ", " << n_layer << " layers";
        EXPECT_LT(step.layer, n_layer);
        layer = step.layer;
      }
    }
  }
  // 22 x 4 / 32 rounds to 3, 14 x 4 / 32 to 2, and layers 3 and 6 both to 1: the later count stays, with its
  // shares.
  const std::vector<Scheduled> steps = schedule_of("btp", 0, 576, 4);
  EXPECT_EQ(layers_of(steps), (Ints{1, 2, 3}));
  EXPECT_EQ(counts_of(steps), (Ints{144, 48, 0}));
  EXPECT_EQ(steps[0].params.at("attention"), "0.9");
}

TEST(MethodSchedule, StepsCanBeParsedAndRun) {
  for (const char* text :
       {"v2drop", "btp", "pyramiddrop", "sparsevlm", "sparsevlm:version=plus", "mustdrop"}) {
    const MethodUse use = parse_method(text);
    for (const Scheduled& step : use.method->schedule({576, 32, 0.0}, use.params)) {
      EXPECT_NO_THROW(Params(use.method->info().name, use.method->info().params, step.params)) << text;
      EXPECT_GE(step.layer, use.method->info().min_layer) << text;
      EXPECT_TRUE(step.n_keep > 0 || use.method->info().may_drop_all || use.method->info().adaptive) << text;
    }
  }
}

TEST(StagedTest, AverageHandWorked) {
  const Ints layers{2, 6};
  EXPECT_DOUBLE_EQ(average_seen(100, layers, {50, 10}, 8), (200 + 4 * 50 + 2 * 10) / 8.0);
  EXPECT_DOUBLE_EQ(average_seen(100, layers, {50, 10}, 8, -1), (100 + 4 * 50 + 3 * 10) / 8.0);
  EXPECT_DOUBLE_EQ(average_seen(100, {}, {}, 8), 100.0);
}

TEST(StagedTest, WholeTokens) {
  EXPECT_EQ(whole_tokens(300.0 / 576, 576, 1), 300);
  EXPECT_EQ(whole_tokens(0.28, 576, 1), 161);
  EXPECT_EQ(whole_tokens(0.0, 576, 1), 1);
  EXPECT_EQ(whole_tokens(0.0, 576, 0), 0);
  EXPECT_EQ(whole_tokens(1.5, 576, 0), 576);
  EXPECT_EQ(geometric_counts(36, 3, 0.5), (Ints{18, 9, 4}));
  EXPECT_EQ(geometric_counts(36, 3, 0.0), (Ints{1, 1, 1}));
}

TEST(MethodStage, DartActsOnTheEmbeddingsIfAsked) {
  EXPECT_EQ(make_step("dart", "128", BudgetMode::Exact, -1, 32).layer, 2);
  EXPECT_EQ(make_step("dart", "128", BudgetMode::Exact, 5, 32).layer, 5);
  const Step embeddings = make_step("dart:stage=embeddings", "128", BudgetMode::Exact, -1, 32);
  EXPECT_EQ(embeddings.layer, kAfterTower);
  expect_error(ErrorCode::InvalidArgument, {"dart", "got 2", "after the tower"},
               [] { make_step("dart:stage=embeddings", "128", BudgetMode::Exact, 2, 32); });
}

TEST(MethodPosition, SparseVlmPlusKeepsPositions) {
  const auto policy = [](const char* text) {
    return default_position(make_step(text, "128", BudgetMode::Exact, -1, 32));
  };
  EXPECT_EQ(policy("sparsevlm"), PositionPolicy::Compact);
  EXPECT_EQ(policy("sparsevlm:version=1.0"), PositionPolicy::Compact);
  EXPECT_EQ(policy("sparsevlm:version=plus"), PositionPolicy::Original);
}

TEST(MethodBudget, HorizonMayKeepNothing) {
  const Step step = make_step("horizon:rule=none", "", BudgetMode::Exact, 6, 8);
  EXPECT_EQ(step_quotas(step, std::vector<Grid>{{12, 12}, {12, 12}}, Ints{40, 30}, 8), (Ints{0, 0}));
  expect_error(ErrorCode::InvalidArgument, {"horizon", "got nothing"},
               [] { make_step("horizon", "", BudgetMode::Exact, 6, 8); });
}

}  // namespace
}  // namespace winnow::prune
