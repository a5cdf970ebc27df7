#include "winnow/prune/similarity.h"

#include "winnow/base/error.h"
#include "winnow/prune/ops.h"

namespace winnow::prune {

void inner_with(const MatrixView& rows, std::span<const float> vector, std::span<float> out) {
  WINNOW_ASSERT(out.size() == static_cast<std::size_t>(rows.rows));
  for (int64_t j = 0; j < rows.rows; ++j) out[static_cast<std::size_t>(j)] = dot(rows.row(j), vector);
}

void inner_block(const MatrixView& a, const MatrixView& b, std::span<float> out) {
  WINNOW_ASSERT(a.cols == b.cols && out.size() == static_cast<std::size_t>(a.rows * b.rows));
  const auto width = static_cast<std::size_t>(b.rows);
  for (int64_t i = 0; i < a.rows; ++i) {
    inner_with(b, a.row(i), out.subspan(static_cast<std::size_t>(i) * width, width));
  }
}

}  // namespace winnow::prune
