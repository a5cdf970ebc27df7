#pragma once

// For the tests of methods that merge: outputs as weighted sets, plans applied to features, and plain loops
// in double precision. Nothing here uses winnow/prune except the shapes of plans and signals.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <string>
#include <vector>

#include "tests/prune/random_signals.h"
#include "tests/support/tensor_fixture.h"

namespace winnow::prune::test {

using Doubles = std::vector<double>;
using Ints = std::vector<int32_t>;
/// One output: weight of each input.
using Output = std::map<int32_t, double>;

inline winnow::test::TensorFixture fixture(const std::string& name) {
  return winnow::test::TensorFixture(std::string(WINNOW_TEST_DATA "/prune/") + name + ".safetensors");
}

/// Rows [first, end of the tensor) of a two-dimensional tensor.
inline Matrix matrix_of(const winnow::test::TensorFixture& tensors, const std::string& name,
                        int64_t first = 0) {
  const std::vector<int64_t> shape = tensors.shape(name);
  std::vector<float> values = tensors.f32(name);
  values.erase(values.begin(), values.begin() + first * shape.at(1));
  return {std::move(values), shape[0] - first, shape[1]};
}

inline double at(const Matrix& matrix, int64_t row, int64_t col) {
  return static_cast<double>(matrix.values[static_cast<std::size_t>(row * matrix.cols + col)]);
}

inline Doubles mean_of_heads(const Matrix& attention) {
  Doubles mean(static_cast<std::size_t>(attention.cols), 0.0);
  for (int64_t j = 0; j < attention.cols; ++j) {
    for (int64_t head = 0; head < attention.rows; ++head) mean[j] += at(attention, head, j);
    mean[j] /= static_cast<double>(attention.rows);
  }
  return mean;
}

inline double product(const Matrix& a, int64_t row_a, const Matrix& b, int64_t row_b) {
  double sum = 0;
  for (int64_t c = 0; c < a.cols; ++c) sum += at(a, row_a, c) * at(b, row_b, c);
  return sum;
}

inline double cosine(const Matrix& a, int64_t row_a, const Matrix& b, int64_t row_b) {
  return product(a, row_a, b, row_b) / std::sqrt(product(a, row_a, a, row_a) * product(b, row_b, b, row_b));
}

inline Ints range(int32_t n) {
  Ints all(static_cast<std::size_t>(n));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

/// Tokens from best to worst, equal ones in their own order.
inline Ints ranking(const Doubles& scores, Ints tokens) {
  std::stable_sort(tokens.begin(), tokens.end(), [&](int32_t a, int32_t b) { return scores[a] > scores[b]; });
  return tokens;
}

/// The k best of all, best first.
inline Ints best(const Doubles& scores, int32_t k) {
  Ints order = ranking(scores, range(static_cast<int32_t>(scores.size())));
  order.resize(static_cast<std::size_t>(k));
  return order;
}

inline Ints sorted(Ints tokens) {
  std::sort(tokens.begin(), tokens.end());
  return tokens;
}

inline bool contains(const Ints& tokens, int32_t token) {
  return std::find(tokens.begin(), tokens.end(), token) != tokens.end();
}

/// Of n tokens those that are not in `tokens`, ascending.
inline Ints without(int32_t n, const Ints& tokens) {
  Ints rest;
  for (int32_t token = 0; token < n; ++token) {
    if (!contains(tokens, token)) rest.push_back(token);
  }
  return rest;
}

/// How many values lie above Q3 + 1.5 IQR.
inline int32_t outliers(Doubles values) {
  std::sort(values.begin(), values.end());
  const auto quartile = [&](double part) {
    const double rank = part * static_cast<double>(values.size() - 1);
    const auto low = static_cast<std::size_t>(std::floor(rank));
    const auto high = static_cast<std::size_t>(std::ceil(rank));
    return values[low] + (values[high] - values[low]) * (rank - std::floor(rank));
  };
  const double q1 = quartile(0.25), q3 = quartile(0.75);
  return static_cast<int32_t>(
      std::count_if(values.begin(), values.end(), [&](double v) { return v > q3 + 1.5 * (q3 - q1); }));
}

/// The plan's outputs: [n_out, cols].
inline Matrix apply(const Plan& plan, const Matrix& features) {
  Matrix result{{}, plan.n_out(), features.cols};
  for (int32_t out = 0; out < plan.n_out(); ++out) {
    const auto sources = plan.sources(out);
    const auto weights = plan.weights(out);
    for (int64_t c = 0; c < features.cols; ++c) {
      double sum = 0;
      for (std::size_t i = 0; i < sources.size(); ++i)
        sum += static_cast<double>(weights[i]) * at(features, sources[i], c);
      result.values.push_back(static_cast<float>(sum));
    }
  }
  return result;
}

inline void expect_rows(const Matrix& got, const Matrix& expected, double tolerance) {
  ASSERT_EQ(got.rows, expected.rows);
  ASSERT_EQ(got.cols, expected.cols);
  for (int64_t i = 0; i < got.rows * got.cols; ++i) {
    const auto value = static_cast<double>(expected.values[i]);
    ASSERT_NEAR(got.values[i], value, tolerance * (1.0 + std::abs(value)))
        << "row " << i / got.cols << ", column " << i % got.cols;
  }
}

inline void expect_scores(const Plan& plan, const Doubles& expected, double tolerance) {
  ASSERT_EQ(plan.scores.size(), expected.size());
  for (std::size_t j = 0; j < expected.size(); ++j)
    ASSERT_NEAR(plan.scores[j], expected[j], tolerance) << "token " << j;
}

inline void expect_outputs(const Plan& plan, const std::vector<Output>& expected, double tolerance) {
  ASSERT_EQ(plan.n_out(), static_cast<int32_t>(expected.size()));
  for (int32_t out = 0; out < plan.n_out(); ++out) {
    const auto sources = plan.sources(out);
    const auto weights = plan.weights(out);
    const Output& output = expected[static_cast<std::size_t>(out)];
    ASSERT_EQ(sources.size(), output.size()) << "output " << out;
    for (std::size_t i = 0; i < sources.size(); ++i) {
      ASSERT_TRUE(output.contains(sources[i])) << "output " << out << " holds token " << sources[i];
      ASSERT_NEAR(weights[i], output.at(sources[i]), tolerance)
          << "output " << out << ", token " << sources[i];
    }
  }
}

}  // namespace winnow::prune::test
