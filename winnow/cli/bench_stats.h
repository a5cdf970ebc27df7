#pragma once

#include <algorithm>
#include <vector>

namespace winnow::cli {

/// Median and quartiles of repeated measurements, by linear interpolation between order statistics.
struct Spread {
  double median = 0.0;
  double low = 0.0;   ///< first quartile
  double high = 0.0;  ///< third quartile
};

inline double quantile(std::vector<double> values, double q) {
  if (values.empty()) return 0.0;
  std::sort(values.begin(), values.end());
  const double at = q * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const std::size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (at - static_cast<double>(below)) * (values[above] - values[below]);
}

inline Spread spread_of(const std::vector<double>& values) {
  return {quantile(values, 0.5), quantile(values, 0.25), quantile(values, 0.75)};
}

}  // namespace winnow::cli
