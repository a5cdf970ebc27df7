#include "winnow/engine/vision/position_grid.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/support/engine_models.h"
#include "winnow/base/error.h"
#include "winnow/base/rng.h"

namespace winnow::engine {
namespace {

std::vector<float> random_table(int64_t rows, int64_t width) {
  Rng rng(3, static_cast<uint64_t>(rows));
  std::vector<float> table(static_cast<std::size_t>(rows * width));
  for (float& value : table) value = static_cast<float>(rng.normal());
  return table;
}

TEST(ResizePositions, EqualThePlainLoopsInDouble) {
  constexpr int64_t kWidth = 5;
  for (const int32_t n_cls : {0, 1}) {
    for (const int32_t from : {1, 2, 6, 12, 24}) {
      for (const int32_t to : {1, 2, 3, 5, 6, 12, 17}) {
        SCOPED_TRACE(std::to_string(from) + " to " + std::to_string(to) + ", " + std::to_string(n_cls));
        const std::vector<float> table = random_table(n_cls + from * from, kWidth);
        testing::RefMatrix reference(n_cls + from * from, kWidth);
        reference.values.assign(table.begin(), table.end());
        const auto got = resize_positions(table, n_cls, {from, from}, {to, to});
        EXPECT_LE(
            testing::worst_error(got, testing::ref_resized_positions(reference, n_cls, from, to).values),
            1e-5);
      }
    }
  }
}

TEST(ResizePositions, RowsAndColumnsAreApart) {
  // Each row constant: columns do not matter, and rows are one-dimensional interpolation.
  const std::vector<float> table{1, 1, 1, 4, 4, 4, 2, 2, 2, 8, 8, 8};
  const auto got = resize_positions(table, 0, {4, 3}, {2, 5});
  ASSERT_EQ(got.size(), 10U);
  // At 0.5 and 2.5 the four taps weigh -0.09375, 0.59375, 0.59375, -0.09375.
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_NEAR(got[i], -0.09375 * 1 + 0.59375 * 1 + 0.59375 * 4 - 0.09375 * 2, 1e-5);
    EXPECT_NEAR(got[5 + i], -0.09375 * 4 + 0.59375 * 2 + 0.59375 * 8 - 0.09375 * 8, 1e-5);
  }
}

TEST(ResizePositions, SameGridAndClsStay) {
  const std::vector<float> table = random_table(37, 3);
  EXPECT_EQ(resize_positions(table, 1, {6, 6}, {6, 6}), table);
  const auto smaller = resize_positions(table, 1, {6, 6}, {3, 3});
  ASSERT_EQ(smaller.size(), 30U);
  EXPECT_TRUE(std::equal(table.begin(), table.begin() + 3, smaller.begin())) << "[CLS]";
}

TEST(ResizePositions, WhatCannotBeIsSaid) {
  const auto refused = [](const char* part, const std::function<void()>& call) {
    try {
      call();
      FAIL() << "no error with " << part;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::InvalidArgument);
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    }
  };
  const std::vector<float> table(37);
  refused("got 0 x 6", [&] { resize_positions(table, 1, {0, 6}, {3, 3}); });
  refused("got 3 x -1", [&] { resize_positions(table, 1, {6, 6}, {3, -1}); });
  refused("got 37 values", [&] { resize_positions(table, 0, {6, 6}, {3, 3}); });
  refused("got 0 values", [&] { resize_positions({}, 0, {6, 6}, {3, 3}); });
}

}  // namespace
}  // namespace winnow::engine
