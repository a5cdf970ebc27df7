#pragma once

// The inner products of one row with all rows, for greedy methods: they compare what they picked last with
// everything. One product at a time reads all rows from memory for every pick; here the rows that are likely
// to be picked next are multiplied along, so that memory is read once for about ten picks and the arithmetic
// runs at the speed of a matrix product.

#include <cstdint>
#include <span>
#include <vector>

#include "winnow/base/view.h"

namespace winnow::prune {

/// Columns of the matrix rows x rows^T [n, n]; with unit_rows they are cosines. Bit-equal to inner_with,
/// whatever was asked for before. At most 64 MB of columns are kept.
class InnerColumns {
 public:
  /// Rows multiplied at once. The matrix product takes left rows by 3, 4, 6 or 12.
  static constexpr int64_t kBlock = 12;

  /// rows [n, d]; the values must outlive this object.
  explicit InnerColumns(const MatrixView& rows);

  /// rows[j] . rows[i] for all j, [n]; 0 <= i < n. Valid until the next call. `likely` [n] changes only the
  /// time: the larger likely[j], the sooner row j is expected to be asked for, -infinity for never (a greedy
  /// method hands in its scores). Empty: nothing is computed ahead. No NaN.
  std::span<const float> column(int64_t i, std::span<const float> likely = {});

 private:
  void add_columns(std::span<const int32_t> wanted);
  std::vector<int32_t> with_likely(int64_t i, std::span<const float> likely) const;

  MatrixView rows_;
  std::vector<int64_t> place_of_;  // [n] row of columns_, or -1
  std::vector<float> columns_;     // [columns kept, n]
};

}  // namespace winnow::prune
