#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

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

/// Median and quartiles of repeated measurements.
struct Spread {
  double median = 0.0;
  double low = 0.0;   ///< first quartile
  double high = 0.0;  ///< third quartile
};

inline Spread spread_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return {quantile_of_sorted(values, 0.5), quantile_of_sorted(values, 0.25),
          quantile_of_sorted(values, 0.75)};
}

}  // namespace winnow
