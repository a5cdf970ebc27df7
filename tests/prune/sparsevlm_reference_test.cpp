// SparseVLM against plain loops in double precision, written from the paper and the formulas of its
// clustering. Nothing here uses winnow/prune except to run the method under test.

#include <gtest/gtest.h>

#include "tests/prune/plain_loops.h"

namespace winnow::prune {
namespace {

using test::at;
using test::Doubles;
using test::first_of;
using test::Ints;
using test::kTextTokens;
using test::Matrix;
using test::mean_of_rows;
using test::OwnedSignals;
using test::random_matrix;
using test::random_signals;
using test::ranking;
using test::run;
using test::sorted;

/// Text tokens that the image relates to more than the mean.
Ints plain_raters(const Matrix& visual, const Matrix& text) {
  Doubles relevance(static_cast<std::size_t>(text.rows), 0.0);
  for (int64_t j = 0; j < visual.rows; ++j) {
    Doubles weights;
    double sum = 0;
    for (int64_t t = 0; t < text.rows; ++t) {
      double product = 0;
      for (int64_t c = 0; c < text.cols; ++c) product += at(visual, j, c) * at(text, t, c);
      weights.push_back(std::exp(product));
      sum += weights.back();
    }
    for (int64_t t = 0; t < text.rows; ++t)
      relevance[t] += weights[t] / sum / static_cast<double>(visual.rows);
  }
  Ints raters;
  for (int32_t t = 0; t < static_cast<int32_t>(text.rows); ++t) {
    if (relevance[t] > 1.0 / static_cast<double>(text.rows)) raters.push_back(t);  // the mean is 1 / n_text
  }
  return raters;
}

/// Ones, rotated to two positions, multiplied: what rotary embedding alone gives.
double plain_bias(int32_t p, int32_t q, int32_t d_head) {
  double product = 0;
  for (int32_t i = 0; i < d_head / 2; ++i) {
    const double a = p * std::pow(10000.0, -2.0 * i / d_head);
    const double b = q * std::pow(10000.0, -2.0 * i / d_head);
    product += (std::cos(a) - std::sin(a)) * (std::cos(b) - std::sin(b));
    product += (std::cos(a) + std::sin(a)) * (std::cos(b) + std::sin(b));
  }
  return product / std::sqrt(static_cast<double>(d_head));
}

/// Mean over raters and heads of the attention to each token; corrected and of the best 14 heads for plus.
Doubles plain_scores(const OwnedSignals& signals, bool plus) {
  const Matrix& attention = signals.of.at(Signal::TextAttention);
  const int64_t n_head = attention.rows / kTextTokens;
  const Ints raters = plain_raters(signals.of.at(Signal::InputEmbeds), signals.of.at(Signal::TextEmbeds));
  const int32_t first_id = 5;  // OwnedSignals: a head of 8, token j at 5 + its cell, text behind the grid
  const auto cell = [&](int64_t j) { return signals.token_of.empty() ? j : signals.token_of[j]; };
  std::vector<Doubles> by_head;
  Doubles head_sums;
  for (int64_t head = 0; head < n_head; ++head) {
    Doubles& scores = by_head.emplace_back(attention.cols, 0.0);
    for (const int32_t rater : raters) {
      for (int64_t j = 0; j < attention.cols; ++j) {
        const double bias = plus ? plain_bias(first_id + signals.grid.size() + rater,
                                              static_cast<int32_t>(first_id + cell(j)), 8)
                                 : 1.0;
        scores[j] += at(attention, head * kTextTokens + rater, j) / bias / static_cast<double>(raters.size());
      }
    }
    head_sums.push_back(std::accumulate(scores.begin(), scores.end(), 0.0));
  }
  const Ints heads =
      first_of(ranking(head_sums), static_cast<int32_t>(plus ? std::min<int64_t>(14, n_head) : n_head));
  Doubles mean(static_cast<std::size_t>(attention.cols), 0.0);
  for (const int32_t head : heads) {
    for (std::size_t j = 0; j < mean.size(); ++j) {
      mean[j] += by_head[head][j] / static_cast<double>(heads.size());
    }
  }
  return mean;
}

struct PlainClusters {
  Ints centres;               // tokens
  std::vector<Ints> members;  // tokens
};

PlainClusters plain_clusters(const Matrix& hidden, const Ints& tokens, int32_t n_cluster,
                             const Doubles& noise) {
  const std::size_t n = tokens.size();
  std::vector<Doubles> distance(n, Doubles(n, 0.0));
  double farthest = 0;
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      for (int64_t c = 0; c < hidden.cols; ++c) {
        distance[i][j] += std::pow(at(hidden, tokens[i], c) - at(hidden, tokens[j], c), 2);
      }
      distance[i][j] = std::sqrt(distance[i][j] / static_cast<double>(hidden.cols));
      farthest = std::max(farthest, distance[i][j]);
    }
  }
  Doubles density;
  for (std::size_t i = 0; i < n; ++i) {
    Doubles near = distance[i];
    std::sort(near.begin(), near.end());
    double squares = 0;
    for (int32_t k = 0; k < n_cluster; ++k) squares += near[k] * near[k] / n_cluster;
    density.push_back(std::exp(-squares) + noise[i]);
  }
  Doubles score;
  for (std::size_t i = 0; i < n; ++i) {
    double apart = farthest;
    for (std::size_t j = 0; j < n; ++j) {
      if (density[j] > density[i]) apart = std::min(apart, distance[i][j]);
    }
    score.push_back(density[i] * apart);
  }
  const Ints centres = first_of(ranking(score), n_cluster);
  PlainClusters clusters{{}, std::vector<Ints>(static_cast<std::size_t>(n_cluster))};
  for (std::size_t i = 0; i < n; ++i) {
    std::size_t own = 0;
    for (std::size_t c = 0; c < centres.size(); ++c) {
      if (distance[i][centres[c]] < distance[i][centres[own]]) own = c;
    }
    for (std::size_t c = 0; c < centres.size(); ++c) {
      if (centres[c] == static_cast<int32_t>(i)) own = c;
    }
    clusters.members[own].push_back(tokens[i]);
  }
  for (const int32_t centre : centres) clusters.centres.push_back(tokens[centre]);
  return clusters;
}

