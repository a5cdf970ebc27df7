#pragma once

#include <cstdint>

#include "winnow/base/view.h"

namespace winnow::prune {

/// Number of singular values of [m, n] above max(m, n) x the float32 epsilon x the largest one, which is what
/// numpy.linalg.matrix_rank and torch.linalg.matrix_rank count for float32 by default. Works on the smaller
/// Gram matrix in double: O(m n min(m, n) + min(m, n)^3) time.
int32_t matrix_rank(const MatrixView& matrix);

}  // namespace winnow::prune
