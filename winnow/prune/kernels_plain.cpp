// The kernels in plain loops: the same order of sums, without fused multiply-add.

#include <bit>

#include "winnow/prune/kernels_impl.h"

namespace winnow::prune {
namespace {

constexpr int64_t kLeft = 4;

using PartialSums = std::array<float, kPartialSums>;

float add_up(const PartialSums& sums) { return (sums[0] + sums[2]) + (sums[1] + sums[3]); }

float inner(const float* a, const float* b, int64_t d) {
  float product = 0.0F;
  for (int64_t begin = 0; begin < d; begin += kChunk) {
    const int64_t end = begin + kChunk < d ? begin + kChunk : d;
    PartialSums sums{};
    int64_t at = begin;
    for (; at + kPartialSums <= end; at += kPartialSums) {
      for (int64_t s = 0; s < kPartialSums; ++s) sums[s] += a[at + s] * b[at + s];
    }
    for (int64_t s = 0; at < end; ++at, ++s) sums[s] += a[at] * b[at];
    product += add_up(sums);
  }
  return product;
}

void multiply_panels(const float* left, const float* right, int64_t n_step, float* sums) {
  for (int64_t i = 0; i < kLeft; ++i) {
    for (int64_t j = 0; j < kRightRows; ++j) {
      PartialSums partial{};
      for (int64_t step = 0; step < n_step; ++step) {
        const float* a = left + (step * kLeft + i) * kPartialSums;
        const float* b = right + (step * kRightRows + j) * kPartialSums;
        for (int64_t s = 0; s < kPartialSums; ++s) partial[s] += a[s] * b[s];
      }
      sums[i * kRightRows + j] = add_up(partial);
    }
  }
}

void inner_four(const FourRows& rows, const float* vector, int64_t d, float* products) {
  for (std::size_t i = 0; i < rows.size(); ++i) products[i] = inner(rows[i], vector, d);
}

void inner_four_with_squares(const FourRows& rows, const float* vector, int64_t d, float* products,
                             float* squares) {
  inner_four(rows, vector, d, products);
  for (std::size_t i = 0; i < rows.size(); ++i) squares[i] = inner(rows[i], rows[i], d);
}

void inner_eight(const EightRows& rows, const float* vector, int64_t d, float* products) {
  for (std::size_t i = 0; i < rows.size(); ++i) products[i] = inner(rows[i], vector, d);
}

double inner_double(const double* a, const double* b, std::size_t n) {
  std::array<double, kDoubleSums> sums{};
  for (std::size_t k = 0; k < n; ++k) sums[k % kDoubleSums] += a[k] * b[k];
  return add_halves(sums);
}

bool all_finite(const float* values, std::size_t n) {
  uint32_t bad = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const uint32_t exponent = std::bit_cast<uint32_t>(values[i]) & 0x7f800000U;
    bad |= static_cast<uint32_t>(exponent == 0x7f800000U);
  }
  return bad == 0;
}

}  // namespace

const Kernels& plain_kernels() {
  static const Kernels table{kLeft,       multiply_panels, inner_four, inner_four_with_squares,
                             inner_eight, inner_double,    all_finite};
  return table;
}

#ifndef WINNOW_HAVE_HIGHWAY
const Kernels& kernels() { return plain_kernels(); }
#endif

}  // namespace winnow::prune
