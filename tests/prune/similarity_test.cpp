#include "winnow/prune/similarity.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <functional>
#include <limits>

#include "tests/prune/random_signals.h"
#include "winnow/base/error.h"
#include "winnow/prune/kernels_impl.h"

#ifdef WINNOW_HAVE_HIGHWAY
#include <hwy/highway.h>
#endif

namespace winnow::prune {
namespace {

using Floats = std::vector<float>;
using test::Matrix;

/// Runs the check with the best kernels of this machine, and then as if it were ever older.
void with_all_instructions(const std::function<void()>& check) {
#ifdef WINNOW_HAVE_HIGHWAY
  for (int64_t targets = hwy::SupportedTargets(); targets != 0; targets &= targets - 1) {
    SCOPED_TRACE(hwy::TargetName(targets & -targets));
    hwy::SetSupportedTargetsForTest(targets);
    check();
  }
  hwy::SetSupportedTargetsForTest(0);
#else
  check();
#endif
}

Matrix normals(int64_t rows, int64_t cols, uint64_t seed) {
  Rng rng(seed);
  return test::random_matrix(rows, cols, [&] { return rng.normal() + 0.2; });
}

Floats block(const MatrixView& a, const MatrixView& b) {
  Floats out(static_cast<std::size_t>(a.rows * b.rows), -7.0F);
  inner_block(a, b, out);
  return out;
}

Floats with(const MatrixView& rows, std::span<const float> vector) {
  Floats out(static_cast<std::size_t>(rows.rows), -7.0F);
  inner_with(rows, vector, out);
  return out;
}

/// The bits, because -0 == 0 and NaN != NaN.
uint32_t bits(float value) { return std::bit_cast<uint32_t>(value); }

/// Within 1e-6 of the sum of magnitudes, which no order of float32 additions of these lengths exceeds.
void expect_near_exact(float got, std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  double magnitude = 0;
  for (std::size_t k = 0; k < a.size(); ++k) {
    const double term = static_cast<double>(a[k]) * static_cast<double>(b[k]);
    sum += term;
    magnitude += std::fabs(term);
  }
  ASSERT_NEAR(static_cast<double>(got), sum, 1e-6 * magnitude) << "length " << a.size();
}

TEST(InnerTest, HandWorked) {
  const Floats a{1, 2, 3, -1, 0, 4};
  const Floats b{1, 1, 1, 0, 2, -1};
  with_all_instructions([&] {
    EXPECT_EQ(block({a.data(), 2, 3}, {b.data(), 2, 3}), (Floats{6, 1, 3, -4}));
    EXPECT_EQ(with({a.data(), 2, 3}, Floats{1, 1, 1}), (Floats{6, 3}));
  });
}

TEST(InnerTest, EveryShapeAgreesWithDouble) {
  const Matrix a = normals(70, 130, 1);
  const Matrix b = normals(70, 130, 2);
  with_all_instructions([&] {
    for (const int64_t d : {1, 2, 3, 4, 5, 7, 8, 9, 15, 31, 33, 64, 127, 129, 130}) {
      for (const int64_t m : {1, 2, 3, 4, 5, 6, 7, 11, 12, 13, 23, 24, 25, 47, 48, 49, 70}) {
        for (const int64_t n : {1, 3, 4, 5, 8, 69, 70}) {
          const MatrixView left{a.values.data(), m, d};  // the same numbers, read in rows of d
          const MatrixView right{b.values.data(), n, d};
          const Floats out = block(left, right);
          const Floats one = with(left, right.row(n - 1));
          for (int64_t i = 0; i < m; ++i) {
            for (int64_t j = 0; j < n; ++j)
              expect_near_exact(out[static_cast<std::size_t>(i * n + j)], left.row(i), right.row(j));
            expect_near_exact(one[static_cast<std::size_t>(i)], left.row(i), right.row(n - 1));
          }
          if (::testing::Test::HasFatalFailure()) return;
        }
      }
    }
  });
}

TEST(InnerTest, LongVectorsAgreeWithDouble) {
  with_all_instructions([&] {
    for (const int64_t d : {511, 512, 513, 1023, 1025, 4096}) {
      const Matrix a = normals(7, d, 3);
      const Matrix b = normals(5, d, 4);
      const Floats out = block(a.view(), b.view());
      for (int64_t i = 0; i < 7; ++i) {
        for (int64_t j = 0; j < 5; ++j)
          expect_near_exact(out[static_cast<std::size_t>(i * 5 + j)], a.view().row(i), b.view().row(j));
      }
    }
  });
}

TEST(InnerTest, TwoVectorsGiveTheSameBitsHoweverTheyAreAskedFor) {
  with_all_instructions([&] {
    for (const int64_t d : {1, 6, 130, 513, 1100}) {
      const Matrix a = normals(37, d, 5);
      const Matrix b = normals(300, d, 6);  // more than are packed at once
      const Floats whole = block(a.view(), b.view());
      const Floats turned = block(b.view(), a.view());
      for (std::size_t i = 0; i < 37; ++i) {
        const std::span<const float> row = a.view().row(static_cast<int64_t>(i));
        const Floats line = with(b.view(), row);
        for (std::size_t j = 0; j < 300; ++j) {
          const float expected = whole[i * 300 + j];
          ASSERT_EQ(bits(expected), bits(turned[j * 37 + i])) << "b . a, length " << d;
          ASSERT_EQ(bits(expected), bits(line[j])) << "inner_with, length " << d;
          const MatrixView alone{b.view().row(static_cast<int64_t>(j)).data(), 1, d};
          ASSERT_EQ(bits(expected), bits(with(alone, row)[0])) << "one pair, length " << d;
        }
      }
    }
  });
}

/// Rows [first, first + n) of a with rows [3, 293) of b against the same pairs of whole = block(a, b).
void expect_same_part(const Matrix& a, const Matrix& b, const Floats& whole, int64_t first, int64_t n) {
  const int64_t d = a.cols;
  const Floats part = block({a.values.data() + first * d, n, d}, {b.values.data() + 3 * d, 290, d});
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < 290; ++j) {
      ASSERT_EQ(bits(part[static_cast<std::size_t>(i * 290 + j)]),
                bits(whole[static_cast<std::size_t>((first + i) * b.rows + 3 + j)]))
          << n << " rows from " << first << ", length " << d;
    }
  }
}

