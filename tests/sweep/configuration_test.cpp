#include "winnow/sweep/configuration.h"

#include <gtest/gtest.h>

#include "tests/support/engine_models.h"
#include "tests/support/expect_error.h"

namespace winnow::sweep {
namespace {

using test::expect_error;
using Words = std::vector<std::string>;

Words names(const Words& methods, const Words& keeps) {
  ConfigurationRequest request;
  request.methods = methods;
  request.keeps = keeps;
  check(request);
  Words out;
  for (const Configuration& c : configurations(request, *testing::tiny_model())) out.push_back(c.name);
  return out;
}

TEST(SplitMethods, CommasPartMethodsParametersAndSteps) {
  EXPECT_EQ(split_methods("random"), Words{"random"});
  EXPECT_EQ(split_methods("none, random,fastv"), (Words{"none", "random", "fastv"}));
  EXPECT_EQ(split_methods("balanced:alpha=0.3,importance=text,random"),
            (Words{"balanced:alpha=0.3,importance=text", "random"}));
  EXPECT_EQ(split_methods("then(fastervlm, fastv@2), window(fastv, 2x2)"),
            (Words{"then(fastervlm, fastv@2)", "window(fastv, 2x2)"}));
  for (const char* text : {"", "random,", ",random", "random,,fastv"})
    expect_error(ErrorCode::InvalidArgument, "expected names between the commas",
                 [&] { split_methods(text); });
  expect_error(ErrorCode::InvalidArgument, "parenthes", [] { split_methods("then(random"); });
}

TEST(SplitKeeps, ParenthesesHoldTheBudgetsOfSteps) {
  EXPECT_EQ(split_keeps("25%,4, auto"), (Words{"25%", "4", "auto"}));
  EXPECT_EQ(split_keeps("25%,(50%, 2)"), (Words{"25%", "50%, 2"}));
  for (const char* text : {"", "25%,,4", "()"})
    expect_error(ErrorCode::InvalidArgument, "expected 144, 25% or auto", [&] { split_keeps(text); });
}

TEST(Configurations, MethodsTimesBudgets) {
  EXPECT_EQ(names({"none", "random", "fastv"}, {"50%", "4"}),
            (Words{"none", "random @ 50%", "random @ 4", "fastv @ 50%", "fastv @ 4"}));
}

TEST(Configurations, WhatFixesItsCountIsThereOnce) {
  EXPECT_EQ(names({"none", "pooling:window=2x2", "random", "random"}, {"50%", "25%"}),
            (Words{"none", "pooling:window=2x2", "random @ 50%", "random @ 25%"}));
}

TEST(Configurations, CascadesTakeTheBudgetsWithAPartForEachStep) {
  EXPECT_EQ(
      names({"random", "then(fastervlm, fastv@2)"}, {"25%", "50%,50%", "75%,2"}),
      (Words{"random @ 25%", "then(fastervlm, fastv@2) @ 50%,50%", "then(fastervlm, fastv@2) @ 75%,2"}));
  // No such budget: a single one is for the last step.
  EXPECT_EQ(names({"then(pooling:window=2x2, fastv@2)"}, {"2"}),
            Words{"then(pooling:window=2x2, fastv@2) @ 2"});
  expect_error(ErrorCode::InvalidArgument,
               "budgets for 'random', got none in '50%,50%', expected one with 1 part",
               [] { names({"random"}, {"50%,50%"}); });
}

TEST(Configurations, StepsAreThoseOfTheCommandLine) {
  ConfigurationRequest request;
  request.methods = {"fastv", "fastervlm"};
  request.keeps = {"25%"};
  request.layer = 3;
  request.position = "compact";
  const auto list = configurations(request, *testing::tiny_model());
  ASSERT_EQ(list.size(), 2U);
  ASSERT_EQ(list[0].prune.steps.size(), 1U);
  EXPECT_EQ(list[0].prune.steps[0].layer, 3);
  EXPECT_EQ(list[1].prune.steps[0].layer, prune::kAfterTower);  // the layer is not for it
  EXPECT_EQ(list[0].prune.position, prune::PositionPolicy::Compact);
}

TEST(Configurations, BadWordsAreFoundWithoutAModel) {
  const auto expect = [](ErrorCode code, const std::string& text, ConfigurationRequest request) {
    expect_error(code, text, [&] { check(request); });
  };
  expect(ErrorCode::NotFound, "fastvv", {.methods = {"fastvv"}, .keeps = {"25%"}, .position = ""});
  expect(ErrorCode::InvalidArgument, "'x'", {.methods = {"fastv"}, .keeps = {"x"}, .position = ""});
  expect(ErrorCode::InvalidArgument, "middle", {.methods = {"fastv"}, .keeps = {"1"}, .position = "middle"});
  expect(ErrorCode::InvalidArgument, "no methods", {.methods = {}, .keeps = {"1"}, .position = ""});
}

}  // namespace
}  // namespace winnow::sweep
