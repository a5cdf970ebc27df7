#include "winnow/prune/outliers.h"

#include <algorithm>
#include <vector>

#include "winnow/base/error.h"

namespace winnow::prune {
namespace {

double quantile(const std::vector<float>& sorted, double share) {
  const double rank = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(rank);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  const double part = rank - static_cast<double>(below);
  return (1.0 - part) * static_cast<double>(sorted[below]) + part * static_cast<double>(sorted[above]);
}

}  // namespace

double outlier_share(std::span<const float> values) {
  WINNOW_ASSERT(!values.empty());
  std::vector<float> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  const double q1 = quantile(sorted, 0.25), q3 = quantile(sorted, 0.75);
  const double fence = q3 + 1.5 * (q3 - q1);
  const auto count = std::count_if(sorted.begin(), sorted.end(),
                                   [&](float value) { return static_cast<double>(value) > fence; });
  return static_cast<double>(count) / static_cast<double>(sorted.size());
}

}  // namespace winnow::prune
