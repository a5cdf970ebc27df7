#pragma once

// Accuracy over cost: points, which of them nothing dominates, and the comparison at equal measured time.

#include <optional>
#include <string>
#include <vector>

#include "winnow/eval/comparison.h"
#include "winnow/eval/equal_time.h"
#include "winnow/report/bench_file.h"

namespace winnow::report {

struct TradeoffPoint {
  std::string config;
  double cost = 0.0;
  eval::Interval relative;
  bool on_front =
      false;  ///< no other point costs at most as much and is at least as accurate, one of them strictly
};

struct Tradeoff {
  bool is_measured =
      false;  ///< cost: median milliseconds to the first token; else visual tokens, mean over layers
  std::vector<TradeoffPoint> points;      ///< in ascending order of cost
  std::vector<std::string> not_measured;  ///< configurations that the bench file does not have
};

/// Of the comparison's averages; without them there are no points. `bench` may be null.
Tradeoff tradeoff(const eval::Comparison& comparison, const BenchFile* bench);

struct EqualTimeResult {
  std::string benchmark;
  eval::EqualTimes times;
};

/// Every benchmark against random selection in the same measured time. Nothing when the bench file lacks
/// configurations or random has no two points.
std::vector<EqualTimeResult> equal_time_results(const eval::Comparison& comparison, const BenchFile& bench);

}  // namespace winnow::report
