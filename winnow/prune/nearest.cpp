#include "winnow/prune/nearest.h"

#include <algorithm>

#include "winnow/base/error.h"
#include "winnow/prune/ops.h"
#include "winnow/prune/similarity.h"

namespace winnow::prune {
Nearest nearest_rows(const MatrixView& rows, std::span<const int32_t> from, std::span<const int32_t> to) {
  constexpr std::size_t kBlock = 256;
  WINNOW_ASSERT(!to.empty());
  const std::vector<float> targets = gathered_rows(rows, to);
  const MatrixView right{targets.data(), std::ssize(to), rows.cols};
  Nearest nearest;
  std::vector<float> products;
  for (std::size_t first = 0; first < from.size(); first += kBlock) {
    const auto some = from.subspan(first, std::min(kBlock, from.size() - first));
    const std::vector<float> sources = gathered_rows(rows, some);
    products.resize(some.size() * to.size());
    inner_block({sources.data(), std::ssize(some), rows.cols}, right, products);
    for (std::size_t i = 0; i < some.size(); ++i) {
      const auto row = products.begin() + static_cast<std::ptrdiff_t>(i * to.size());
      const auto best =
          std::max_element(row, row + static_cast<std::ptrdiff_t>(to.size()));  // the first of equals
      nearest.target.push_back(static_cast<int32_t>(best - row));
      nearest.similarity.push_back(*best);
    }
  }
  return nearest;
}

}  // namespace winnow::prune
