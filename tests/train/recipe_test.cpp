#include "winnow/train/recipe.h"

#include <gtest/gtest.h>

namespace winnow::train {
namespace {

double rate(const Recipe& recipe, int64_t stage, int64_t step, Part part) {
  const StepRates rates = rates_at(recipe, stage, step);
  const auto found = rates.lr.find(part);
  return found == rates.lr.end() ? 0.0 : found->second;
}

TEST(Recipe, TheTowersStageHasItsOwnCourse) {
  const Recipe recipe = recipe_named("default");
  const int64_t last = recipe.stages[0].steps - 1;
  EXPECT_NEAR(rate(recipe, 0, 0, Part::Tower), recipe.tower_peak_rate / 100.0, 1e-9);
  EXPECT_NEAR(rate(recipe, 0, 500, Part::Tower), recipe.tower_peak_rate, 1e-12);
  EXPECT_LT(rate(recipe, 0, last, Part::Tower), 0.04 * recipe.tower_peak_rate);
  EXPECT_EQ(rate(recipe, 0, 500, Part::Decoder), 0.0);
}

TEST(Recipe, QuestionStagesShareOneCourse) {
  const Recipe recipe = recipe_named("default");
  const int64_t n1 = recipe.stages[1].steps, n2 = recipe.stages[2].steps;
  EXPECT_NEAR(rate(recipe, 1, 0, Part::Decoder), recipe.peak_rate / 100.0, 1e-9);
  EXPECT_NEAR(rate(recipe, 1, n1 - 1, Part::Decoder), recipe.peak_rate, 1e-12);
  EXPECT_NEAR(rate(recipe, 2, 0, Part::Decoder), recipe.peak_rate, 1e-12);  // no second warm-up
  EXPECT_EQ(rate(recipe, 1, 200, Part::Tower), 0.0);
  EXPECT_NEAR(rate(recipe, 2, 10, Part::Tower), 0.3 * recipe.peak_rate, 1e-12);
  EXPECT_NEAR(rate(recipe, 2, n2 - 1, Part::Decoder), 0.03 * recipe.peak_rate, 0.002 * recipe.peak_rate);
  double before = recipe.peak_rate;
  for (int64_t step = 0; step < n2; step += 50) {
    const double now = rate(recipe, 2, step, Part::Decoder);
    EXPECT_LE(now, before + 1e-15);
    before = now;
  }
}

TEST(Recipe, TuneLeavesTheTowerAlone) {
  const Recipe tune = recipe_named("tune");
  ASSERT_EQ(tune.stages.size(), 1U);
  EXPECT_EQ(rate(tune, 0, 300, Part::Tower), 0.0);
  EXPECT_NEAR(rate(tune, 0, 300, Part::Decoder), 1e-3, 1e-12);
}

TEST(Recipe, TheTextStageComesBehindTheTower) {
  const Recipe text = recipe_named("text");
  ASSERT_EQ(text.stages.size(), 4U);
  EXPECT_EQ(text.stages[1].name, "text");
  EXPECT_EQ(rate(text, 1, 300, Part::Tower), 0.0);
  EXPECT_GT(rate(text, 1, 300, Part::Decoder), 0.0);
}

}  // namespace
}  // namespace winnow::train
