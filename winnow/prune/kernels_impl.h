#pragma once

// The innermost loops of similarity.h and of all_finite, as a table of functions: one for every vector
// instruction set (kernels_highway.cpp) and one in plain loops (kernels_plain.cpp), for builds without
// Highway and machines that it has nothing for. The order of every sum is in similarity.h.

#include <array>
#include <cstddef>
#include <cstdint>

namespace winnow::prune {

inline constexpr int64_t kChunk = 512;      ///< components that are summed before they go to the product
inline constexpr int64_t kPartialSums = 4;  ///< of a product in a chunk
inline constexpr int64_t kRightRows = 4;    ///< rows of a right panel
inline constexpr int64_t kMostLeftRows = 48;

inline constexpr std::size_t kDoubleSums = 16;

/// The partial sums of inner_double: halves are added until one is left.
inline double add_halves(std::array<double, kDoubleSums>& sums) {
  for (std::size_t half = kDoubleSums / 2; half > 0; half /= 2) {
    for (std::size_t i = 0; i < half; ++i) sums[i] += sums[i + half];
  }
  return sums[0];
}

using FourRows = std::array<const float*, 4>;
using EightRows = std::array<const float*, 8>;

struct Kernels {
  /// Rows of a left panel, at most kMostLeftRows: three vectors full of partial sums.
  int64_t left_rows;

  /// One chunk of left_rows x kRightRows products; sums [left_rows, kRightRows] is overwritten. A panel of r
  /// rows holds, for every step of kPartialSums components, those of row 0, row 1, ... row r - 1; it starts
  /// where vectors are aligned, as do the sums.
  void (*multiply_panels)(const float* left, const float* right, int64_t n_step, float* sums);

  /// products[i] = rows[i] . vector, all of length d.
  void (*inner_four)(const FourRows& rows, const float* vector, int64_t d, float* products);

  /// The same, and squares[i] = rows[i] . rows[i].
  void (*inner_four_with_squares)(const FourRows& rows, const float* vector, int64_t d, float* products,
                                  float* squares);

  /// inner_four of twice as many rows: faster where they are in a cache.
  void (*inner_eight)(const EightRows& rows, const float* vector, int64_t d, float* products);

  /// a . b, both of length n.
  double (*inner_double)(const double* a, const double* b, std::size_t n);

  /// True when no value is NaN or infinite.
  bool (*all_finite)(const float* values, std::size_t n);
};

const Kernels& plain_kernels();
/// The best of this machine and build.
const Kernels& kernels();

}  // namespace winnow::prune
