#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

namespace winnow {

/// Share q (0..1) of values in ascending order lies below it: linear interpolation between order statistics.
/// 0 for none.
inline double quantile_of_sorted(std::span<const double> sorted, double q) {
  if (sorted.empty()) return 0.0;
  const double at = q * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

}  // namespace winnow
