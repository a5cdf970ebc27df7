#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace winnow::eval {

/// A measured value and the ends of its 95 % interval, in the value's unit.
struct Interval {
  double value = 0.0, low = 0.0, high = 0.0;

  bool covers(double x) const { return low <= x && x <= high; }
};

/// All three numbers times the factor.
Interval scaled(const Interval& interval, double factor);

/// The share right / n, 0..1, with Wilson's score interval (Wilson 1927; z = 1.96 rounded from the normal
/// quantile 0.975). n > 0.
Interval wilson(int64_t right, int64_t n);

/// value with the 2.5 % and 97.5 % quantiles of what resampling gave (Efron 1979, percentile interval),
/// linear between order statistics. Draws must not be empty.
Interval percentile_interval(double value, std::vector<double> draws);

/// Exact two-sided McNemar test (McNemar 1947): only_first and only_second count the questions that one of
/// two configurations alone answers right. The probability that a fair coin, thrown for each of them, falls
/// at least as unevenly; 1 when there are none.
double mcnemar_exact(int64_t only_first, int64_t only_second);

}  // namespace winnow::eval