int32_t recycled_of(int32_t dropped) { return static_cast<int32_t>(0.3 * dropped) + 1; }

/// Kept tokens in raster order, then one mean per cluster of the best dropped ones.
void expect_recycling(const Plan& plan, const OwnedSignals& signals, const Doubles& scores, int32_t n_kept,
                      int32_t n_cluster, uint64_t seed) {
  ASSERT_EQ(plan.n_out(), n_kept + n_cluster);
  const Ints ranked = ranking(scores);
  const Ints kept = sorted(first_of(ranked, n_kept));
  for (int32_t out = 0; out < n_kept; ++out) {
    EXPECT_EQ(plan.position_of[out], kept[out]);
    EXPECT_EQ(Ints(plan.sources(out).begin(), plan.sources(out).end()), Ints{kept[out]});
    EXPECT_EQ(plan.weights(out)[0], 1.0F);
  }
  if (n_cluster == 0) return;
  const Ints dropped(ranked.begin() + n_kept, ranked.end());
  const Ints recycled = first_of(dropped, recycled_of(static_cast<int32_t>(dropped.size())));
  Rng rng(seed);
  Doubles noise;
  for (std::size_t i = 0; i < recycled.size(); ++i) noise.push_back(1e-6 * rng.uniform());
  const PlainClusters clusters = plain_clusters(signals.of.at(Signal::Hidden), recycled, n_cluster, noise);
  for (int32_t c = 0; c < n_cluster; ++c) {
    const int32_t out = n_kept + c;
    EXPECT_EQ(plan.position_of[out], clusters.centres[c]);
    EXPECT_EQ(Ints(plan.sources(out).begin(), plan.sources(out).end()), clusters.members[c]);
    for (const float weight : plan.weights(out)) {
      EXPECT_FLOAT_EQ(weight, 1.0F / static_cast<float>(clusters.members[c].size()));
    }
  }
}

void expect_scores(const Plan& plan, const Doubles& expected, double relative) {
  ASSERT_EQ(plan.scores.size(), expected.size());
  for (std::size_t j = 0; j < expected.size(); ++j) {
    ASSERT_NEAR(plan.scores[j], expected[j], relative * std::abs(expected[j]) + 1e-9) << "token " << j;
  }
}

/// What k gives in total.
int32_t with_clusters(int32_t n, int32_t kept) { return kept + recycled_of(n - kept) / 10 + 1; }

class SparseVlmReference : public ::testing::TestWithParam<Grid> {};

TEST_P(SparseVlmReference, KeptTokensAndRecycledMeans) {
  const int32_t n = GetParam().size();
  for (uint64_t seed = 0; seed < 3; ++seed) {
    const OwnedSignals signals = random_signals(GetParam(), 400 + seed, {}, 6, 5);
    const Doubles scores = plain_scores(signals, false);
    for (const int32_t n_keep : {1, 2, 5, n / 9, n / 4, n / 2, n - 2, n - 1}) {
      // The largest k whose total is n_keep; where one token and its clusters are too many, fewer clusters.
      int32_t n_kept = 1;
      for (int32_t kept = 1; kept < n; ++kept) {
        if (with_clusters(n, kept) == n_keep) n_kept = kept;
      }
      SCOPED_TRACE(std::to_string(n_keep) + " left, " + std::to_string(n_kept) + " kept");
      const Plan plan = run("sparsevlm", signals, n_keep, seed);
      expect_scores(plan, scores, 1e-5);
      expect_recycling(plan, signals, scores, n_kept, n_keep - n_kept, seed);
    }
  }
}

