#pragma once

// Signals read from a fixture of tests/data/prune.

#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "tests/prune/random_signals.h"
#include "tests/support/tensor_fixture.h"

namespace winnow::prune::test {

inline winnow::test::TensorFixture golden(const std::string& name) {
  return winnow::test::TensorFixture(WINNOW_TEST_DATA "/prune/" + name + ".safetensors");
}

/// Rows [first, first + count) of a tensor whose last axis is the width; all rows without a count.
inline Matrix golden_rows(const winnow::test::TensorFixture& fixture, const std::string& name,
                          int64_t first = 0, int64_t count = -1) {
  const std::vector<float> values = fixture.f32(name);
  const int64_t width = fixture.shape(name).back();
  const int64_t rows = count < 0 ? static_cast<int64_t>(values.size()) / width - first : count;
  return {{values.begin() + first * width, values.begin() + (first + rows) * width}, rows, width};
}

/// Columns [first, first + count) of a matrix.
inline Matrix columns(const Matrix& matrix, int64_t first, int64_t count) {
  Matrix part{{}, matrix.rows, count};
  for (int64_t r = 0; r < matrix.rows; ++r) {
    const auto row = matrix.values.begin() + r * matrix.cols + first;
    part.values.insert(part.values.end(), row, row + count);
  }
  return part;
}

/// 0, 1 ... count - 1.
inline std::vector<int32_t> first_integers(int64_t count) {
  std::vector<int32_t> integers(static_cast<std::size_t>(count));
  std::iota(integers.begin(), integers.end(), 0);
  return integers;
}

/// n tokens of a square grid, the first ones: where they stand does not matter to the method.
inline OwnedSignals first_tokens(int32_t side, int64_t n) {
  return {{side, side}, n == side * side ? std::vector<int32_t>{} : first_integers(n), {}};
}

inline void expect_near(const std::vector<float>& got, const std::vector<float>& expected, double tolerance,
                        const std::string& what) {
  ASSERT_EQ(got.size(), expected.size()) << what;
  for (std::size_t i = 0; i < got.size(); ++i) {
    ASSERT_NEAR(got[i], expected[i], tolerance) << what << " of token " << i;
  }
}

}  // namespace winnow::prune::test
