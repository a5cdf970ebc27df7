#include "winnow/eval/equal_time.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "winnow/base/error.h"

namespace winnow::eval {
namespace {

constexpr const char* kWhere = "eval.equal_time";

struct Point {
  double ms = 0.0;
  const ConfigurationResult* result = nullptr;
};

double ms_of(std::span<const Timing> timings, const std::string& config) {
  const auto found =
      std::find_if(timings.begin(), timings.end(), [&](const Timing& t) { return t.config == config; });
  WINNOW_CHECK(found != timings.end(), InvalidArgument, kWhere, "no time was measured for '{}'", config);
  return found->ms;
}

/// The two neighbours of a time on the curve and the share of the second one.
struct Place {
  const ConfigurationResult *before, *behind;
  double share;
  double at(double a, double b) const { return a + share * (b - a); }
};

std::optional<Place> place_on(const std::vector<Point>& curve, double ms) {
  for (std::size_t i = 0; i + 1 < curve.size(); ++i) {
    const double width = curve[i + 1].ms - curve[i].ms;
    if (ms < curve[i].ms || ms > curve[i + 1].ms) continue;
    return Place{curve[i].result, curve[i + 1].result, width > 0.0 ? (ms - curve[i].ms) / width : 0.5};
  }
  return std::nullopt;
}

EqualTime compared(const ConfigurationResult& result, const Place& place, double ms) {
  std::vector<double> reference, difference;
  for (std::size_t i = 0; i < result.draws.size(); ++i) {
    reference.push_back(place.at(place.before->draws[i], place.behind->draws[i]));
    difference.push_back(result.draws[i] - reference.back());
  }
  const double value = place.at(place.before->value.value, place.behind->value.value);
  return {result.config, ms, result.value, percentile_interval(value, std::move(reference)),
          percentile_interval(result.value.value - value, std::move(difference))};
}

}  // namespace

EqualTimes equal_times(const BenchmarkResult& benchmark, std::span<const Timing> timings,
                       const std::string& reference_method, const std::string& baseline) {
  std::vector<Point> curve;
  for (const ConfigurationResult& c : benchmark.configurations) {
    if (method_of(c.config) == reference_method || c.config == baseline)
      curve.push_back({ms_of(timings, c.config), &c});
  }
  WINNOW_CHECK(curve.size() >= 2, InvalidArgument, kWhere,
               "curve of '{}', got {} points in the run, expected at least 2 budgets", reference_method,
               curve.size());
  std::stable_sort(curve.begin(), curve.end(), [](const Point& a, const Point& b) { return a.ms < b.ms; });
  EqualTimes out;
  for (const ConfigurationResult& c : benchmark.configurations) {
    if (method_of(c.config) == reference_method || c.config == baseline) continue;
    const double ms = ms_of(timings, c.config);
    if (const auto place = place_on(curve, ms)) {
      out.points.push_back(compared(c, *place, ms));
    } else {
      out.outside.push_back(c.config);
    }
  }
  return out;
}

}  // namespace winnow::eval
