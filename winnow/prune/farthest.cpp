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
  constexpr int64_t kMostStored = 4096;  // tokens, 64 MB
  auto units = std::make_shared<const std::vector<float>>(unit_rows(rows));
  const MatrixView unit{units->data(), rows.rows, rows.cols};
  auto stored = std::make_shared<const std::vector<float>>(rows.rows <= kMostStored ? all_products(unit)
                                                                                    : std::vector<float>());
  return [units, unit, stored](int32_t from, std::span<float> to_each) {
    if (stored->empty()) {
      inner_with(unit, unit.row(from), to_each);
    } else {
      std::copy_n(stored->begin() + from * unit.rows, to_each.size(), to_each.begin());
    }
    for (float& value : to_each) value = 1.0F - value;
    to_each[static_cast<std::size_t>(from)] = 0.0F;
  };
}

}  // namespace winnow::prune
