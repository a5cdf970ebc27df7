#include "winnow/base/view.h"

#include <gtest/gtest.h>

#include <array>

namespace winnow {
namespace {

TEST(MatrixViewTest, RowMajor) {
  const std::array<float, 6> values{0, 1, 2, 3, 4, 5};
  const MatrixView view{values.data(), 2, 3};
  EXPECT_TRUE(view.present());
  EXPECT_EQ(view.size(), 6);
  EXPECT_EQ(view(1, 0), 3.0F);
  EXPECT_EQ(view.row(1)[2], 5.0F);
  EXPECT_EQ(view.all().size(), 6U);
  EXPECT_FALSE(MatrixView{}.present());
}

}  // namespace
}  // namespace winnow
