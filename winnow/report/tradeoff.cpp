#include "winnow/report/tradeoff.h"

#include <algorithm>

#include "winnow/report/names.h"

namespace winnow::report {
namespace {

const BenchConfiguration* find(const BenchFile& bench, const std::string& config) {
  for (const BenchConfiguration& c : bench.configurations) {
    if (c.name == config) return &c;
  }
  return nullptr;
}

/// Mean over the benchmarks, weighted by questions.
double tokens_of(const eval::Comparison& comparison, std::size_t config) {
  double tokens = 0.0, n = 0.0;
  for (const eval::BenchmarkResult& b : comparison.benchmarks) {
    const auto weight = static_cast<double>(b.n_questions);
    tokens += weight * b.configurations[config].n_visual_average;
    n += weight;
  }
  return tokens / n;
}

bool dominates(const TradeoffPoint& a, const TradeoffPoint& b) {
  const bool as_good = a.cost <= b.cost && a.relative.value >= b.relative.value;
  return as_good && (a.cost < b.cost || a.relative.value > b.relative.value);
}

bool random_has_points(const eval::Comparison& comparison) {
  int64_t n = 0;
  for (const auto& c : comparison.benchmarks.front().configurations)
    n += eval::method_of(c.config) == kRandom || c.config == comparison.baseline ? 1 : 0;
  return n >= 2;
}

}  // namespace

Tradeoff tradeoff(const eval::Comparison& comparison, const BenchFile* bench) {
  Tradeoff out;
  out.is_measured = bench != nullptr;
  for (std::size_t i = 0; i < comparison.averages.size(); ++i) {
    const eval::Average& average = comparison.averages[i];
    TradeoffPoint point{average.config, 0.0, average.relative, false};
    if (bench == nullptr) {
      point.cost = tokens_of(comparison, i);
    } else if (const BenchConfiguration* measured = find(*bench, average.config)) {
      point.cost = measured->first_token_ms.median;
    } else {
      out.not_measured.push_back(average.config);
      continue;
    }
    out.points.push_back(point);
  }
  for (TradeoffPoint& point : out.points) {
    point.on_front = std::none_of(out.points.begin(), out.points.end(),
                                  [&](const TradeoffPoint& other) { return dominates(other, point); });
  }
  std::stable_sort(out.points.begin(), out.points.end(),
                   [](const TradeoffPoint& a, const TradeoffPoint& b) { return a.cost < b.cost; });
  return out;
}

std::vector<EqualTimeResult> equal_time_results(const eval::Comparison& comparison, const BenchFile& bench) {
  std::vector<EqualTimeResult> out;
  if (!random_has_points(comparison)) return out;
  std::vector<eval::Timing> timings;
  for (const auto& c : comparison.benchmarks.front().configurations) {
    const BenchConfiguration* measured = find(bench, c.config);
    if (measured == nullptr) return out;
    timings.push_back({c.config, measured->first_token_ms.median});
  }
  for (const eval::BenchmarkResult& b : comparison.benchmarks)
    out.push_back({b.name, eval::equal_times(b, timings, kRandom, comparison.baseline)});
  return out;
}

}  // namespace winnow::report
