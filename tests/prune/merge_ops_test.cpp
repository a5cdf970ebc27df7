// The arithmetic that merging methods share: order of scores, outliers, nearest rows.

#include <gtest/gtest.h>

#include <limits>

#include "winnow/prune/nearest.h"
#include "winnow/prune/ops.h"
#include "winnow/prune/outliers.h"

namespace winnow::prune {
namespace {

using Floats = std::vector<float>;
using Ints = std::vector<int32_t>;

TEST(BestFirstTest, FallingScoresTiesToTheLowerIndex) {
  const Floats scores{0.1F, 0.9F, -0.5F, 0.9F, 0.2F};
  EXPECT_EQ(best_first(scores, 5), (Ints{1, 3, 4, 0, 2}));
  EXPECT_EQ(best_first(scores, 2), (Ints{1, 3}));
  EXPECT_EQ(best_first(scores, 1), (Ints{1}));
  EXPECT_EQ(best_first(scores, 0), (Ints{}));
  EXPECT_EQ(best_first(Floats{0.0F, -0.0F, 0.0F}, 3), (Ints{0, 1, 2}));
  EXPECT_EQ(best_first(Floats{}, 0), (Ints{}));
}

TEST(OutlierShareTest, AboveTheUpperFenceOfInterpolatedQuartiles) {
  EXPECT_EQ(outlier_share(Floats{3.0F}), 0.0);
  EXPECT_EQ(outlier_share(Floats(10, 0.5F)), 0.0);
  EXPECT_EQ(outlier_share(Floats{1, 1, 1, 1, 1, 1, 1, 2}), 1.0 / 8);  // fence 1
  // Quartiles 2.75 and 6.25 of 1..8: fence 11.5.
  EXPECT_EQ(outlier_share(Floats{8, 1, 3, 2, 5, 4, 7, 6}), 0.0);
  // Quartiles 2 and 4 of five values: fence 7, which is not above itself.
  EXPECT_EQ(outlier_share(Floats{1, 2, 3, 4, 7}), 0.0);
  EXPECT_EQ(outlier_share(Floats{1, 2, 3, 4, 7.01F}), 1.0 / 5);
  // Low values are none, and values at the ends of float32 do not overflow.
  EXPECT_EQ(outlier_share(Floats{-100, 2, 2, 2, 2}), 0.0);
  const float huge = std::numeric_limits<float>::max();
  EXPECT_EQ(outlier_share(Floats{-huge, -huge, 0, huge, huge}), 0.0);
}

TEST(NearestRowsTest, LargestProductTiesToTheEarlierTarget) {
  const Floats values{1, 0, 0, 1, 1, 1, 0, 2};
  const MatrixView rows{values.data(), 4, 2};
  const Nearest nearest = nearest_rows(rows, Ints{0, 1, 2}, Ints{2, 0, 3});
  EXPECT_EQ(nearest.target, (Ints{0, 2, 0}));  // row 0 is as near to row 2 as to itself
  EXPECT_EQ(nearest.similarity, (Floats{1, 2, 2}));
  EXPECT_TRUE(nearest_rows(rows, {}, Ints{1}).target.empty());
}

}  // namespace
}  // namespace winnow::prune
