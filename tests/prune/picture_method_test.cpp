// Every method that acts on the picture: what holds for all grids and counts.

#include "winnow/prune/picture_method.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "tests/prune/expect_error.h"
#include "winnow/prune/cascade.h"

namespace winnow::prune {
namespace {

std::vector<const Method*> picture_methods() {
  std::vector<const Method*> out;
  for (const Method* method : methods()) {
    if (method->info().stage == Stage::BeforeTower) out.push_back(method);
  }
  return out;
}

TEST(PictureMethods, LargestSquareWithinTheBudget) {
  ASSERT_FALSE(picture_methods().empty());
  for (const Method* method : picture_methods()) {
    const MethodUse use = parse_method(method->info().name);
    const PictureMethod* on_picture = as_picture_method(use);
    ASSERT_NE(on_picture, nullptr);
    for (const int32_t full : {1, 2, 3, 12, 24, 33}) {
      for (int32_t n_keep = 1; n_keep <= full * full; ++n_keep) {
        const Grid grid = on_picture->grid({full, full}, n_keep, use.params);
        ASSERT_EQ(grid.rows, grid.cols);
        ASSERT_LE(grid.size(), n_keep);
        ASSERT_GT((grid.rows + 1) * (grid.rows + 1), n_keep);
      }
      EXPECT_EQ(on_picture->grid({full, full}, full * full, use.params).rows, full);
    }
  }
}

/// By hand: 17 x 23 is 9 x 13 below the scale 9.5 / 17, 9 x 12 below 12.5 / 23, and 8 x 11 below one half.
TEST(Resize, KeepsTheShapeOfThePicture) {
  const MethodUse use = parse_method("resize");
  const auto grid = [&](Grid full, int32_t n_keep) {
    const Grid got = as_picture_method(use)->grid(full, n_keep, use.params);
    return std::pair(got.rows, got.cols);
  };
  EXPECT_EQ(grid({17, 23}, 391), std::pair(17, 23));
  EXPECT_EQ(grid({17, 23}, 117), std::pair(9, 13));
  EXPECT_EQ(grid({17, 23}, 116), std::pair(9, 12));
  EXPECT_EQ(grid({17, 23}, 98), std::pair(8, 11));
  EXPECT_EQ(grid({4, 7}, 7), std::pair(2, 3));
  EXPECT_EQ(grid({4, 7}, 6), std::pair(2, 3));
  EXPECT_EQ(grid({1, 10}, 4), std::pair(1, 4));
  EXPECT_EQ(grid({29, 1}, 1), std::pair(1, 1));
}

/// Rounded sides of one scale, and no larger scale fits.
TEST(Resize, IsTheLargestScaleThatFits) {
  const MethodUse use = parse_method("resize");
  const Grid full{7, 11};
  for (int32_t n_keep = 1; n_keep <= full.size(); ++n_keep) {
    Grid best{1, 1};
    for (int32_t s = 1; s <= 100'000; ++s) {  // scales, rounded half down at the ends of their intervals
      const auto side = [&](int32_t length) {
        return std::max(1, static_cast<int32_t>((int64_t{2} * s * length + 99'999) / 200'000));
      };
      const Grid scaled{side(full.rows), side(full.cols)};
      if (scaled.size() <= n_keep) best = scaled;
    }
    const Grid got = as_picture_method(use)->grid(full, n_keep, use.params);
    EXPECT_EQ(std::pair(got.rows, got.cols), std::pair(best.rows, best.cols)) << n_keep;
  }
}

TEST(PictureMethods, ReadNothingAndSelectNothing) {
  for (const Method* method : picture_methods()) {
    const MethodUse use = parse_method(method->info().name);
    EXPECT_TRUE(method->needs(use.params).empty());
    EXPECT_TRUE(method->schedule({576, 32, 0.0}, use.params).empty());
    EXPECT_FALSE(method->ranks(use.params));
    Signals signals;
    signals.grid = {6, 6};
    Rng rng(1);
    test::expect_error(ErrorCode::Unsupported, {method->info().name, "acts on the picture"},
                       [&] { run_method(use, signals, 9, rng); });
    for (const Method* selecting : selecting_methods()) EXPECT_NE(selecting, method);
  }
  EXPECT_EQ(as_picture_method(parse_method("fastervlm")), nullptr);
  EXPECT_EQ(as_picture_method(parse_method("tome")), nullptr);
}

TEST(Resize, SideFixesTheCount) {
  const MethodUse use = parse_method("resize:side=5");
  EXPECT_EQ(use.method->fixed_count({12, 12}, use.params), 25);
  EXPECT_EQ(as_picture_method(use)->grid({12, 12}, 25, use.params).rows, 5);
  EXPECT_FALSE(parse_method("resize").method->fixed_count({12, 12}, parse_method("resize").params));
  const auto grid = [](const char* text, Grid full, int32_t n_keep) {
    const MethodUse u = parse_method(text);
    return [u, full, n_keep] { as_picture_method(u)->grid(full, n_keep, u.params); };
  };
  using enum ErrorCode;
  test::expect_error(InvalidArgument, {"side, got 13", "1 to 12"}, grid("resize:side=13", {12, 12}, 169));
  test::expect_error(InvalidArgument, {"side=5, got 26", "expected 25"}, grid("resize:side=5", {12, 12}, 26));
  test::expect_error(InvalidArgument, {"got 0", "1 to 144"}, grid("resize", {12, 12}, 0));
  test::expect_error(InvalidArgument, {"got 145", "1 to 144"}, grid("resize", {12, 12}, 145));
  test::expect_error(InvalidArgument, {"got 12 x 6", "a square"}, grid("resize:side=3", {12, 6}, 9));
  test::expect_error(InvalidArgument, {"got 0 x 6", "at least 1 x 1"}, grid("resize", {0, 6}, 9));
  for (const char* bad : {"resize:side=0", "resize:side=x", "resize:side=2000", "resize:size=3"}) {
    EXPECT_THROW(parse_method(bad), Error) << bad;
  }
}

TEST(Resize, StepsInFrontOfTheTower) {
  const auto steps = [](const char* text, const char* keep) {
    return parse_steps(text, keep, BudgetMode::Exact, -1, 32);
  };
  const std::vector<Step> alone = steps("resize", "25%");
  EXPECT_EQ(alone[0].layer, kBeforeTower);
  EXPECT_EQ(steps_to_string(alone), "resize");
  EXPECT_EQ(steps("resize:side=6", "")[0].layer, kBeforeTower);
  const std::vector<Step> all = steps("then(resize, tome, fastervlm, fastv@2)", "50%,50%,50%,50%");
  EXPECT_EQ(all[1].layer, kInTower);
  EXPECT_EQ(steps_to_string(all).find("then(resize, tome:"), 0U);
  EXPECT_TRUE(runs_own_schedule(steps("then(resize, pyramiddrop)", "50%,50%")));
  test::expect_error(ErrorCode::InvalidArgument, {"tokens to keep with resize, got nothing"},
                     [&] { steps("resize", ""); });
  test::expect_error(ErrorCode::InvalidArgument,
                     {"place of resize, got the picture after the tower's blocks"},
                     [&] { steps("then(tome, resize)", "50%,50%"); });
  test::expect_error(ErrorCode::InvalidArgument, {"layer for resize, got 3", "before the tower"},
                     [&] { steps("resize@3", "50%"); });
  test::expect_error(ErrorCode::InvalidArgument, {"window"}, [&] { steps("window(resize, 2x2)", "50%"); });
}

}  // namespace
}  // namespace winnow::prune
