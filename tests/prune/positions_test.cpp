#include "winnow/prune/positions.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace winnow::prune
