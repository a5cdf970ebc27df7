#pragma once

// A method's averages over its budgets, against what they cost.

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "winnow/eval/comparison.h"

namespace winnow::study {

/// Averages in percent of the unpruned model. Points ascend in x.
struct Curve {
  std::vector<double> x;
  std::vector<double> value;               // [points]
  std::vector<std::vector<double>> draws;  // [points, resamples]
};

/// The average in percent of the baseline. Throws InvalidArgument where nothing is relative to it.
eval::Resampled average_point(const eval::Comparison& comparison, const std::string& config);

/// The points of these configurations; x_of says what each costs.
Curve average_curve(const eval::Comparison& comparison, const std::vector<std::string>& configs,
                    const std::function<double(const std::string& config)>& x_of);

/// Linear between the neighbouring points; nothing outside of them.
std::optional<eval::Resampled> at(const Curve& curve, double x);

/// Going down in x from the last point: where the value first falls below `enough`, linear between points;
/// the first point's x when it never does.
double knee_of(std::span<const double> x, std::span<const double> value, double enough);
/// With the interval over the resamples.
eval::Interval knee_of(const Curve& curve, double enough);

}  // namespace winnow::study
