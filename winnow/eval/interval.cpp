#include "winnow/eval/interval.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "winnow/base/error.h"
#include "winnow/base/quantile.h"

namespace winnow::eval {
namespace {

constexpr double kZ = 1.959963984540054;  // normal quantile 0.975

}  // namespace

Interval scaled(const Interval& interval, double factor) {
  return {factor * interval.value, factor * interval.low, factor * interval.high};
}

Interval wilson(int64_t right, int64_t n) {
  WINNOW_CHECK(n > 0 && right >= 0 && right <= n, InvalidArgument, "eval.wilson",
               "right answers, got {} of {}, expected 0 to n of at least one", right, n);
  const auto count = static_cast<double>(n);
  const double share = static_cast<double>(right) / count;
  const double shrink = 1.0 + kZ * kZ / count;
  const double centre = (share + kZ * kZ / (2.0 * count)) / shrink;
  const double half =
      kZ / shrink * std::sqrt(share * (1.0 - share) / count + kZ * kZ / (4.0 * count * count));
  return {share, std::max(centre - half, 0.0), std::min(centre + half, 1.0)};
}

Interval percentile_interval(double value, std::vector<double> draws) {
  WINNOW_ASSERT(!draws.empty());
  std::sort(draws.begin(), draws.end());
  return {value, quantile_of_sorted(draws, 0.025), quantile_of_sorted(draws, 0.975)};
}

double mcnemar_exact(int64_t only_first, int64_t only_second) {
  WINNOW_CHECK(only_first >= 0 && only_second >= 0, InvalidArgument, "eval.mcnemar",
               "counts, got {} and {}, expected 0 or more", only_first, only_second);
  const int64_t fewer = std::min(only_first, only_second);
  const int64_t n = only_first + only_second;
  // log C(n, k) - n log 2, term by term: n may be thousands.
  double log_term = -static_cast<double>(n) * std::log(2.0), tail = 0.0;
  for (int64_t k = 0; k <= fewer; ++k) {
    tail += std::exp(log_term);
    log_term += std::log(static_cast<double>(n - k)) - std::log(static_cast<double>(k + 1));
  }
  return std::min(2.0 * tail, 1.0);
}

}  // namespace winnow::eval
