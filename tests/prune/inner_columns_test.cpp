#include "winnow/prune/inner_columns.h"

#include <gtest/gtest.h>

#include <limits>

#include "tests/prune/random_signals.h"
#include "winnow/base/error.h"
#include "winnow/prune/similarity.h"

namespace winnow::prune {
namespace {

using Floats = std::vector<float>;
using test::Matrix;

Matrix normals(int64_t rows, int64_t cols, uint64_t seed) {
  Rng rng(seed);
  return test::random_matrix(rows, cols, [&] { return rng.normal(); });
}

Floats plain_column(const MatrixView& rows, int64_t i) {
  Floats out(static_cast<std::size_t>(rows.rows));
  inner_with(rows, rows.row(i), out);
  return out;
}

Floats copy(std::span<const float> values) { return {values.begin(), values.end()}; }

TEST(InnerColumnsTest, EqualsThePlainWayInAnyOrder) {
  for (const int64_t n : {1, 2, 11, 12, 13, 100}) {
    const Matrix rows = normals(n, 37, 1);
    InnerColumns columns(rows.view());
    Rng rng(2);
    for (int round = 0; round < 150; ++round) {
      const auto i = static_cast<int64_t>(rng.below(static_cast<uint64_t>(n)));
      Floats likely;
      if (round % 3 != 0) {
        for (int64_t j = 0; j < n; ++j) likely.push_back(static_cast<float>(rng.normal()));
      }
      if (round % 3 == 2) {
        for (std::size_t j = 0; j < likely.size(); j += 2)
          likely[j] = -std::numeric_limits<float>::infinity();
      }
      ASSERT_EQ(copy(columns.column(i, likely)), plain_column(rows.view(), i)) << n << " rows, column " << i;
    }
  }
}

TEST(InnerColumnsTest, ForgetsWhenFullAndIsStillRight) {
  constexpr int64_t kRows = 5000;  // 64 MB hold 3355 columns
  const Matrix rows = normals(kRows, 2, 3);
  InnerColumns columns(rows.view());
  const Floats likely(kRows, 0.0F);
  for (int64_t i = 0; i < kRows; ++i) columns.column(i, likely);
  for (const int64_t i : {0, 1, 3354, 3355, 3360, 4999}) {
    EXPECT_EQ(copy(columns.column(i)), plain_column(rows.view(), i)) << i;
  }
}

TEST(InnerColumnsTest, WhatDoesNotFitIsRefused) {
  const Matrix rows = normals(4, 3, 4);
  InnerColumns columns(rows.view());
  EXPECT_THROW(columns.column(4), Error);
  EXPECT_THROW(columns.column(-1), Error);
  EXPECT_THROW(columns.column(0, Floats(3)), Error);
}

}  // namespace
}  // namespace winnow::prune
