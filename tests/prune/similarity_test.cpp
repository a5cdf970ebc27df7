#include "winnow/prune/similarity.h"

#include <gtest/gtest.h>

#include "tests/prune/random_signals.h"
#include "winnow/base/error.h"
#include "winnow/prune/ops.h"

namespace winnow::prune {
namespace {

using Floats = std::vector<float>;
using test::Matrix;
using test::random_matrix;

TEST(SimilarityTest, EveryShapeIsDotOfOpsBitForBit) {
  Rng rng(40);
  for (const int64_t m : {1, 2, 7, 33}) {
    for (const int64_t n : {1, 3, 32, 65}) {
      for (const int64_t d : {1, 15, 16, 17, 100}) {
        const Matrix a = random_matrix(m, d, [&] { return rng.normal(); });
        const Matrix b = random_matrix(n, d, [&] { return rng.normal(); });
        Floats block(static_cast<std::size_t>(m * n));
        inner_block(a.view(), b.view(), block);
        Floats one(static_cast<std::size_t>(n));
        for (int64_t i = 0; i < m; ++i) {
          inner_with(b.view(), a.view().row(i), one);
          for (int64_t j = 0; j < n; ++j) {
            const float expected = dot(a.view().row(i), b.view().row(j));
            ASSERT_EQ(one[static_cast<std::size_t>(j)], expected) << m << ", " << n << ", " << d;
            ASSERT_EQ(block[static_cast<std::size_t>(i * n + j)], expected) << m << ", " << n << ", " << d;
          }
        }
      }
    }
  }
}

TEST(SimilarityTest, NoRowsAndWrongSizes) {
  const Floats values{1, 2, 3, 4};
  Floats none;
  Floats two(2);
  inner_with({values.data(), 0, 2}, Floats{1, 2}, none);
  inner_block({values.data(), 0, 2}, {values.data(), 2, 2}, none);
  EXPECT_THROW(inner_with({values.data(), 2, 2}, Floats{1, 2}, none), Error);
  EXPECT_THROW(inner_with({values.data(), 2, 2}, Floats{1, 2, 3}, two), Error);
  EXPECT_THROW(inner_block({values.data(), 1, 4}, {values.data(), 2, 2}, two), Error);
}

}  // namespace
}  // namespace winnow::prune
