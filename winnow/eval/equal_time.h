#pragma once

// Accuracy at equal measured time. Methods with equal token counts differ in time (arXiv 2502.11501, section
// 7), so a configuration is compared with what a reference method would reach in the same time, read off the
// reference's curve of (time, value) over its budgets.

#include <span>
#include <string>
#include <vector>

#include "winnow/eval/comparison.h"
#include "winnow/eval/config_name.h"

namespace winnow::eval {

/// What a configuration takes to the first token.
struct Timing {
  std::string config;
  double ms = 0.0;
};

struct EqualTime {
  std::string config;
  double ms = 0.0;
  Interval value;
  Interval reference;   ///< the reference's value at `ms`
  Interval difference;  ///< value - reference, paired
};

struct EqualTimes {
  std::vector<EqualTime> points;
  std::vector<std::string> outside;  ///< configurations that are faster or slower than the whole curve
};

/// Every configuration that is not the reference's against its curve, linear between measured points. The
/// comparison's baseline, as every method's largest budget, is a point of the curve too. Times are taken as
/// exact. Throws InvalidArgument when a configuration has no timing or the curve has less than two points.
EqualTimes equal_times(const BenchmarkResult& benchmark, std::span<const Timing> timings,
                       const std::string& reference_method, const std::string& baseline);

}  // namespace winnow::eval
