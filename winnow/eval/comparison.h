#pragma once

// Configurations of finished runs side by side: values with 95 % intervals, differences to a baseline on the
// same questions, and the paper's average (arXiv 2502.11501, Table 1: the mean over benchmarks of score /
// unpruned score). docs/runs.md says what the numbers mean.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "winnow/eval/bootstrap.h"
#include "winnow/eval/interval.h"
#include "winnow/record/run_folder.h"

namespace winnow::eval {

struct ConfigurationResult {
  std::string config;
  Interval value;       ///< the benchmark's first metric; Wilson's interval for a plain share, else bootstrap
  Interval difference;  ///< value - the baseline's, paired
  std::optional<Interval> relative;                ///< value / the baseline's; nothing when that may be 0
  int64_t n_better = 0, n_worse = 0, n_equal = 0;  ///< questions, by their scores
  std::optional<double> mcnemar_p;                 ///< where every score is 0 or 1
  double n_visual_before = 0.0, n_visual_after = 0.0, n_visual_average = 0.0;  ///< means over the questions
  double first_token_ms = 0.0;                                                 ///< median of the rows
  int64_t n_failed = 0;
  std::vector<double> draws;  // [resamples] of the value
};

struct BenchmarkResult {
  std::string name;
  std::string metric;
  double max = 100.0;
  int64_t n_questions = 0, n_groups = 0;
  std::vector<ConfigurationResult> configurations;
};

/// Mean over the benchmarks of `relative`.
struct Average {
  std::string config;
  Interval relative;
};

struct Comparison {
  std::string convention;
  std::string baseline;  ///< empty: none was wanted; differences are then 0 and relatives absent
  std::vector<BenchmarkResult> benchmarks;
  std::vector<Average> averages;            ///< empty without a baseline
  std::vector<std::string> not_in_average;  ///< benchmarks whose baseline may be 0
};

struct CompareOptions {
  std::string baseline = "none";  ///< name of a configuration, or empty
  BootstrapOptions bootstrap;
};

/// Runs of one model, convention and list of configurations, of different benchmarks. Throws InvalidArgument:
/// runs that do not belong together, rows that are missing, an unknown baseline.
Comparison compare(std::span<const record::Run> runs, const CompareOptions& options);

/// A number with what resampling made of it. Numbers of one comparison are drawn alike, so they can be
/// paired.
struct Resampled {
  double value = 0.0;
  std::vector<double> draws;  // [resamples]
};
Interval interval_of(const Resampled& number);
/// a - b, draw by draw.
Interval difference(const Resampled& a, const Resampled& b);
/// Of two configurations of one benchmark, in its unit.
Interval difference(const ConfigurationResult& a, const ConfigurationResult& b);

/// The paper's average of a configuration: the mean of value / the baseline's value, over these benchmarks
/// (empty: all) but those whose baseline may be 0. Nothing without a baseline or when no benchmark is left.
/// Throws InvalidArgument for an unknown configuration.
std::optional<Resampled> relative_average(const Comparison& comparison, const std::string& config,
                                          std::span<const std::string> benchmarks = {});

/// A configuration by its name. Throws InvalidArgument when the benchmark was not run with it.
const ConfigurationResult& result_of(const BenchmarkResult& benchmark, const std::string& config);

/// A configuration against another one in words: "no difference shown" when the interval of the difference
/// covers 0, or when McNemar's test (where there is one) has p > 0.05, because percentile intervals are too
/// narrow where only a handful of questions differ; else "lower" or "higher".
std::string verdict(const Interval& difference, const std::optional<double>& mcnemar_p = std::nullopt);

/// An average against the baseline in words. One over a single benchmark is that benchmark: then McNemar's
/// test of its questions counts too.
std::string average_verdict(const Comparison& comparison, std::size_t idx);

/// What sums need of a row. A failed question counts as wrong.
ScoredRow scored_row(const record::ResultRow& row);

}  // namespace winnow::eval
