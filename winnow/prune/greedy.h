#pragma once

// Bookkeeping of the methods that pick one token after the other.

#include <cstdint>
#include <span>
#include <vector>

#include "winnow/prune/plan.h"

namespace winnow::prune {

/// The tokens of an image that were picked so far. None is picked twice, duplicates or not.
class Picks {
 public:
  explicit Picks(int32_t n) : taken_(static_cast<std::size_t>(n), 0) {}

  /// `token` must not be taken yet.
  void take(int32_t token);
  bool taken(int32_t token) const { return taken_[static_cast<std::size_t>(token)] != 0; }
  int32_t size() const { return size_; }
  /// The token with the best of scores [n] among those not taken, of which there must be one. Ties go to the
  /// lower index.
  int32_t best(std::span<const float> scores) const;
  /// Takes tokens in the given order, skipping the taken ones, until there are n_keep.
  void fill(std::span<const int32_t> order, int32_t n_keep);
  /// The picked tokens in ascending order.
  Plan plan() const;

 private:
  std::vector<char> taken_;
  int32_t size_ = 0;
};

}  // namespace winnow::prune
