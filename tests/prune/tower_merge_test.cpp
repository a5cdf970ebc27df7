// Merging inside the tower (ToMe, MustDrop's first stage): the authors' own results from tests/data/prune,
// and plain loops in double precision.

#include <gtest/gtest.h>

#include "tests/prune/expect_error.h"
#include "tests/prune/merging_support.h"
#include "winnow/prune/tome.h"
#include "winnow/prune/window_merge.h"

namespace winnow::prune {
namespace {

using namespace test;
using winnow::test::TensorFixture;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

class TomeGolden : public ::testing::TestWithParam<int32_t> {
 protected:
  Matrix in(const std::string& name) const { return matrix_of(tensors, "in." + block + "." + name); }

  TensorFixture tensors = fixture("tome/g6_C64_r8");
  std::string block = "block" + std::to_string(GetParam());
};

TEST_P(TomeGolden, MergesAsTheAuthorsDo) {
  const Matrix metric = in("metric"), sizes = in("size_in");
  const Merge merge = bipartite_merge(metric.view(), sizes.values, tensors.i32("param.r").at(0), true);
  expect_rows(apply(merge.plan, in("x_post_attn")), matrix_of(tensors, "out." + block + ".x_merged"), 2e-6);
  EXPECT_EQ(merge.sizes, tensors.f32("out." + block + ".size"));
  EXPECT_EQ(merge.plan.position_of.front(), 0);  // [CLS] first
}

/// y = x W^T + b.
Matrix linear(const Matrix& x, const Matrix& weight, const std::vector<float>& bias) {
  Matrix y{{}, x.rows, weight.rows};
  for (int64_t row = 0; row < x.rows; ++row) {
    for (int64_t c = 0; c < weight.rows; ++c)
      y.values.push_back(static_cast<float>(product(x, row, weight, c) + static_cast<double>(bias[c])));
  }
  return y;
}

Matrix layer_norm(const Matrix& x, double eps) {
  Matrix y{{}, x.rows, x.cols};
  for (int64_t row = 0; row < x.rows; ++row) {
    double mean = 0, variance = 0;
    for (int64_t c = 0; c < x.cols; ++c) mean += at(x, row, c) / static_cast<double>(x.cols);
    for (int64_t c = 0; c < x.cols; ++c)
      variance += std::pow(at(x, row, c) - mean, 2) / static_cast<double>(x.cols);
    for (int64_t c = 0; c < x.cols; ++c)
      y.values.push_back(static_cast<float>((at(x, row, c) - mean) / std::sqrt(variance + eps)));
  }
  return y;
}

/// Attention of queries, keys and values [t, 3 * heads * d] with a bias for every key: [t, heads * d].
Matrix attend(const Matrix& qkv, int64_t heads, const std::vector<float>& bias) {
  const int64_t width = qkv.cols / 3, d = width / heads;
  Matrix result{std::vector<float>(static_cast<std::size_t>(qkv.rows * width)), qkv.rows, width};
  for (int64_t head = 0; head < heads; ++head) {
    for (int64_t row = 0; row < qkv.rows; ++row) {
      Doubles weights;
      double sum = 0;
      for (int64_t key = 0; key < qkv.rows; ++key) {
        double logit = static_cast<double>(bias[key]);
        for (int64_t c = head * d; c < (head + 1) * d; ++c)
          logit += at(qkv, row, c) * at(qkv, key, width + c) / std::sqrt(static_cast<double>(d));
        weights.push_back(std::exp(logit));
        sum += weights.back();
      }
      for (int64_t c = head * d; c < (head + 1) * d; ++c) {
        double value = 0;
        for (int64_t key = 0; key < qkv.rows; ++key)
          value += weights[key] / sum * at(qkv, key, 2 * width + c);
        result.values[row * width + c] = static_cast<float>(value);
      }
    }
  }
  return result;
}

TEST_P(TomeGolden, LogSizesAreTheBiasOfProportionalAttention) {
  const int64_t heads = tensors.i32("param.heads").at(0);
  const Matrix x = in("x_in");
  const Matrix qkv = linear(layer_norm(x, 1e-5), in("qkv_w"), tensors.f32("in." + block + ".qkv_b"));
  const Matrix added = linear(attend(qkv, heads, log_size_bias(in("size_in").values)), in("proj_w"),
                              tensors.f32("in." + block + ".proj_b"));
  Matrix sum = x;
  for (std::size_t i = 0; i < sum.values.size(); ++i) sum.values[i] += added.values[i];
  expect_rows(sum, in("x_post_attn"), 5e-6);
}

INSTANTIATE_TEST_SUITE_P(Blocks, TomeGolden, ::testing::Values(0, 1));

TEST(TomeGoldenBlocks, GroupsOfTheOriginalTokens) {
  const TensorFixture tensors = fixture("tome/g6_C64_r8");
  Ints group = range(37);  // row of each original token
  for (const std::string block : {"block0", "block1"}) {
    const Merge merge = bipartite_merge(matrix_of(tensors, "in." + block + ".metric").view(),
                                        tensors.f32("in." + block + ".size_in"), 8, true);
    for (int32_t& row : group) {
      int32_t now = 0;
      for (int32_t out = 0; out < merge.plan.n_out(); ++out) {
        const auto sources = merge.plan.sources(out);
        if (contains({sources.begin(), sources.end()}, row)) now = out;
      }
      row = now;
    }
    EXPECT_EQ(group, tensors.i32("out." + block + ".group_of_original_token")) << block;
  }
}

/// Sources of each output with their weights, from the paper.
std::vector<Output> tome(const Matrix& metric, const std::vector<float>& sizes, int32_t r, bool cls) {
  const auto t = static_cast<int32_t>(metric.rows);
  Ints even, odd;
  for (int32_t row = 0; row < t; ++row) (row % 2 == 0 ? even : odd).push_back(row);
  Doubles most(static_cast<std::size_t>(t), -kInfinity);
  Ints match(static_cast<std::size_t>(t), 0);
  for (const int32_t row : even) {
    if (cls && row == 0) continue;
    for (const int32_t other : odd) {
      const double similarity = cosine(metric, row, metric, other);
      if (similarity > most[row]) {
        most[row] = similarity;
        match[row] = other;
      }
    }
  }
  const Ints order = ranking(most, even);  // [CLS], which matches nothing, comes last
  const Ints gone(order.begin(), order.begin() + r);
  Ints stay(order.begin() + r, order.end());
  if (cls) stay = sorted(stay);
  std::vector<Output> outputs;
  for (const int32_t row : stay) outputs.push_back({{row, 1.0}});
  for (const int32_t row : odd) {
    Output output{{row, static_cast<double>(sizes[row])}};
    double total = output[row];
    for (const int32_t other : gone) {
      if (match[other] != row) continue;
      output[other] = static_cast<double>(sizes[other]);
      total += output[other];
    }
    for (auto& [source, weight] : output) weight /= total;
    outputs.push_back(output);
  }
  return outputs;
}

TEST(TomeReference, RandomMetrics) {
  Rng rng(1);
  for (const int64_t t : {2, 3, 10, 37, 50}) {
    for (int32_t round = 0; round < 10; ++round) {
      const Matrix metric = random_matrix(t, 16, [&] { return rng.normal(); });
      const Matrix sizes = random_matrix(1, t, [&] { return static_cast<double>(1 + rng.below(9)); });
      for (const bool cls : {true, false}) {
        const auto most = static_cast<int32_t>((t - (cls ? 1 : 0)) / 2);
        for (const int32_t r : {1, most / 2, most, most + 5}) {
          if (std::min(r, most) == 0) continue;
          SCOPED_TRACE("t " + std::to_string(t) + ", r " + std::to_string(r));
          const Merge merge = bipartite_merge(metric.view(), sizes.values, r, cls);
          expect_outputs(merge.plan, tome(metric, sizes.values, std::min(r, most), cls), 1e-6);
          EXPECT_EQ(merge.sizes.size(), static_cast<std::size_t>(merge.plan.n_out()));
          EXPECT_EQ(std::accumulate(merge.sizes.begin(), merge.sizes.end(), 0.0F),
                    std::accumulate(sizes.values.begin(), sizes.values.end(), 0.0F));
        }
      }
    }
  }
}

TEST(TomeReference, NothingToMergeIsTheIdentity) {
  const Matrix metric = random_matrix(2, 4, [] { return 1.0; });
  const std::vector<float> sizes{1.0F, 3.0F};
  for (const Merge& merge :
       {bipartite_merge(metric.view(), sizes, 0, false), bipartite_merge(metric.view(), sizes, 5, true)}) {
    EXPECT_EQ(merge.plan.index, (Ints{0, 1}));
    EXPECT_TRUE(merge.plan.is_selection());
    EXPECT_EQ(merge.sizes, sizes);
  }
}

TEST(TomeReference, TiesGoToTheLowerIndex) {
  const Matrix metric = random_matrix(7, 4, [] { return 1.0; });
  const Merge merge = bipartite_merge(metric.view(), std::vector<float>(7, 1.0F), 2, true);
  EXPECT_EQ(merge.plan.position_of, (Ints{0, 6, 1, 3, 5}));
  EXPECT_EQ(merge.plan.index, (Ints{0, 6, 1, 2, 4, 3, 5}));
}

TEST(TomeReference, Errors) {
  const Matrix metric = random_matrix(4, 3, [] { return 1.0; });
  const auto expect = [&](const std::vector<std::string>& parts, const Matrix& of,
                          const std::vector<float>& sizes, int32_t r) {
    expect_error(ErrorCode::InvalidArgument, parts, [&] { bipartite_merge(of.view(), sizes, r, true); });
  };
  expect({"metric [4, 3]", "3 sizes"}, metric, {1, 1, 1}, 1);
  expect({"size of a row", "got 0"}, metric, {1, 1, 0, 1}, 1);
  expect({"size of a row", "got inf"}, metric, {1, 1, kInfinity, 1}, 1);
  expect({"rows to merge", "got -1"}, metric, {1, 1, 1, 1}, -1);
  Matrix bad = metric;
  bad.values[5] = kInfinity;
  expect({"metric", "infinity"}, bad, {1, 1, 1, 1}, 1);
}

TEST(MergeSchedule, ConstantAndLinear) {
  EXPECT_EQ(merge_schedule(5, 16), (Ints{16, 16, 16, 16, 16}));
  EXPECT_EQ(merge_schedule(5, 8, -1.0), (Ints{16, 12, 8, 4, 0}));
  EXPECT_EQ(merge_schedule(5, 8, 1.0), (Ints{0, 4, 8, 12, 16}));
  EXPECT_EQ(merge_schedule(4, 7, 0.5), (Ints{3, 5, 8, 11}));  // 3, 5.67, 8.33, 11
  EXPECT_EQ(merge_schedule(1, 7), (Ints{7}));
  for (const auto& [n_block, r, inflect] :
       {std::tuple{0, 8, 0.0}, std::tuple{4, -1, 0.0}, std::tuple{4, 8, 1.5}, std::tuple{4, 8, -1.5}}) {
    expect_error(ErrorCode::InvalidArgument, {"schedule", std::to_string(n_block) + " blocks"},
                 [&] { merge_schedule(n_block, r, inflect); });
  }
}

TEST(WindowMergeGolden, MergesAsTheAuthorsDo) {
  const TensorFixture tensors = fixture("mustdrop/stage1_g6_D64");
  const Matrix hidden = matrix_of(tensors, "in.hidden_after_block0");
  const Merge merge = merge_windows(hidden.view(), {6, 6}, true);
  expect_rows(apply(merge.plan, hidden), matrix_of(tensors, "out.tokens"), 2e-6);
  EXPECT_EQ(merge.sizes, tensors.f32("out.size"));
  Ints positions{0};
  for (const std::string name : {"out.merged_last_patch_index", "out.unmerged"}) {
    for (const int32_t patch : tensors.i32(name)) positions.push_back(1 + patch);
  }
  EXPECT_EQ(merge.plan.position_of, positions);
  const std::vector<float> scores = tensors.f32("out.window_scores_ref");
  for (int32_t patch = 0; patch < 36; ++patch)
    EXPECT_NEAR(merge.plan.scores[1 + patch], scores[patch / 6 / 3 * 2 + patch % 6 / 3], 1e-6);
}

/// Outputs of MustDrop's first stage without [CLS].
std::vector<Output> windows(const Matrix& hidden, Grid grid, Window window, double threshold) {
  std::vector<Ints> all;
  Doubles scores;
  for (int32_t top = 0; top + window.rows <= grid.rows; top += window.rows) {
    for (int32_t left = 0; left + window.cols <= grid.cols; left += window.cols) {
      Ints tokens;
      for (int32_t token = 0; token < grid.size(); ++token) {
        const int32_t row = token / grid.cols - top, col = token % grid.cols - left;
        if (row >= 0 && row < window.rows && col >= 0 && col < window.cols) tokens.push_back(token);
      }
      double sum = 0;
      for (const int32_t a : tokens) {
        for (const int32_t b : tokens)
          if (a != b) sum += cosine(hidden, a, hidden, b);
      }
      const auto size = static_cast<double>(tokens.size());
      scores.push_back(sum / (size * (size - 1)));
      all.push_back(tokens);
    }
  }
  std::vector<Output> outputs;
  Ints merged;
  for (const int32_t i : best(scores, static_cast<int32_t>(scores.size()))) {
    if (scores[i] < threshold) continue;
    outputs.emplace_back();
    for (const int32_t token : all[i]) {
      outputs.back()[token] = 1.0 / static_cast<double>(all[i].size());
      merged.push_back(token);
    }
  }
  for (const int32_t token : without(grid.size(), merged)) outputs.push_back({{token, 1.0}});
  return outputs;
}

TEST(WindowMergeReference, RandomImages) {
  Rng rng(2);
  int32_t n_merged = 0;
  for (int32_t round = 0; round < 20; ++round) {
    for (const Grid grid : {Grid{6, 6}, Grid{9, 12}, Grid{7, 8}, Grid{2, 9}}) {
      // A direction that all share and noise of another strength in each patch: cosines from 0 to 1.
      double noise = 1.0;
      int64_t drawn = 0;
      const Matrix hidden = random_matrix(grid.size(), 12, [&] {
        if (drawn++ % 36 == 0) noise = 2.0 * rng.uniform();
        return 1.0 + noise * rng.normal();
      });
      for (const Window window : {Window{3, 3}, Window{2, 4}, Window{1, 2}}) {
        SCOPED_TRACE("grid " + std::to_string(grid.rows) + "x" + std::to_string(grid.cols));
        const Merge merge = merge_windows(hidden.view(), grid, false, {window, 0.5F});
        expect_outputs(merge.plan, windows(hidden, grid, window, 0.5), 1e-6);
        EXPECT_EQ(std::accumulate(merge.sizes.begin(), merge.sizes.end(), 0.0F),
                  static_cast<float>(grid.size()));
        n_merged += grid.size() - merge.plan.n_out();
      }
    }
  }
  EXPECT_GT(n_merged, 100);
}

TEST(WindowMergeReference, EqualPatchesMergeInRasterOrder) {
  const Matrix hidden = random_matrix(1 + 7 * 6, 8, [] { return 1.0; });
  const Merge merge = merge_windows(hidden.view(), {7, 6}, true);
  EXPECT_EQ(merge.plan.position_of, (Ints{0, 15, 18, 33, 36, 37, 38, 39, 40, 41, 42}));
  EXPECT_EQ(merge.sizes, (std::vector<float>{1, 9, 9, 9, 9, 1, 1, 1, 1, 1, 1}));
}

TEST(WindowMergeReference, Errors) {
  Matrix hidden = random_matrix(36, 8, [] { return 1.0; });
  expect_error(ErrorCode::InvalidArgument, {"hidden states", "[36, 8]", "1 + 6x6"}, [&] {
    merge_windows(hidden.view(), {6, 6}, true);
  });
  expect_error(ErrorCode::InvalidArgument, {"window", "got 1x1"}, [&] {
    merge_windows(hidden.view(), {6, 6}, false, {{1, 1}, 0.8F});
  });
  hidden.values[7] = kInfinity;
  expect_error(ErrorCode::InvalidArgument, {"hidden states", "infinity"}, [&] {
    merge_windows(hidden.view(), {6, 6}, false);
  });
}

}  // namespace
}  // namespace winnow::prune
