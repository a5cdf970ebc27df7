#include "winnow/prune/ops.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "tests/prune/random_signals.h"
#include "winnow/base/error.h"

namespace winnow::prune {
namespace {

using Floats = std::vector<float>;
using Ints = std::vector<int32_t>;
using test::Matrix;
using test::random_matrix;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kHuge = 3e38F;

double exact_cosine(std::span<const float> a, std::span<const float> b) {
  double ab = 0;
  double aa = 0;
  double bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    ab += static_cast<double>(a[i]) * b[i];
    aa += static_cast<double>(a[i]) * a[i];
    bb += static_cast<double>(b[i]) * b[i];
  }
  return ab / std::sqrt(aa * bb);
}

TEST(AllFiniteTest, FindsOneBadValueAnywhere) {
  Floats values(100, -kHuge);
  EXPECT_TRUE(all_finite(values));
  EXPECT_TRUE(all_finite({}));
  for (const float bad : {kInfinity, -kInfinity, std::nanf(""), -std::nanf("7")}) {
    for (const std::size_t at : {std::size_t{0}, std::size_t{50}, std::size_t{99}}) {
      Floats with = values;
      with[at] = bad;
      EXPECT_FALSE(all_finite(with)) << bad << " at " << at;
    }
  }
}

TEST(TopKTest, BestAscendingTiesToTheLowerIndex) {
  EXPECT_EQ(top_k(Floats{0.1F, 0.9F, 0.5F, 0.9F, 0.2F}, 2), (Ints{1, 3}));
  EXPECT_EQ(top_k(Floats{0.5F, 0.9F, 0.5F, 0.5F}, 2), (Ints{0, 1}));
  EXPECT_EQ(top_k(Floats{1, 1, 1, 1}, 3), (Ints{0, 1, 2}));
  EXPECT_EQ(top_k(Floats{-3, -1, -2}, 1), (Ints{1}));
  EXPECT_EQ(top_k(Floats{-1, 1, 0}, 2), (Ints{1, 2}));
  EXPECT_EQ(top_k(Floats{-0.0F, 0.0F}, 1), (Ints{0}));
  EXPECT_EQ(top_k(Floats{0.0F, -0.0F}, 1), (Ints{0}));
  EXPECT_EQ(top_k(Floats{-kHuge, kHuge, 0}, 2), (Ints{1, 2}));
}

TEST(TopKTest, AgreesWithASort) {
  Rng rng(21);
  for (const std::size_t n : {1U, 2U, 7U, 100U, 577U}) {
    Floats scores(n);
    for (float& score : scores) score = static_cast<float>(rng.below(9)) - 4.0F;  // many ties
    Ints order(n);
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return scores[a] > scores[b]; });
    for (std::size_t k = 0; k <= n; k += k < 8 ? 1 : 41) {
      Ints best(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(k));
      std::sort(best.begin(), best.end());
      EXPECT_EQ(top_k(scores, static_cast<int32_t>(k)), best) << k << " of " << n;
    }
  }
}

TEST(TopKTest, EdgesOfK) {
  EXPECT_TRUE(top_k(Floats{1, 2}, 0).empty());
  EXPECT_EQ(top_k(Floats{1, 2}, 2), (Ints{0, 1}));
  EXPECT_TRUE(top_k({}, 0).empty());
  EXPECT_THROW(top_k(Floats{1}, 2), Error);
  EXPECT_THROW(top_k(Floats{1}, -1), Error);
}

TEST(DescendingOrderTest, BestFirstTiesToTheLowerIndex) {
  EXPECT_EQ(descending_order(Floats{0.1F, 0.9F, 0.5F, 0.9F, -2}), (Ints{1, 3, 2, 0, 4}));
  EXPECT_EQ(descending_order(Floats{-0.0F, 0.0F, kHuge}), (Ints{2, 0, 1}));
  EXPECT_TRUE(descending_order({}).empty());
}

TEST(AllZeroTest, BothZeros) {
  EXPECT_TRUE(all_zero(Floats{0, -0.0F}));
  EXPECT_TRUE(all_zero({}));
  EXPECT_FALSE(all_zero(Floats{0, 1e-42F}));
}

TEST(MeanRowTest, AveragesAndSurvivesTheEndsOfFloat32) {
  const Floats values{1, kHuge, 2, kHuge, 6, kHuge};
  EXPECT_EQ(mean_row({values.data(), 3, 2}), (Floats{3, kHuge}));
}

TEST(HeadMeanTest, AveragesRows) {
  const Floats values{1, 2, 3, 3, 6, 9};
  EXPECT_EQ(head_mean({values.data(), 2, 3}), (Floats{2, 4, 6}));
  EXPECT_EQ(head_mean({values.data(), 1, 3}), (Floats{1, 2, 3}));
}

