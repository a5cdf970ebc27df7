#pragma once

#include <algorithm>
#include <vector>

#include "winnow/base/quantile.h"

namespace winnow::cli {

/// Median and quartiles of repeated measurements, by linear interpolation between order statistics.
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

}  // namespace winnow::cli