TEST(InnerTest, AnyCutIntoBlocksGivesTheSameBits) {
  with_all_instructions([&] {
    for (const int64_t d : {1, 6, 130, 513, 1100}) {
      const Matrix a = normals(37, d, 5);
      const Matrix b = normals(300, d, 6);
      const Floats whole = block(a.view(), b.view());
      for (const int64_t first : {1, 2, 5}) {
        for (const int64_t n : {1, 3, 4, 9, 24, 25, 32}) expect_same_part(a, b, whole, first, n);
      }
    }
  });
}

TEST(InnerTest, SquaresAreTheProductsWithThemselves) {
  with_all_instructions([&] {
    for (const int64_t d : {3, 130, 1100}) {
      const Matrix rows = normals(9, d, 7);
      const Matrix vector = normals(1, d, 8);
      Floats products(9);
      Floats squares(9);
      inner_with(rows.view(), vector.view().row(0), products, squares);
      EXPECT_EQ(products, with(rows.view(), vector.view().row(0)));
      for (int64_t r = 0; r < 9; ++r) {
        EXPECT_EQ(squares[static_cast<std::size_t>(r)],
                  with({rows.view().row(r).data(), 1, d}, rows.view().row(r))[0]);
      }
    }
  });
}

TEST(InnerTest, PairStripsHoldTheUpperTriangle) {
  with_all_instructions([&] {
    for (const int64_t n : {1, 2, 5, 255, 256, 257, 600}) {
      const Matrix rows = normals(n, 21, 9);
      const Floats all = block(rows.view(), rows.view());
      int64_t next = 0;
      for_each_pair_strip(rows.view(), [&](int64_t first, const MatrixView& products) {
        ASSERT_EQ(first, next);
        ASSERT_EQ(products.cols, n - first);
        next += products.rows;
        for (int64_t i = 0; i < products.rows; ++i) {
          for (int64_t j = 0; j < products.cols; ++j) {
            const float expected = j < i ? 0.0F : all[static_cast<std::size_t>((first + i) * n + first + j)];
            ASSERT_EQ(bits(products(i, j)), bits(expected))
                << n << " rows, " << first + i << ", " << first + j;
          }
        }
      });
      EXPECT_EQ(next, n);
    }
  });
}

TEST(InnerTest, ZeroRowsGiveZeroAndStayAlone) {
  Matrix a = normals(20, 70, 10);
  const Matrix b = normals(20, 70, 11);
  std::fill_n(a.values.begin() + a.view().cols * 5, a.view().cols, 0.0F);
  with_all_instructions([&] {
    const Floats out = block(a.view(), b.view());
    const MatrixView products{out.data(), 20, 20};
    for (int64_t j = 0; j < 20; ++j) {
      EXPECT_EQ(products(5, j), 0.0F);
      expect_near_exact(products(6, j), a.view().row(6), b.view().row(j));
    }
    EXPECT_EQ(with(b.view(), a.view().row(5)), Floats(20, 0.0F));
  });
}

