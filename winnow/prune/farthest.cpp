#include "winnow/prune/farthest.h"

#include <algorithm>
#include <cfloat>
#include <memory>

#include "winnow/base/error.h"
#include "winnow/prune/ops.h"
#include "winnow/prune/similarity.h"

namespace winnow::prune {

void extend_farthest(std::vector<int32_t>& chosen, int32_t count, int32_t n, int32_t first,
                     const DistancesFrom& distances) {
  WINNOW_ASSERT(count <= n && first >= 0 && first < n);
  constexpr float kChosen = -FLT_MAX;
  if (static_cast<int32_t>(chosen.size()) >= count) return;
  if (chosen.empty()) chosen.push_back(first);

  std::vector<float> nearest(static_cast<std::size_t>(n), FLT_MAX);
  std::vector<float> row(static_cast<std::size_t>(n));
  for (std::size_t seen = 0;; ++seen) {
    distances(chosen[seen], row);
    for (std::size_t j = 0; j < row.size(); ++j) nearest[j] = std::min(nearest[j], row[j]);
    nearest[static_cast<std::size_t>(chosen[seen])] = kChosen;
    if (seen + 1 < chosen.size()) continue;
    if (static_cast<int32_t>(chosen.size()) == count) return;
    chosen.push_back(
        static_cast<int32_t>(std::max_element(nearest.begin(), nearest.end()) - nearest.begin()));
  }
}

int32_t most_isolated(int32_t n, const DistancesFrom& distances) {
  WINNOW_ASSERT(n >= 2);
  std::vector<float> row(static_cast<std::size_t>(n));
  std::vector<float> nearest;
  for (int32_t i = 0; i < n; ++i) {
    distances(i, row);
    row[static_cast<std::size_t>(i)] = FLT_MAX;
    nearest.push_back(*std::min_element(row.begin(), row.end()));
  }
  return static_cast<int32_t>(std::max_element(nearest.begin(), nearest.end()) - nearest.begin());
}

DistancesFrom cosine_distances(const MatrixView& rows) {
  auto units = std::make_shared<const std::vector<float>>(unit_rows(rows));
  auto products = std::make_shared<Products>(MatrixView{units->data(), rows.rows, rows.cols});
  return [units, products](int32_t from, std::span<float> to_each) {
    const MatrixView cosines = products->rows(from);
    for (std::size_t j = 0; j < to_each.size(); ++j) to_each[j] = 1.0F - cosines.data[j];
    to_each[static_cast<std::size_t>(from)] = 0.0F;
  };
}

}  // namespace winnow::prune
