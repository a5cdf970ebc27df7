#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace winnow::prune {

/// The order in which CPython iterates over a set of integers that was built from `values` one by one: an
/// open-addressed table of 8 slots or more, a number hashed to itself, runs of up to ten slots probed before
/// the slot index jumps, four times the size when three fifths are full. Some published methods visit tokens
/// in this order, and it decides which of them are kept. Values >= 0; equal ones count as different. Returns
/// [values.size()] indices into values. The same in CPython 3.7 to 3.13.
std::vector<int32_t> cpython_set_order(std::span<const int32_t> values);

}  // namespace winnow::prune
