#include "winnow/base/quantile.h"

#include <gtest/gtest.h>

#include <vector>

namespace winnow {
namespace {

TEST(Quantile, WorkedOutByHand) {
  const std::vector<double> sorted{1.0, 2.0, 4.0, 8.0};
  EXPECT_EQ(quantile_of_sorted(sorted, 0.0), 1.0);
  EXPECT_EQ(quantile_of_sorted(sorted, 0.25), 1.75);
  EXPECT_EQ(quantile_of_sorted(sorted, 0.5), 3.0);
  EXPECT_EQ(quantile_of_sorted(sorted, 0.75), 5.0);
  EXPECT_EQ(quantile_of_sorted(sorted, 1.0), 8.0);
  EXPECT_EQ(quantile_of_sorted(std::vector<double>{7.0}, 0.3), 7.0);
  EXPECT_EQ(quantile_of_sorted({}, 0.5), 0.0);
}

}  // namespace
}  // namespace winnow
