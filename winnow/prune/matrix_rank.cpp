#include "winnow/prune/matrix_rank.h"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <vector>

namespace winnow::prune {
namespace {

/// A symmetric matrix in double, all of it stored.
struct Symmetric {
  std::size_t size = 0;
  std::vector<double> values;
  double& operator()(std::size_t i, std::size_t j) { return values[i * size + j]; }
};

/// A A^T or A^T A, whichever is smaller: its eigenvalues are the squared singular values of A.
Symmetric gram(const MatrixView& a) {
  const bool by_rows = a.rows <= a.cols;
  const int64_t size = by_rows ? a.rows : a.cols;
  const int64_t depth = by_rows ? a.cols : a.rows;
  Symmetric result{static_cast<std::size_t>(size), {}};
  result.values.resize(result.size * result.size);
  for (int64_t i = 0; i < size; ++i) {
    for (int64_t j = 0; j <= i; ++j) {
      double sum = 0.0;
      for (int64_t k = 0; k < depth; ++k) {
        sum += static_cast<double>(by_rows ? a(i, k) : a(k, i)) *
               static_cast<double>(by_rows ? a(j, k) : a(k, j));
      }
      const auto row = static_cast<std::size_t>(i);
      const auto col = static_cast<std::size_t>(j);
      result(row, col) = result(col, row) = sum;
    }
  }
  return result;
}

/// A symmetric tridiagonal matrix.
struct Tridiagonal {
  std::vector<double> diagonal;  // [size]
  std::vector<double> beside;    // [size - 1]
};

/// Similar tridiagonal matrix by Householder reflections: for each column the reflection H = I - 2 v v^T that
/// clears it below the subdiagonal, applied from both sides.
Tridiagonal tridiagonal(Symmetric a) {
  Tridiagonal result;
  std::vector<double> v(a.size);
  std::vector<double> p(a.size);
  for (std::size_t k = 0; k < a.size; ++k) {
    result.diagonal.push_back(a(k, k));
    if (k + 1 == a.size) break;
    double square = 0.0;
    for (std::size_t i = k + 1; i < a.size; ++i) square += a(i, k) * a(i, k);
    const double length = std::sqrt(square);
    result.beside.push_back(a(k + 1, k) > 0.0 ? -length : length);
    const double head = a(k + 1, k) - result.beside.back();
    const double norm = std::sqrt(square - a(k + 1, k) * a(k + 1, k) + head * head);
    if (norm <= 0.0) continue;
    for (std::size_t i = k + 1; i < a.size; ++i) v[i] = (i == k + 1 ? head : a(i, k)) / norm;
    double along = 0.0;  // v^T A v
    for (std::size_t i = k + 1; i < a.size; ++i) {
      p[i] = 0.0;
      for (std::size_t j = k + 1; j < a.size; ++j) p[i] += a(i, j) * v[j];
      along += p[i] * v[i];
    }
    // H A H = A - v q^T - q v^T with q = 2 (A v - (v^T A v) v)
    for (std::size_t i = k + 1; i < a.size; ++i) p[i] = 2.0 * (p[i] - along * v[i]);
    for (std::size_t i = k + 1; i < a.size; ++i) {
      for (std::size_t j = k + 1; j < a.size; ++j) a(i, j) -= v[i] * p[j] + p[i] * v[j];
    }
  }
  return result;
}

/// Number of eigenvalues below x: negative pivots of the LDL^T of A - x I (Sturm's sequence).
int32_t eigenvalues_below(const Tridiagonal& a, double x) {
  int32_t count = 0;
  double pivot = 1.0;
  for (std::size_t i = 0; i < a.diagonal.size(); ++i) {
    const double coupling = i == 0 ? 0.0 : a.beside[i - 1] * a.beside[i - 1];
    pivot = a.diagonal[i] - x - coupling / pivot;
    if (pivot == 0.0) pivot = DBL_MIN;
    count += static_cast<int32_t>(pivot < 0.0);
  }
  return count;
}

double largest_eigenvalue(const Tridiagonal& a) {
  double high = 0.0;  // Gershgorin's bound
  for (std::size_t i = 0; i < a.diagonal.size(); ++i) {
    const double left = i == 0 ? 0.0 : std::abs(a.beside[i - 1]);
    const double right = i + 1 == a.diagonal.size() ? 0.0 : std::abs(a.beside[i]);
    high = std::max(high, a.diagonal[i] + left + right);
  }
  const auto size = static_cast<int32_t>(a.diagonal.size());
  double low = 0.0;
  for (int step = 0; step < 60; ++step) {
    const double middle = low + (high - low) / 2.0;
    (eigenvalues_below(a, middle) == size ? high : low) = middle;
  }
  return high;
}

}  // namespace

int32_t matrix_rank(const MatrixView& matrix) {
  const Tridiagonal squares = tridiagonal(gram(matrix));
  const double largest = largest_eigenvalue(squares);
  if (largest <= 0.0) return 0;
  const double tolerance =
      static_cast<double>(std::max(matrix.rows, matrix.cols)) * static_cast<double>(FLT_EPSILON);
  const int32_t below = eigenvalues_below(squares, tolerance * tolerance * largest);
  return static_cast<int32_t>(squares.diagonal.size()) - below;
}

}  // namespace winnow::prune
