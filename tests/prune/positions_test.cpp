#include "winnow/prune/positions.h"

#include <gtest/gtest.h>

#include <array>

#include "tests/prune/expect_error.h"

namespace winnow::prune {
namespace {

using Ints = std::vector<int32_t>;
using test::expect_error;

// Two text tokens (ids 0, 1), an image of 9 ids (2..10) of which tokens 0, 4, 8 stay, one text token (11).
const Ints kBefore{0, 1, 2, 6, 10, 11};
const std::vector<VisualSpan> kImage{{.first = 2, .count = 3, .first_id = 2, .n_ids = 9}};

TEST(PositionsTest, OriginalKeepsEveryId) {
  EXPECT_EQ(position_ids(PositionPolicy::Original, kBefore, kImage, 0), kBefore);
}

TEST(PositionsTest, CompactCountsFromTheFirstId) {
  EXPECT_EQ(position_ids(PositionPolicy::Compact, kBefore, kImage, 0), (Ints{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(position_ids(PositionPolicy::Compact, kBefore, kImage, 100),
            (Ints{100, 101, 102, 103, 104, 105}));
}

TEST(PositionsTest, RegridSpreadsOverTheImagesOwnIds) {
  // Thirds of 2..10 are 2-4, 5-7, 8-10: their middles whatever tokens were kept; text stays.
  const Ints bunched{0, 1, 8, 9, 10, 11};
  EXPECT_EQ(position_ids(PositionPolicy::Regrid, bunched, kImage, 0), (Ints{0, 1, 3, 6, 9, 11}));
}

TEST(PositionsTest, RegridOfTwoImagesAndOfAll) {
  const std::vector<VisualSpan> images{{.first = 0, .count = 2, .first_id = 0, .n_ids = 4},
                                       {.first = 3, .count = 3, .first_id = 5, .n_ids = 3}};
  EXPECT_EQ(position_ids(PositionPolicy::Regrid, Ints{0, 1, 4, 5, 6, 7}, images, 0),
            (Ints{1, 3, 4, 5, 6, 7}));
  const std::vector<VisualSpan> one{{.first = 0, .count = 1, .first_id = 0, .n_ids = 576}};
  EXPECT_EQ(position_ids(PositionPolicy::Regrid, Ints{0}, one, 0), (Ints{288}));
}

TEST(PositionsTest, RegridStaysStrictlyAscendingAndInside) {
  for (int32_t n_ids = 1; n_ids <= 60; ++n_ids) {
    for (int32_t count = 1; count <= n_ids; ++count) {
      const Ints before(static_cast<std::size_t>(count), 0);
      const std::vector<VisualSpan> image{{.first = 0, .count = count, .first_id = 7, .n_ids = n_ids}};
      const Ints ids = position_ids(PositionPolicy::Regrid, before, image, 0);
      ASSERT_GE(ids.front(), 7);
      ASSERT_LT(ids.back(), 7 + n_ids);
      for (std::size_t i = 1; i < ids.size(); ++i) ASSERT_LT(ids[i - 1], ids[i]);
    }
  }
}

TEST(PositionsTest, EmptySequence) { EXPECT_TRUE(position_ids(PositionPolicy::Compact, {}, {}, 3).empty()); }

TEST(PositionsTest, BadSpansAreErrors) {
  const auto with = [](VisualSpan span) {
    return [span] { position_ids(PositionPolicy::Regrid, kBefore, std::vector{kImage[0], span}, 0); };
  };
  expect_error(ErrorCode::InvalidArgument, {"4 to 5"},
               with({.first = 4, .count = 1, .first_id = 11, .n_ids = 4}));
  expect_error(ErrorCode::InvalidArgument, {"5 to 7"},
               with({.first = 5, .count = 2, .first_id = 11, .n_ids = 4}));
  expect_error(ErrorCode::InvalidArgument, {"1 outputs", "0 ids"},
               with({.first = 5, .count = 1, .first_id = 0, .n_ids = 0}));
  expect_error(ErrorCode::InvalidArgument, {"expected"},
               with({.first = 5, .count = -1, .first_id = 0, .n_ids = 4}));
}

TEST(PositionsTest, PolicyNamesRoundTrip) {
  for (const auto policy : {PositionPolicy::Original, PositionPolicy::Compact, PositionPolicy::Regrid}) {
    EXPECT_EQ(parse_position_policy(position_policy_name(policy)), policy);
  }
  expect_error(ErrorCode::InvalidArgument, {"'middle'", "original, compact or regrid"},
               [] { parse_position_policy("middle"); });
}

// Text, an image of 3 x 4 ids from 2 on with one id in time, text from 6 on.
AxisIds axes_of(const std::vector<std::array<int32_t, 2>>& cells) {
  AxisIds ids{{0, 1}, {0, 1}, {0, 1}};
  for (const auto& [row, col] : cells) {
    ids.time.push_back(2);
    ids.row.push_back(2 + row);
    ids.col.push_back(2 + col);
  }
  for (auto* axis : {&ids.time, &ids.row, &ids.col}) axis->insert(axis->end(), {6, 7});
  return ids;
}

std::vector<GridSpan> grid_span(int32_t count) {
  return {{.first = 2, .count = count, .first_id = 2, .grid = {3, 4}}};
}

void expect_axes(const AxisIds& got, const Ints& time, const Ints& row, const Ints& col) {
  EXPECT_EQ(got.time, time);
  EXPECT_EQ(got.row, row);
  EXPECT_EQ(got.col, col);
}

TEST(AxisPositionsTest, PoliciesOnThreeAxes) {
  const AxisIds before = axes_of({{0, 3}, {2, 1}, {2, 3}});
  const auto with = [&](PositionPolicy policy) { return axis_position_ids(policy, before, grid_span(3)); };
  expect_axes(with(PositionPolicy::Original), before.time, before.row, before.col);
  // Rows 0 and 2 become 0 and 1, columns 1 and 3 too; text goes on behind the two.
  expect_axes(with(PositionPolicy::Compact), {0, 1, 2, 2, 2, 4, 5}, {0, 1, 2, 3, 3, 4, 5},
              {0, 1, 3, 2, 3, 4, 5});
  // Two rows of three: 3 / 4 -> 0, 9 / 4 -> 2; two columns of four: 1 and 3.
  expect_axes(with(PositionPolicy::Regrid), {0, 1, 2, 2, 2, 6, 7}, {0, 1, 2, 4, 4, 6, 7},
              {0, 1, 5, 3, 5, 6, 7});
}

TEST(AxisPositionsTest, AllTokensAndNoneOfThem) {
  std::vector<std::array<int32_t, 2>> cells;
  for (int32_t i = 0; i < 12; ++i) cells.push_back({i / 4, i % 4});
  const AxisIds all = axes_of(cells), none = axes_of({});
  for (const auto policy : {PositionPolicy::Original, PositionPolicy::Compact, PositionPolicy::Regrid}) {
    expect_axes(axis_position_ids(policy, all, grid_span(12)), all.time, all.row, all.col);
  }
  const Ints text{0, 1, 2, 3};
  expect_axes(axis_position_ids(PositionPolicy::Compact, none, grid_span(0)), text, text, text);
  expect_axes(axis_position_ids(PositionPolicy::Regrid, none, grid_span(0)), none.time, none.row, none.col);
}

// Text, a video of 3 steps of 2 x 4 ids from 2 on, text from 6 on; cells are step, row, column.
AxisIds video_of(const std::vector<std::array<int32_t, 3>>& cells) {
  AxisIds ids{{0, 1}, {0, 1}, {0, 1}};
  for (const auto& [step, row, col] : cells) {
    ids.time.push_back(2 + step);
    ids.row.push_back(2 + row);
    ids.col.push_back(2 + col);
  }
  for (auto* axis : {&ids.time, &ids.row, &ids.col}) axis->insert(axis->end(), {6, 7});
  return ids;
}

TEST(AxisPositionsTest, PoliciesInTime) {
  const AxisIds before = video_of({{0, 1, 3}, {2, 1, 0}, {2, 1, 3}});
  const std::vector<GridSpan> video{{.first = 2, .count = 3, .first_id = 2, .grid = {2, 4}, .n_time = 3}};
  const auto with = [&](PositionPolicy policy) { return axis_position_ids(policy, before, video); };
  expect_axes(with(PositionPolicy::Original), before.time, before.row, before.col);
  // Steps 0 and 2 become 0 and 1, row 1 becomes 0, columns 0 and 3 become 0 and 1; text behind the two.
  expect_axes(with(PositionPolicy::Compact), {0, 1, 2, 3, 3, 4, 5}, {0, 1, 2, 2, 2, 4, 5},
              {0, 1, 3, 2, 3, 4, 5});
  // Two steps of three: 3 / 4 -> 0, 9 / 4 -> 2; one row of two: 2 / 2 -> 1; two columns of four: 1 and 3.
  expect_axes(with(PositionPolicy::Regrid), {0, 1, 2, 4, 4, 6, 7}, {0, 1, 3, 3, 3, 6, 7},
              {0, 1, 5, 3, 5, 6, 7});
}

/// Time is the longest axis: text goes on behind it.
TEST(AxisPositionsTest, CompactBehindManySteps) {
  const AxisIds before = {{0, 1, 3, 4, 9}, {0, 1, 1, 1, 9}, {0, 1, 1, 1, 9}};
  const std::vector<GridSpan> video{{.first = 1, .count = 3, .first_id = 1, .grid = {1, 1}, .n_time = 8}};
  expect_axes(axis_position_ids(PositionPolicy::Compact, before, video), {0, 1, 2, 3, 4}, {0, 1, 1, 1, 4},
              {0, 1, 1, 1, 4});
}

TEST(AxisPositionsTest, AllTokensOfAVideo) {
  std::vector<std::array<int32_t, 3>> cells;
  for (int32_t i = 0; i < 24; ++i) cells.push_back({i / 8, i / 4 % 2, i % 4});
  const AxisIds all = video_of(cells);
  const std::vector<GridSpan> video{{.first = 2, .count = 24, .first_id = 2, .grid = {2, 4}, .n_time = 3}};
  for (const auto policy : {PositionPolicy::Original, PositionPolicy::Compact, PositionPolicy::Regrid}) {
    expect_axes(axis_position_ids(policy, all, video), all.time, all.row, all.col);
  }
}

TEST(AxisPositionsTest, BadAxesAreErrors) {
  AxisIds ids = axes_of({{0, 3}});
  const auto regrid = [&](std::vector<GridSpan> images) {
    return [&ids, images] { axis_position_ids(PositionPolicy::Regrid, ids, images); };
  };
  expect_error(ErrorCode::InvalidArgument, {"a sequence of 5"}, regrid({{2, 4, 2, {3, 4}}}));
  expect_error(ErrorCode::InvalidArgument, {"expected ascending spans"},
               regrid({{2, 1, 2, {3, 4}}, {1, 1, 2, {3, 4}}}));
  expect_error(ErrorCode::InvalidArgument, {"row 0 and column 3, expected them in a grid of 3 x 3"},
               regrid({{2, 1, 2, {3, 3}}}));
  ids.time[2] = 3;
  expect_error(ErrorCode::InvalidArgument, {"step 1 in time, expected one of 1"},
               regrid({{2, 1, 2, {3, 4}}}));
  ids.col.pop_back();
  expect_error(ErrorCode::InvalidArgument, {"got 5 in time, 5 rows and 4 columns"}, regrid({}));
}

}  // namespace
}  // namespace winnow::prune
