#pragma once

// Inner products of many rows at once, where the methods that compare tokens spend their time. Every value is
// dot() of ops.h, bit for bit, so it does not matter which of the two computed it.

#include <span>

#include "winnow/base/view.h"

namespace winnow::prune {

/// out[j] = rows[j] . vector; rows [n, d], vector [d], out [n]
void inner_with(const MatrixView& rows, std::span<const float> vector, std::span<float> out);

/// out[i * b.rows + j] = a[i] . b[j]; a [m, d], b [n, d], out [m, n]
void inner_block(const MatrixView& a, const MatrixView& b, std::span<float> out);

}  // namespace winnow::prune