TEST(MinMaxTest, SpreadsOverZeroToOne) {
  Floats values{2, 4, 3};
  min_max_normalise(values);
  EXPECT_EQ(values, (Floats{0, 1, 0.5F}));
  Floats wide{-kHuge, kHuge, 0};
  min_max_normalise(wide);
  EXPECT_EQ(wide, (Floats{0, 1, 0.5F}));
  Floats constant{7, 7, 7};
  min_max_normalise(constant);
  EXPECT_EQ(constant, (Floats{0, 0, 0}));
  min_max_normalise({});
}

TEST(DotTest, EveryLengthAgreesWithPlainLoop) {
  Rng rng(3);
  for (int64_t n = 0; n <= 70; ++n) {
    const Matrix both = random_matrix(2, n, [&] { return rng.normal(); });
    double expected = 0;
    for (int64_t i = 0; i < n; ++i) expected += static_cast<double>(both.view()(0, i)) * both.view()(1, i);
    EXPECT_NEAR(dot(both.view().row(0), both.view().row(1)), expected, 1e-5) << "length " << n;
  }
}

TEST(CosineTest, HandWorked) {
  const Floats rows{3, 0, 0, -2, 1, 1, 0, 0};
  const Floats cosines = cosine_to({rows.data(), 4, 2}, Floats{5, 0});
  EXPECT_FLOAT_EQ(cosines[0], 1.0F);
  EXPECT_FLOAT_EQ(cosines[1], 0.0F);
  EXPECT_FLOAT_EQ(cosines[2], std::sqrt(0.5F));
  EXPECT_EQ(cosines[3], 0.0F) << "a zero row has no direction";
  EXPECT_EQ(cosine_to({rows.data(), 4, 2}, Floats{0, 0}), (Floats{0, 0, 0, 0}));
}

TEST(CosineTest, SurvivesTheEndsOfFloat32) {
  const Floats rows{kHuge, kHuge, 1e-40F, 0, 1e-30F, 1e-30F, -kHuge, kHuge};
  const Floats cosines = cosine_to({rows.data(), 4, 2}, Floats{1, 1});
  EXPECT_FLOAT_EQ(cosines[0], 1.0F);
  EXPECT_NEAR(cosines[1], std::sqrt(0.5), 1e-4);
  EXPECT_FLOAT_EQ(cosines[2], 1.0F);
  EXPECT_FLOAT_EQ(cosines[3], 0.0F);
  EXPECT_FLOAT_EQ(cosine_to({rows.data(), 1, 2}, Floats{kHuge, kHuge})[0], 1.0F);
}

TEST(CosineTest, AgreesWithDouble) {
  Rng rng(4);
  const Matrix rows = random_matrix(40, 129, [&] { return 100 * rng.normal(); });
  const Matrix query = random_matrix(1, 129, [&] { return rng.normal(); });
  const Floats cosines = cosine_to(rows.view(), query.view().row(0));
  for (int64_t r = 0; r < 40; ++r) {
    EXPECT_NEAR(cosines[static_cast<std::size_t>(r)], exact_cosine(rows.view().row(r), query.view().row(0)),
                1e-6);
  }
}

TEST(CosineToOthersTest, MeanAndMaxAgreeWithAllPairs) {
  Rng rng(5);
  for (const int64_t n : {2, 3, 31, 32, 33, 70, 257, 530}) {
    const Matrix rows = random_matrix(n, 20, [&] { return rng.normal() + 0.3; });
    const Floats mean = mean_cosine_to_others(rows.view());
    const Floats largest = max_cosine_to_others(rows.view());
    for (int64_t i = 0; i < n; ++i) {
      double sum = 0;
      double best = -1;
      for (int64_t j = 0; j < n; ++j) {
        if (j == i) continue;
        const double cosine = exact_cosine(rows.view().row(i), rows.view().row(j));
        sum += cosine;
        best = std::max(best, cosine);
      }
      EXPECT_NEAR(mean[static_cast<std::size_t>(i)], sum / static_cast<double>(n - 1), 1e-6)
          << n << " rows, row " << i;
      EXPECT_NEAR(largest[static_cast<std::size_t>(i)], best, 1e-6) << n << " rows, row " << i;
    }
  }
}

TEST(CosineToOthersTest, DuplicatesAreFullyRedundantAndZeroRowsHarmless) {
  const Floats rows{1, 2, 1, 2, -2, 1, 0, 0};
  const Floats largest = max_cosine_to_others({rows.data(), 4, 2});
  EXPECT_FLOAT_EQ(largest[0], 1.0F);
  EXPECT_FLOAT_EQ(largest[1], 1.0F);
  EXPECT_NEAR(largest[2], 0.0F, 1e-6);
  EXPECT_EQ(largest[3], 0.0F);
  EXPECT_TRUE(all_finite(mean_cosine_to_others({rows.data(), 4, 2})));
}

TEST(TopKPlanTest, CarriesItsScores) {
  const Plan plan = top_k_plan(Floats{0.1F, 0.3F, 0.2F}, 2);
  EXPECT_EQ(plan.index, (Ints{1, 2}));
  EXPECT_EQ(plan.scores, (Floats{0.1F, 0.3F, 0.2F}));
  EXPECT_TRUE(plan.is_selection());
}

}  // namespace
}  // namespace winnow::prune
