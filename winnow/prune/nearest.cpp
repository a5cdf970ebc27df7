#include "winnow/prune/nearest.h"

#include "winnow/base/error.h"
#include "winnow/prune/ops.h"

namespace winnow::prune {

Nearest nearest_rows(const MatrixView& rows, std::span<const int32_t> from, std::span<const int32_t> to) {
  WINNOW_ASSERT(!to.empty());
  Nearest nearest;
  for (const int32_t source : from) {
    int32_t best = 0;
    float most = dot(rows.row(source), rows.row(to.front()));
    for (std::size_t i = 1; i < to.size(); ++i) {
      const float similarity = dot(rows.row(source), rows.row(to[i]));
      if (similarity <= most) continue;
      most = similarity;
      best = static_cast<int32_t>(i);
    }
    nearest.target.push_back(best);
    nearest.similarity.push_back(most);
  }
  return nearest;
}

}  // namespace winnow::prune
