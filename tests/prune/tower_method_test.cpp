#include "winnow/prune/tower_method.h"

#include <gtest/gtest.h>

#include <numeric>

#include "tests/prune/expect_error.h"
#include "tests/prune/random_signals.h"
#include "winnow/prune/cascade.h"
#include "winnow/prune/tome.h"

namespace winnow::prune {
namespace {

using Ints = std::vector<int32_t>;

Ints rows_to_merge(const std::string& text, int32_t n, int32_t n_block, int32_t n_keep) {
  const MethodUse use = parse_method(text);
  return as_tower_method(use)->rows_to_merge(n, true, n_block, n_keep, use.params);
}

TEST(TowerMethodTest, ToMeWithoutABudget) {
  EXPECT_EQ(rows_to_merge("tome", 576, 23, kMethodDecides), Ints(23, 8));
  EXPECT_EQ(rows_to_merge("tome:r=0", 576, 3, kMethodDecides), (Ints{0, 0, 0}));
  EXPECT_EQ(rows_to_merge("tome:r=100", 36, 3, kMethodDecides), (Ints{18, 9, 4})) << "at most half";
  EXPECT_EQ(rows_to_merge("tome:r=4,inflect=1", 100, 3, kMethodDecides), (Ints{0, 4, 8}));
}

TEST(TowerMethodTest, ToMeMeetsABudgetExactly) {
  EXPECT_EQ(rows_to_merge("tome", 36, 3, 16), (Ints{7, 7, 6}));
  EXPECT_EQ(rows_to_merge("tome", 36, 3, 6), (Ints{12, 12, 6})) << "halves at the end";
  for (const int32_t n : {36, 144, 576}) {
    for (const int32_t n_block : {3, 5, 23}) {
      for (int32_t n_keep = n - 1; n_keep > 0; n_keep -= 1 + n / 50) {
        int32_t left = n;
        for (int32_t b = 0; b < n_block; ++b) left -= left / 2;
        SCOPED_TRACE(std::to_string(n) + " in " + std::to_string(n_block) + " to " + std::to_string(n_keep));
        if (n_keep < left) {
          EXPECT_THROW(rows_to_merge("tome", n, n_block, n_keep), Error);
          continue;
        }
        left = n;
        for (const int32_t r : rows_to_merge("tome", n, n_block, n_keep)) {
          EXPECT_GE(r, 0);
          EXPECT_LE(r, left / 2);
          left -= r;
        }
        EXPECT_EQ(left, n_keep);
      }
    }
  }
  test::expect_error(ErrorCode::InvalidArgument, {"got 4", "expected at least 5", "3 blocks"},
                     [] { rows_to_merge("tome", 36, 3, 4); });
}

TEST(TowerMethodTest, WindowsDecideThemselves) {
  EXPECT_EQ(rows_to_merge("window_merge", 576, 3, kMethodDecides), (Ints{kMethodDecides, 0, 0}));
  EXPECT_EQ(rows_to_merge("window_merge:block=2", 576, 3, kMethodDecides), (Ints{0, 0, kMethodDecides}));
  test::expect_error(ErrorCode::InvalidArgument, {"got 64", "no budget"},
                     [] { rows_to_merge("window_merge", 576, 3, 64); });
  test::expect_error(ErrorCode::InvalidArgument, {"block, got 3", "3 that are run"},
                     [] { rows_to_merge("window_merge:block=3", 576, 3, kMethodDecides); });
}

TEST(TowerMethodTest, MergesKeepClsAndEveryPatchOnce) {
  const Grid grid{6, 6};
  for (const char* text : {"tome", "tome:proportional=off", "window_merge:threshold=-1", "window_merge"}) {
    for (const bool cls : {true, false}) {
      SCOPED_TRACE(std::string(text) + (cls ? " with [CLS]" : ""));
      const int64_t t = grid.size() + (cls ? 1 : 0);
      Rng rng(9);
      const test::Matrix hidden = test::random_matrix(t, 24, [&] { return rng.normal(); });
      const test::Matrix keys = test::random_matrix(t, 8, [&] { return rng.normal(); });
      const std::vector<float> sizes(static_cast<std::size_t>(t), 1.0F);
      const MethodUse use = parse_method(text);
      const int32_t n_merge = std::string(text).starts_with("tome") ? 10 : kMethodDecides;
      const Merge merge =
          as_tower_method(use)->merge({grid, cls, hidden.view(), keys.view(), sizes}, n_merge, use.params);
      std::vector<int32_t> seen(static_cast<std::size_t>(t), 0);
      float total = 0.0F;
      for (int32_t o = 0; o < merge.plan.n_out(); ++o) {
        for (const int32_t source : merge.plan.sources(o)) ++seen[static_cast<std::size_t>(source)];
        const auto weights = merge.plan.weights(o);
        EXPECT_NEAR(std::accumulate(weights.begin(), weights.end(), 0.0), 1.0, 1e-6);
        EXPECT_EQ(merge.sizes[static_cast<std::size_t>(o)], static_cast<float>(weights.size()));
        total += merge.sizes[static_cast<std::size_t>(o)];
      }
      EXPECT_EQ(seen, Ints(static_cast<std::size_t>(t), 1));
      EXPECT_EQ(total, static_cast<float>(t));
      if (cls) {
        EXPECT_EQ(merge.plan.sources(0).size(), 1U);
        EXPECT_EQ(merge.plan.sources(0)[0], 0);
      }
      if (n_merge > 0) {
        EXPECT_EQ(merge.plan.n_out(), t - n_merge);
      }
    }
  }
}

TEST(TowerMethodTest, NothingToSelectFromOutside) {
  EXPECT_EQ(as_tower_method(parse_method("fastervlm")), nullptr);
  Signals signals;
  signals.grid = {6, 6};
  Rng rng(1);
  test::expect_error(ErrorCode::Unsupported, {"tome acts inside the tower"},
                     [&] { run_method(parse_method("tome"), signals, 9, rng); });
  for (const Method* method : selecting_methods()) EXPECT_NE(method->info().stage, Stage::InTower);
}

TEST(TowerMethodTest, StepsInTheTower) {
  const auto steps = [](const char* text, const char* keep) {
    return parse_steps(text, keep, BudgetMode::Exact, -1, 32);
  };
  const std::vector<Step> alone = steps("tome:r=16", "");
  EXPECT_EQ(alone[0].layer, kInTower);
  EXPECT_EQ(default_position(alone[0]), PositionPolicy::Compact);
  EXPECT_EQ(steps_to_string(alone), "tome:inflect=0,proportional=on,r=16");
  const std::vector<Step> all = steps("then(window_merge, mustdrop)", "");
  ASSERT_EQ(all.size(), 2U);
  EXPECT_TRUE(runs_own_schedule(all)) << "a step in the tower leaves the decoder's schedule to the method";
  EXPECT_EQ(expand_steps(all, 400, 32).size(), 5U);
  EXPECT_EQ(steps_to_string(steps(steps_to_string(all).c_str(), "")), steps_to_string(all));
  EXPECT_FALSE(runs_own_schedule(steps("then(fastervlm, mustdrop)", "50%,25%")));
  EXPECT_EQ(steps("then(tome, fastv)", "50%,50%")[1].layer, 2);
  test::expect_error(ErrorCode::InvalidArgument, {"place of tome", "after 2"},
                     [&] { steps("then(fastv@2, tome)", "50%,50%"); });
  test::expect_error(ErrorCode::InvalidArgument, {"layer for tome, got 3", "in the tower"},
                     [&] { steps("tome@3", "50%"); });
}

TEST(ComposePlansTest, SourcesOfSources) {
  Plan first;
  first.add_merged(Ints{0, 3}, std::vector<float>{0.25F, 0.75F}, 3);
  first.add_kept(1);
  first.add_kept(2);
  Plan then;
  then.add_merged(Ints{2, 0}, std::vector<float>{0.5F, 0.5F}, 0);
  then.add_kept(1);
  const Plan both = compose_plans(first, then);
  EXPECT_EQ(both.offsets, (Ints{0, 3, 4}));
  EXPECT_EQ(both.index, (Ints{0, 2, 3, 1}));
  EXPECT_EQ(both.weight, (std::vector<float>{0.125F, 0.5F, 0.375F, 1.0F}));
  EXPECT_EQ(both.position_of, (Ints{3, 1}));
  EXPECT_THROW(compose_plans(then, first), Error) << "an input that is not there";
}

}  // namespace
}  // namespace winnow::prune
