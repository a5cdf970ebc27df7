#include "winnow/study/curve.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "winnow/base/error.h"
#include "winnow/study/lab.h"

namespace winnow::study {

Point average_point(const eval::Comparison& comparison, const std::string& config) {
  Point out;
  double n = 0.0;
  for (const eval::BenchmarkResult& b : comparison.benchmarks) {
    const eval::ConfigurationResult &base = result_of(b, comparison.baseline), &c = result_of(b, config);
    if (!base.relative) continue;  // not in the average
    n += 1.0;
    out.value += 100.0 * c.value.value / base.value.value;
    out.draws.resize(c.draws.size(), 0.0);
    for (std::size_t i = 0; i < c.draws.size(); ++i) out.draws[i] += 100.0 * c.draws[i] / base.draws[i];
  }
  WINNOW_CHECK(n > 0.0, InvalidArgument, "study.curve",
               "the baseline has no right answers, so nothing is relative to it");
  out.value /= n;
  for (double& draw : out.draws) draw /= n;
  return out;
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
    Point point = average_point(comparison, configs[i]);
    out.x.push_back(x[i]);
    out.value.push_back(point.value);
    out.draws.push_back(std::move(point.draws));
  }
  return out;
}

std::optional<Point> at(const Curve& curve, double x) {
  for (std::size_t i = 0; i + 1 < curve.x.size(); ++i) {
    if (x < curve.x[i] || x > curve.x[i + 1]) continue;
    const double width = curve.x[i + 1] - curve.x[i];
    const double part = width > 0.0 ? (x - curve.x[i]) / width : 0.5;
    const auto between = [&](double a, double b) { return a + part * (b - a); };
    Point out{between(curve.value[i], curve.value[i + 1]), {}};
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

eval::Interval interval_of(const Point& point) { return eval::percentile_interval(point.value, point.draws); }

eval::Interval difference(const Point& a, const Point& b) {
  std::vector<double> draws;
  for (std::size_t i = 0; i < a.draws.size(); ++i) draws.push_back(a.draws[i] - b.draws[i]);
  return eval::percentile_interval(a.value - b.value, std::move(draws));
}

}  // namespace winnow::study
