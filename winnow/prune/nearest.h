#pragma once

// For each of some rows the most similar of others: how tokens find the token that they are merged into.

#include <cstdint>
#include <span>
#include <vector>

#include "winnow/base/view.h"

namespace winnow::prune {

struct Nearest {
  std::vector<int32_t> target;    // [from.size()] index into `to`; ties go to the lower one
  std::vector<float> similarity;  // [from.size()] inner product with it
};

/// rows: [n, d]; from and to: indices of rows, `to` not empty. For rows of length 1 (unit_rows) the inner
/// product is the cosine. O(from x to x d) time, O(256 x to) memory beside copies of the rows.
Nearest nearest_rows(const MatrixView& rows, std::span<const int32_t> from, std::span<const int32_t> to);

}  // namespace winnow::prune