TEST(InnerTest, InfinityStaysInItsOwnProducts) {
  Matrix a = normals(20, 70, 12);
  a.values[7 * 70 + 69] = std::numeric_limits<float>::infinity();
  with_all_instructions([&] {
    const Floats out = block(a.view(), normals(9, 70, 13).view());
    for (std::size_t i = 0; i < 20; ++i) {
      for (std::size_t j = 0; j < 9; ++j) EXPECT_EQ(std::isfinite(out[i * 9 + j]), i != 7) << i << ", " << j;
    }
  });
}

TEST(InnerTest, EmptyIsFine) {
  const Floats values(12, 1.0F);
  EXPECT_EQ(block({values.data(), 3, 0}, {values.data(), 4, 0}), Floats(12, 0.0F)) << "vectors of no length";
  EXPECT_TRUE(block({values.data(), 0, 3}, {values.data(), 4, 3}).empty());
  EXPECT_TRUE(block({values.data(), 4, 3}, {values.data(), 0, 3}).empty());
  EXPECT_TRUE(with({values.data(), 0, 3}, Floats(3)).empty());
  for_each_pair_strip({values.data(), 0, 3}, [](int64_t, const MatrixView&) { FAIL(); });
}

TEST(InnerTest, ShapesThatDoNotFitAreRefused) {
  const Floats values(12, 1.0F);
  Floats out(4);
  EXPECT_THROW(inner_block({values.data(), 2, 3}, {values.data(), 2, 4}, out), Error);
  EXPECT_THROW(inner_block({values.data(), 2, 3}, {values.data(), 3, 3}, out), Error);
  EXPECT_THROW(inner_with({values.data(), 4, 3}, Floats(2), out), Error);
  EXPECT_THROW(inner_with({values.data(), 3, 3}, Floats(3), out), Error);
  EXPECT_THROW(inner_with({values.data(), 4, 3}, Floats(3), out, std::span(out).first(3)), Error);
}

TEST(InnerTest, DoublesOfEveryLengthAreExactForWholeNumbers) {
  for (std::size_t n = 0; n < 70; ++n) {
    std::vector<double> a(n), b(n);
    double expected = 0.0;
    for (std::size_t k = 0; k < n; ++k) {
      a[k] = static_cast<double>(k) - 20.0;
      b[k] = 3.0 - static_cast<double>(k % 7);
      expected += a[k] * b[k];
    }
    with_all_instructions([&] { EXPECT_EQ(inner_double(a, b), expected) << n; });
  }
  EXPECT_THROW(inner_double(std::vector<double>(3), std::vector<double>(4)), Error);
}

TEST(KernelsTest, AllFiniteFindsABadValueAtEveryPlace) {
  constexpr float kInfinite = std::numeric_limits<float>::infinity();
  with_all_instructions([&] {
    for (std::size_t n = 0; n < 150; n += n < 70 ? 1 : 13) {
      Floats values(n, -std::numeric_limits<float>::max());
      EXPECT_TRUE(kernels().all_finite(values.data(), n)) << n;
      for (std::size_t at = 0; at < n; ++at) {
        for (const float bad : {kInfinite, -kInfinite, std::nanf(""), -std::nanf("7")}) {
          values[at] = bad;
          EXPECT_FALSE(kernels().all_finite(values.data(), n)) << bad << " at " << at << " of " << n;
        }
        values[at] = at % 2 == 0 ? 1e-42F : std::numeric_limits<float>::max();
      }
    }
  });
}

#if defined(WINNOW_HAVE_HIGHWAY) && HWY_ARCH_X86
TEST(KernelsTest, PlainLoopsAreTheVectorLoopsWithoutFusing) {
  if ((hwy::SupportedTargets() & HWY_SSE4) == 0) GTEST_SKIP() << "no SSE4 here";
  const Matrix a = normals(13, 1030, 14);
  const Matrix b = normals(9, 1030, 15);
  hwy::SetSupportedTargetsForTest(HWY_SSE4);
  const Floats vectors = block(a.view(), b.view());
  hwy::SetSupportedTargetsForTest(0);
  for (std::size_t i = 0; i < 13; ++i) {
    const auto row = [&](std::size_t j) { return b.view().row(static_cast<int64_t>(j)).data(); };
    Floats four(4);
    plain_kernels().inner_four({row(0), row(1), row(2), row(8)}, a.view().row(static_cast<int64_t>(i)).data(),
                               1030, four.data());
    EXPECT_EQ(four, (Floats{vectors[i * 9], vectors[i * 9 + 1], vectors[i * 9 + 2], vectors[i * 9 + 8]}));
  }
}
#endif

}  // namespace
}  // namespace winnow::prune
