#pragma once

// Arithmetic of the reference tests: plain loops in double, written from the formulas of the papers.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <vector>

#include "tests/prune/random_signals.h"

namespace winnow::prune::test {

using Doubles = std::vector<double>;
using Ints = std::vector<int32_t>;

inline double at(const Matrix& matrix, int64_t row, int64_t col) {
  return static_cast<double>(matrix.values[static_cast<std::size_t>(row * matrix.cols + col)]);
}

inline Doubles mean_of_rows(const Matrix& matrix) {
  Doubles mean(static_cast<std::size_t>(matrix.cols), 0.0);
  for (int64_t j = 0; j < matrix.cols; ++j) {
    for (int64_t row = 0; row < matrix.rows; ++row) mean[j] += at(matrix, row, j);
    mean[j] /= static_cast<double>(matrix.rows);
  }
  return mean;
}

inline double plain_cosine(const Matrix& a, int64_t row_a, const Matrix& b, int64_t row_b) {
  double ab = 0;
  double aa = 0;
  double bb = 0;
  for (int64_t c = 0; c < a.cols; ++c) {
    ab += at(a, row_a, c) * at(b, row_b, c);
    aa += at(a, row_a, c) * at(a, row_a, c);
    bb += at(b, row_b, c) * at(b, row_b, c);
  }
  return ab / std::sqrt(aa * bb);
}

/// Tokens from largest to smallest score, equal ones in their own order.
inline Ints ranking(const Doubles& scores) {
  Ints tokens(scores.size());
  std::iota(tokens.begin(), tokens.end(), 0);
  std::stable_sort(tokens.begin(), tokens.end(), [&](int32_t a, int32_t b) { return scores[a] > scores[b]; });
  return tokens;
}

inline Ints sorted(Ints tokens) {
  std::sort(tokens.begin(), tokens.end());
  return tokens;
}

inline Ints first_of(const Ints& tokens, int32_t count) { return {tokens.begin(), tokens.begin() + count}; }

inline bool has(const Ints& tokens, int32_t token) {
  return std::find(tokens.begin(), tokens.end(), token) != tokens.end();
}

}  // namespace winnow::prune::test
