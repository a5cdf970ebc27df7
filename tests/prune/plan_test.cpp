#include "winnow/prune/plan.h"

#include <gtest/gtest.h>

#include <cmath>

#include "winnow/base/error.h"

namespace winnow::prune {
namespace {

using Ints = std::vector<int32_t>;

TEST(PlanTest, EmptyPlanHasNoOutputs) {
  const Plan plan;
  EXPECT_EQ(plan.n_out(), 0);
  EXPECT_TRUE(plan.is_selection());
}

TEST(PlanTest, SelectionKeepsTheGivenOrder) {
  const Plan plan = selection_plan(Ints{5, 2, 9});
  EXPECT_EQ(plan.n_out(), 3);
  EXPECT_EQ(plan.offsets, (Ints{0, 1, 2, 3}));
  EXPECT_EQ(plan.index, (Ints{5, 2, 9}));
  EXPECT_EQ(plan.position_of, (Ints{5, 2, 9}));
  EXPECT_EQ(plan.weight, (std::vector<float>{1, 1, 1}));
  EXPECT_TRUE(plan.is_selection());
}

TEST(PlanTest, AddKeptBuildsTheSamePlan) {
  Plan plan;
  for (const int32_t token : {5, 2, 9}) plan.add_kept(token);
  const Plan expected = selection_plan(Ints{5, 2, 9});
  EXPECT_EQ(plan.offsets, expected.offsets);
  EXPECT_EQ(plan.index, expected.index);
  EXPECT_EQ(plan.weight, expected.weight);
  EXPECT_EQ(plan.position_of, expected.position_of);
}

TEST(PlanTest, MergedOutputs) {
  Plan plan;
  plan.add_kept(7);
  plan.add_merged(Ints{1, 2, 3}, std::vector<float>{0.5F, 0.25F, 0.25F}, 2);
  EXPECT_EQ(plan.n_out(), 2);
  EXPECT_FALSE(plan.is_selection());
  EXPECT_EQ(Ints(plan.sources(0).begin(), plan.sources(0).end()), (Ints{7}));
  EXPECT_EQ(Ints(plan.sources(1).begin(), plan.sources(1).end()), (Ints{1, 2, 3}));
  EXPECT_EQ(plan.weights(1)[0], 0.5F);
  EXPECT_EQ(plan.position_of, (Ints{7, 2}));
  EXPECT_THROW(plan.sources(2), Error);
  EXPECT_THROW(plan.weights(-1), Error);
  EXPECT_THROW(plan.add_merged(Ints{}, std::vector<float>{}, 0), Error);
  EXPECT_THROW(plan.add_merged(Ints{1}, std::vector<float>{0.5F, 0.5F}, 0), Error);
}

TEST(PlanTest, ScaledOrMovedTokenIsNoSelection) {
  Plan scaled;
  scaled.add_merged(Ints{4}, std::vector<float>{0.5F}, 4);
  EXPECT_FALSE(scaled.is_selection());
  Plan moved;
  moved.add_merged(Ints{4}, std::vector<float>{1.0F}, 5);
  EXPECT_FALSE(moved.is_selection());
  Plan same;
  same.add_merged(Ints{4}, std::vector<float>{1.0F}, 4);
  EXPECT_TRUE(same.is_selection());
}

TEST(PlanTest, IdentityIsEveryTokenInOrder) {
  const Plan plan = identity_plan(4);
  EXPECT_EQ(plan.index, (Ints{0, 1, 2, 3}));
  EXPECT_TRUE(plan.is_selection());
  EXPECT_TRUE(plan.scores.empty());
}

TEST(PlanTest, ApplyingGivesTheWeightedSums) {
  const std::vector<float> values{1, 2, 10, 20, 100, -0.0F};
  const MatrixView features{values.data(), 3, 2};
  Plan plan;
  plan.add_kept(2);
  plan.add_merged(Ints{0, 1}, std::vector<float>{0.5F, 2.0F}, 0);
  plan.add_merged(Ints{3, 0}, std::vector<float>{1.0F, 1.0F}, 0);
  const std::vector<float> cls{1000, 2000};
  EXPECT_EQ(apply_plan(plan, features, cls), (std::vector<float>{100, 0, 20.5F, 41, 1001, 2002}));
  EXPECT_TRUE(std::signbit(apply_plan(plan, features, cls)[1])) << "a kept token is copied bit by bit";
  EXPECT_THROW(apply_plan(plan, features), Error) << "no [CLS] token was given";
  EXPECT_THROW(apply_plan(plan, features, std::vector<float>{1}), Error);
  EXPECT_THROW(apply_plan(selection_plan(Ints{-1}), features), Error);
  EXPECT_TRUE(apply_plan(Plan{}, features).empty());
}

}  // namespace
}  // namespace winnow::prune
