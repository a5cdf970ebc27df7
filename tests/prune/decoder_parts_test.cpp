// Arithmetic that methods inside the decoder stand on.

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "tests/prune/plain_loops.h"
#include "winnow/prune/cpython_set.h"
#include "winnow/prune/dpc_knn.h"
#include "winnow/prune/farthest.h"
#include "winnow/prune/matrix_rank.h"
#include "winnow/prune/ops.h"

namespace winnow::prune {
namespace {

using test::Ints;
using test::Matrix;

Ints in_set_order(const Ints& values) {
  Ints ordered;
  for (const int32_t index : cpython_set_order(values)) ordered.push_back(values[index]);
  return ordered;
}

TEST(CPythonSet, IteratesAsCPython) {
  // list(set(values)) of CPython 3.11.
  EXPECT_EQ(in_set_order({16, 13, 36, 29, 44, 47, 41, 46}), (Ints{36, 41, 44, 13, 46, 47, 16, 29}));
  EXPECT_EQ(in_set_order({600, 35, 67, 99, 620, 131, 612, 644}), (Ints{99, 67, 35, 131, 612, 644, 620, 600}));
  EXPECT_EQ(in_set_order({5, 37, 69, 101, 133, 165}), (Ints{101, 37, 69, 5, 133, 165}));
  EXPECT_EQ(in_set_order({243, 606, 557, 133, 378, 618, 485, 640, 594, 67,
                          620, 13,  480, 265, 564, 239, 196, 481, 553, 562}),
            (Ints{640, 133, 265, 13,  553, 557, 562, 564, 67,  196,
                  594, 606, 480, 481, 485, 618, 620, 239, 243, 378}));
  EXPECT_EQ(in_set_order({7}), (Ints{7}));
  EXPECT_TRUE(in_set_order({}).empty());
}

TEST(CPythonSet, EqualNumbersAreNotLost) { EXPECT_EQ(cpython_set_order(Ints(200, 3)).size(), 200U); }

Matrix product(const Matrix& a, const Matrix& b) {
  Matrix result{{}, a.rows, b.cols};
  for (int64_t i = 0; i < a.rows; ++i) {
    for (int64_t j = 0; j < b.cols; ++j) {
      double sum = 0;
      for (int64_t k = 0; k < a.cols; ++k) sum += test::at(a, i, k) * test::at(b, k, j);
      result.values.push_back(static_cast<float>(sum));
    }
  }
  return result;
}

TEST(MatrixRank, OfProductsIsTheInnerSize) {
  Rng rng(1);
  const auto normal = [&] { return rng.normal(); };
  for (const auto& [rows, cols] : {std::pair{5, 5}, {12, 40}, {40, 12}, {1, 9}, {9, 1}, {60, 576}}) {
    for (const int32_t rank : {1, 2, 5, 11, 12, 40}) {
      if (rank > std::min(rows, cols)) continue;
      const Matrix matrix =
          product(test::random_matrix(rows, rank, normal), test::random_matrix(rank, cols, normal));
      EXPECT_EQ(matrix_rank(matrix.view()), rank) << rows << "x" << cols;
    }
  }
}

TEST(MatrixRank, TinyHugeAndEmptyValues) {
  EXPECT_EQ(matrix_rank(Matrix{{0, 0, 0, 0}, 2, 2}.view()), 0);
  EXPECT_EQ(matrix_rank(Matrix{{1e-30F, 0, 0, 1e-30F}, 2, 2}.view()), 2);
  EXPECT_EQ(matrix_rank(Matrix{{3e38F, 0, 0, 2e38F}, 2, 2}.view()), 2);
  EXPECT_EQ(matrix_rank(Matrix{{1, 1, 1, 1}, 2, 2}.view()), 1);
  // The second singular value is 1e-8 of the first: below 2 x 1.2e-7; 1e-6 is above.
  EXPECT_EQ(matrix_rank(Matrix{{1, 0, 0, 1e-8F}, 2, 2}.view()), 1);
  EXPECT_EQ(matrix_rank(Matrix{{1, 0, 0, 1e-6F}, 2, 2}.view()), 2);
}

TEST(Farthest, GoesOnFromWhatIsThere) {
  // Points on a line at 0, 1, 2, 4, 8, 9.
  const std::vector<float> place{0, 1, 2, 4, 8, 9};
  const DistancesFrom distances = [&](int32_t from, std::span<float> to_each) {
    for (std::size_t j = 0; j < place.size(); ++j) to_each[j] = std::abs(place[from] - place[j]);
  };
  Ints chosen;
  extend_farthest(chosen, 4, 6, 0, distances);
  EXPECT_EQ(chosen, (Ints{0, 5, 3, 2}));
  chosen = {4};
  extend_farthest(chosen, 3, 6, 0, distances);
  EXPECT_EQ(chosen, (Ints{4, 0, 3}));
  extend_farthest(chosen, 2, 6, 0, distances);
  EXPECT_EQ(chosen, (Ints{4, 0, 3}));
  chosen = {};
  extend_farthest(chosen, 0, 6, 0, distances);
  EXPECT_TRUE(chosen.empty());
}

TEST(Farthest, MostIsolated) {
  // Angles of unit vectors, in degrees: 0, 10, 30, 100, 95. The nearest of 30 is 20 away, farther than any
  // other.
  Matrix rows{{}, 5, 2};
  for (const double degrees : {0.0, 10.0, 30.0, 100.0, 95.0}) {
    rows.values.push_back(static_cast<float>(2 * std::cos(degrees * 3.14159265 / 180)));
    rows.values.push_back(static_cast<float>(2 * std::sin(degrees * 3.14159265 / 180)));
  }
  const DistancesFrom distances = cosine_distances(rows.view());
  EXPECT_EQ(most_isolated(5, distances), 2);
  std::vector<float> from_first(5);
  distances(0, from_first);
  EXPECT_EQ(from_first[0], 0.0F);
  EXPECT_NEAR(from_first[3], 1 - std::cos(100 * 3.14159265 / 180), 1e-6);
}

Ints all_of(const Matrix& rows) {
  Ints all(static_cast<std::size_t>(rows.rows));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

TEST(DpcKnn, FindsTheTwoHeaps) {
  // Heaps around 0 and 10; the middle of each is its densest, the first heap is the denser one.
  const Matrix rows{{0, 0.4F, -0.5F, 10, 10.6F, 9.3F}, 6, 1};
  const Clusters clusters = dpc_knn(rows.view(), all_of(rows), 3, std::vector<double>(6, 0.0));
  EXPECT_EQ(clusters.centres[0], 0);
  EXPECT_EQ(clusters.label[1], clusters.label[0]);
  EXPECT_EQ(clusters.label[4], clusters.label[3]);
  EXPECT_NE(clusters.label[0], clusters.label[3]);
}

TEST(DpcKnn, OnlyTheGivenRowsCount) {
  const Matrix rows{{10, 0, 99, 0.4F, 10.6F, -99}, 6, 1};
  const Clusters clusters =
      dpc_knn(rows.view(), Ints{3, 4, 1, 0}, 2, std::vector<double>{4e-6, 3e-6, 2e-6, 1e-6});
  EXPECT_EQ(clusters.label[0], clusters.label[2]);
  EXPECT_EQ(clusters.label[1], clusters.label[3]);
  EXPECT_NE(clusters.label[0], clusters.label[1]);
}

TEST(DpcKnn, NoiseBreaksTies) {
  // Two equal rows: equal densities, so the one with more noise leads and the other is right beside it.
  const Matrix rows{{1, 1, 5}, 3, 1};
  EXPECT_EQ(dpc_knn(rows.view(), all_of(rows), 1, std::vector<double>{0, 1e-6, 0}).centres, (Ints{1}));
  EXPECT_EQ(dpc_knn(rows.view(), all_of(rows), 1, std::vector<double>{1e-6, 0, 0}).centres, (Ints{0}));
}

TEST(DpcKnn, WorksWithoutStoredProducts) {
  // 4097 rows are one too many to store: every row still belongs to the nearer centre.
  Rng rng(4);
  const Matrix rows = test::random_matrix(4097, 2, [&] { return rng.normal(); });
  const std::vector<double> noise(4097, 0.0);
  const Clusters all = dpc_knn(rows.view(), all_of(rows), 2, noise);
  EXPECT_EQ(all.label.size(), 4097U);
  for (int64_t i = 0; i < rows.rows; ++i) {
    const auto to = [&](int32_t c) {
      return squared_distance(rows.view().row(i), rows.view().row(all.centres[static_cast<std::size_t>(c)]));
    };
    EXPECT_LE(to(all.label[static_cast<std::size_t>(i)]),
              to(1 - all.label[static_cast<std::size_t>(i)]) * (1 + 1e-5));
  }
}

// Two heaps 2 apart, a million away from the origin: in float32 products of the rows as they are, what tells
// them apart is lost.
TEST(DpcKnn, WhatTheRowsShareDoesNotHideTheHeaps) {
  Matrix rows{{}, 8, 3};
  for (const float at : {0.0F, 2.0F, 0.1F, 2.12F, 0.25F, 2.3F, 0.45F, 2.55F})
    rows.values.insert(rows.values.end(), {1e6F, at, 0.1F});
  const std::vector<double> noise{8e-6, 7e-6, 6e-6, 5e-6, 4e-6, 3e-6, 2e-6, 1e-6};
  const Clusters clusters = dpc_knn(rows.view(), all_of(rows), 2, noise);
  for (std::size_t i = 2; i < 8; ++i) EXPECT_EQ(clusters.label[i], clusters.label[i % 2]) << i;
  EXPECT_NE(clusters.label[0], clusters.label[1]);
}

// Squares beyond float32 on one side, below it on the other.
TEST(DpcKnn, DistancesBeyondFloat32) {
  const Matrix rows{{3e38F, -3e38F, 2.9e38F, -2.9e38F}, 4, 1};
  const Clusters large = dpc_knn(rows.view(), all_of(rows), 2, std::vector<double>(4, 0.0));
  EXPECT_EQ(large.label[0], large.label[2]);
  EXPECT_NE(large.label[0], large.label[1]);
  const Matrix small{{1e-30F, 5e-30F, 1.1e-30F, 5.1e-30F}, 4, 1};
  const Clusters tiny = dpc_knn(small.view(), all_of(small), 2, std::vector<double>(4, 0.0));
  EXPECT_EQ(tiny.label[0], tiny.label[2]);
  EXPECT_NE(tiny.label[0], tiny.label[1]);
}

TEST(OpsTest, BestFirst) {
  const std::vector<float> scores{1, 3, 2, 3, -1};
  EXPECT_EQ(best_first(scores, 4), (Ints{1, 3, 2, 0}));
  EXPECT_EQ(best_first(scores, 0), Ints{});
}

TEST(OpsTest, TextHeadMean) {
  // 2 heads x 3 text tokens, 2 visual tokens; row = head * 3 + t.
  const Matrix attention{{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, 6, 2};
  EXPECT_EQ(text_head_mean(attention.view(), 3, Ints{0, 2}, Ints{0, 1}), (std::vector<float>{4, 5, 8, 9}));
  EXPECT_EQ(text_head_mean(attention.view(), 3, Ints{1}, Ints{1}), (std::vector<float>{9, 10}));
}

TEST(OpsTest, DistancesAndCosinesBeyondFloat32) {
  const std::vector<float> a{3e38F, 0, 4};
  const std::vector<float> b{-3e38F, 0, 4};
  EXPECT_NEAR(std::sqrt(squared_distance(a, b)) / 6e38, 1.0, 1e-6);
  EXPECT_FLOAT_EQ(cosine(a, b), -1.0F);
  EXPECT_DOUBLE_EQ(squared_distance(std::vector<float>{1, 2}, std::vector<float>{4, 6}), 25.0);
  const std::vector<float> tiny{1e-30F, 0};
  EXPECT_NEAR(squared_distance(tiny, std::vector<float>{0, 0}) / 1e-60, 1.0, 1e-6);
  EXPECT_EQ(squared_distance(a, a), 0.0);
  EXPECT_EQ(saturated(1e300), std::numeric_limits<float>::max());
  EXPECT_EQ(saturated(-1e300), std::numeric_limits<float>::lowest());
  EXPECT_EQ(saturated(0.5), 0.5F);
}

}  // namespace
}  // namespace winnow::prune