TEST_P(SparseVlmReference, PlusCorrectsForDistanceAndChoosesHeads) {
  for (const int64_t n_head : {3, 14, 20}) {
    const OwnedSignals signals = random_signals(GetParam(), 450, {}, 6, n_head);
    const Doubles scores = plain_scores(signals, true);
    for (const int32_t n_keep : {1, GetParam().size() / 4, GetParam().size() - 1}) {
      const Plan plan = run("sparsevlm:version=plus", signals, n_keep);
      expect_scores(plan, scores, 2e-4);  // the correction may be near 0
      EXPECT_EQ(plan.index, sorted(first_of(ranking(scores), n_keep))) << n_head << " heads";
      EXPECT_TRUE(plan.is_selection());
    }
  }
}

TEST_P(SparseVlmReference, OnAnImageThatWasPruned) {
  Rng rng(3);
  const int32_t n = GetParam().size() / 2;
  const OwnedSignals signals = random_signals(GetParam(), 460, rng.sample(GetParam().size(), n), 6);
  const Plan plus = run("sparsevlm:version=plus", signals, n / 3);
  EXPECT_EQ(plus.index, sorted(first_of(ranking(plain_scores(signals, true)), n / 3)));
}

std::string grid_name(const ::testing::TestParamInfo<Grid>& info) {
  return std::to_string(info.param.rows) + "x" + std::to_string(info.param.cols);
}

INSTANTIATE_TEST_SUITE_P(Grids, SparseVlmReference,
                         ::testing::Values(Grid{12, 12}, Grid{24, 24}, Grid{9, 13}, Grid{1, 30}), grid_name);

TEST(SparseVlmRank, DecidesTheCount) {
  for (const int64_t rank : {1, 2, 3, 4}) {
    OwnedSignals signals = random_signals({8, 8}, 470 + static_cast<uint64_t>(rank), {}, 6, 2);
    // Attention of both heads as a product [text, rank] x [rank, n], so that this is the rank of any rater
    // rows.
    Rng rng(480);
    const auto draw = [&] { return 0.01 + rng.uniform(); };
    const Matrix left = random_matrix(kTextTokens, rank, draw);
    const Matrix right = random_matrix(rank, 64, draw);
    Matrix& attention = signals.of[Signal::TextAttention];
    for (int64_t row = 0; row < attention.rows; ++row) {
      for (int64_t j = 0; j < 64; ++j) {
        double sum = 0;
        for (int64_t r = 0; r < rank; ++r) sum += at(left, row % kTextTokens, r) * at(right, r, j);
        attention.values[row * 64 + j] = static_cast<float>(sum / 64);
      }
    }
    const auto n_rater = static_cast<int64_t>(
        plain_raters(signals.of.at(Signal::InputEmbeds), signals.of.at(Signal::TextEmbeds)).size());
    const auto expected = static_cast<int32_t>(5.5 * static_cast<double>(std::min(rank, n_rater)) + 2);
    const Plan plan = run("sparsevlm:version=1.0,scale=5.5,bias=2", signals, kMethodDecides, 7);
    SCOPED_TRACE("rank " + std::to_string(rank) + ", raters " + std::to_string(n_rater));
    expect_recycling(plan, signals, plain_scores(signals, false), expected,
                     with_clusters(64, expected) - expected, 7);
    // SparseVLM+ recycles nothing.
    EXPECT_TRUE(run("sparsevlm:version=plus", signals, kMethodDecides).is_selection());
  }
}

TEST(SparseVlmRank, KeepsAtLeastOneAndAtMostAllButOne) {
  const OwnedSignals signals = random_signals({6, 6}, 490);
  EXPECT_EQ(run("sparsevlm:version=plus,scale=0,bias=-5", signals, kMethodDecides).n_out(), 1);
  EXPECT_EQ(run("sparsevlm:version=plus,scale=1000,bias=0", signals, kMethodDecides).n_out(), 35);
}

TEST(SparseVlmRaters, WithoutOneAllTextRates) {
  OwnedSignals signals = random_signals({6, 6}, 495);
  std::fill(signals.of[Signal::TextEmbeds].values.begin(), signals.of[Signal::TextEmbeds].values.end(), 1.0F);
  const Doubles scores = mean_of_rows(signals.of.at(Signal::TextAttention));
  expect_scores(run("sparsevlm", signals, 9), scores, 1e-5);
}

}  // namespace
}  // namespace winnow::prune
