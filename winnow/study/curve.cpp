#include "winnow/study/curve.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "winnow/base/error.h"

namespace winnow::study {

eval::Resampled average_point(const eval::Comparison& comparison, const std::string& config) {
  auto point = eval::relative_average(comparison, config);
  WINNOW_CHECK(point, InvalidArgument, "study.curve",
               "the baseline has no right answers, so nothing is relative to it");
  point->value *= 100.0;
  for (double& draw : point->draws) draw *= 100.0;
  return std::move(*point);
}

Curve average_curve(const eval::Comparison& comparison, const std::vector<std::string>& configs,
                    const std::function<double(const std::string& config)>& x_of) {
  std::vector<std::size_t> order(configs.size());
  std::iota(order.begin(), order.end(), 0U);
  std::vector<double> x;
  for (const std::string& config : configs) x.push_back(x_of(config));
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return x[a] < x[b]; });
  Curve out;
  for (const std::size_t i : order) {
    eval::Resampled point = average_point(comparison, configs[i]);
    out.x.push_back(x[i]);
    out.value.push_back(point.value);
    out.draws.push_back(std::move(point.draws));
  }
  return out;
}

std::optional<eval::Resampled> at(const Curve& curve, double x) {
  for (std::size_t i = 0; i + 1 < curve.x.size(); ++i) {
    if (x < curve.x[i] || x > curve.x[i + 1]) continue;
    const double width = curve.x[i + 1] - curve.x[i];
    const double part = width > 0.0 ? (x - curve.x[i]) / width : 0.5;
    const auto between = [&](double a, double b) { return a + part * (b - a); };
    eval::Resampled out{between(curve.value[i], curve.value[i + 1]), {}};
    for (std::size_t d = 0; d < curve.draws[i].size(); ++d)
      out.draws.push_back(between(curve.draws[i][d], curve.draws[i + 1][d]));
    return out;
  }
  return std::nullopt;
}

double knee_of(std::span<const double> x, std::span<const double> value, double enough) {
  for (std::size_t i = x.size() - 1; i > 0; --i) {
    if (value[i - 1] >= enough) continue;
    const double part = (value[i] - enough) / (value[i] - value[i - 1]);
    return x[i] + std::clamp(part, 0.0, 1.0) * (x[i - 1] - x[i]);
  }
  return x.front();
}

eval::Interval knee_of(const Curve& curve, double enough) {
  std::vector<double> draws, value(curve.x.size());
  for (std::size_t d = 0; d < curve.draws.front().size(); ++d) {
    for (std::size_t i = 0; i < value.size(); ++i) value[i] = curve.draws[i][d];
    draws.push_back(knee_of(curve.x, value, enough));
  }
  return eval::percentile_interval(knee_of(curve.x, curve.value, enough), std::move(draws));
}

}  // namespace winnow::study
