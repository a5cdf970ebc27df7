#include "winnow/prune/pairwise.h"

#include <algorithm>
#include <utility>

namespace winnow::prune {

Pairwise::Pairwise(int64_t n, Function function) : n_(n), function_(std::move(function)) {
  constexpr int64_t kMostStored = 2048;  // 32 MiB
  constexpr int64_t kBlock = 32;         // 2 x 32 rows of 4096 floats stay in a 1 MB cache
  if (n > kMostStored) return;
  stored_.resize(static_cast<std::size_t>(n * n));
  for (int64_t first_i = 0; first_i < n; first_i += kBlock) {
    for (int64_t first_j = 0; first_j <= first_i; first_j += kBlock) {
      for (int64_t i = first_i; i < std::min(first_i + kBlock, n); ++i) {
        for (int64_t j = first_j; j < std::min(first_j + kBlock, i); ++j) {
          stored_[static_cast<std::size_t>(i * n + j)] = stored_[static_cast<std::size_t>(j * n + i)] =
              function_(i, j);
        }
      }
    }
  }
}

double Pairwise::operator()(int64_t i, int64_t j) const {
  if (!stored_.empty()) return stored_[static_cast<std::size_t>(i * n_ + j)];
  return i == j ? 0.0 : function_(i, j);
}

}  // namespace winnow::prune
