// Linear interpolation along one axis, against values worked out by hand from torch's rule (align_corners
// False): output i is read at (i + 0.5) * n_from / n_to - 0.5, not before the first input.

#include "winnow/engine/projector/bilinear.h"

#include <gtest/gtest.h>

namespace winnow::engine {
namespace {

void expect_taps(int32_t n_from, int32_t n_to, const std::vector<AxisTaps>& expected) {
  const std::vector<AxisTaps> taps = bilinear_taps(n_from, n_to);
  ASSERT_EQ(taps.size(), expected.size());
  for (std::size_t i = 0; i < taps.size(); ++i) {
    EXPECT_EQ(taps[i].low, expected[i].low) << n_from << " to " << n_to << " at " << i;
    EXPECT_EQ(taps[i].high, expected[i].high) << n_from << " to " << n_to << " at " << i;
    EXPECT_NEAR(taps[i].weight, expected[i].weight, 1e-6) << n_from << " to " << n_to << " at " << i;
  }
}

TEST(BilinearTaps, WorkedOutByHand) {
  expect_taps(3, 2, {{0, 1, 0.25F}, {1, 2, 0.75F}});  // at 0.25 and 1.75
  expect_taps(8, 4, {{0, 1, 0.5F}, {2, 3, 0.5F}, {4, 5, 0.5F}, {6, 7, 0.5F}});
  expect_taps(5, 2, {{0, 1, 0.75F}, {3, 4, 0.25F}});                     // 0.75 and 3.25: 2 is not read
  expect_taps(9, 3, {{1, 2, 0.0F}, {4, 5, 0.0F}, {7, 8, 0.0F}});         // the middle of each three
  expect_taps(2, 3, {{0, 1, 0.0F}, {0, 1, 0.5F}, {1, 1, 1.0F / 6.0F}});  // -1/6 is cut off, 7/6 has no next
}

TEST(BilinearTaps, SameLengthIsTheSame) {
  for (const int32_t n : {1, 2, 27, 162}) {
    const std::vector<AxisTaps> taps = bilinear_taps(n, n);
    for (int32_t i = 0; i < n; ++i) {
      EXPECT_EQ(taps[static_cast<std::size_t>(i)].low, i);
      EXPECT_EQ(taps[static_cast<std::size_t>(i)].weight, 0.0F);
    }
  }
  EXPECT_TRUE(bilinear_taps(0, 0).empty());
}

}  // namespace
}  // namespace winnow::engine
