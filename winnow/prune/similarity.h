#pragma once

// Inner products of many vectors at once. The product of two vectors is one fixed function of the two: for
// chunks of 512 components in order, four partial sums (component k goes to sum k mod 4) by fused
// multiply-add, added as (s0 + s2) + (s1 + s3) to the product. So all functions here give the same bits for
// the same two vectors, in either order, however the caller cuts rows into blocks, and on every machine that
// has fused multiply-add (x86 from AVX2 on, 64-bit ARM). Without it, or in a build without Highway, the last
// bits differ: kept sets agree across machines up to ties within 1e-6.

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "winnow/base/view.h"

namespace winnow::prune {

/// out[j] = rows[j] . vector; rows [n, d], vector [d], out [n]
void inner_with(const MatrixView& rows, std::span<const float> vector, std::span<float> out);

/// The same, and squares[j] = rows[j] . rows[j] [n], in one pass over the rows.
void inner_with(const MatrixView& rows, std::span<const float> vector, std::span<float> out,
                std::span<float> squares);

/// out[i * b.rows + j] = a[i] . b[j]; a [m, d], b [n, d], out [m, n]
void inner_block(const MatrixView& a, const MatrixView& b, std::span<float> out);

/// a . b in double, in sixteen partial sums (component k goes to sum k mod 16) by fused multiply-add where
/// the machine has it.
double inner_double(std::span<const double> a, std::span<const double> b);

inline constexpr int64_t kPairStrip = 512;

/// All pairs of rows [n, d], each once, in strips of at most kPairStrip rows: calls visit(first, products)
/// with products [n_strip, n - first], products(i, j) = rows[first + i] . rows[first + j] for j >= i and 0
/// for j < i. The products live until visit returns. O(kPairStrip n) memory.
void for_each_pair_strip(const MatrixView& rows,
                         const std::function<void(int64_t first, const MatrixView& products)>& visit);

/// Rows of the matrix of all inner products of rows [n, d] with each other. Up to 4096 rows all of it is made
/// at once, each pair once, and kept (64 MB); beyond that its rows are made when they are asked for.
class Products {
 public:
  static constexpr int64_t kMostAtOnce = 32;  ///< rows to ask for at once

  /// The values must outlive this object.
  explicit Products(const MatrixView& rows);

  int64_t n() const { return rows_.rows; }
  /// [count, n] from row `first` on, count <= kMostAtOnce. Valid until the next call.
  MatrixView rows(int64_t first, int64_t count = 1);

 private:
  bool all() const;
  void make_all();

  MatrixView rows_;
  std::vector<float> values_;
};

/// The rows `which` of rows [n, d], side by side: [which.size(), d].
std::vector<float> gathered_rows(const MatrixView& rows, std::span<const int32_t> which);

}  // namespace winnow::prune
