#pragma once

// What two configurations' scores on the same questions show. Intervals are 95 %.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace winnow::eval {

/// One question under two configurations, scores 0..1.
struct ScorePair {
  double score = 0.0;
  double baseline = 0.0;
  /// Questions of one cluster (two of MME about a picture, the rotations of one of MMBench) are drawn
  /// together; below 0: alone.
  int32_t cluster = -1;
};

struct BootstrapOptions {
  int32_t n_resamples = 10000;
  uint64_t seed = 1;
};

struct Difference {
  double mean = 0.0;  ///< of score - baseline
  double low = 0.0, high = 0.0;
  int64_t n_won = 0, n_lost = 0, n_tied = 0;  ///< questions on which the score is above, below, equal

  /// False where the interval covers zero: no difference shown.
  bool shown() const { return low > 0.0 || high < 0.0; }
};

/// Paired bootstrap over clusters, percentile interval (Efron and Tibshirani 1993, chapter 13): the 2.5th
/// and 97.5th percentile of the resampled means, questions weighing the same. Same pairs, options: same bits.
/// Throws InvalidArgument for no pairs, scores that are not finite, fewer than 100 resamples.
Difference compare(std::span<const ScorePair> pairs, const BootstrapOptions& options = {});

/// Two-sided exact p of McNemar's test (1947): of the questions that one configuration alone has right, are
/// as many its as the other's? 1 when there are none. Throws InvalidArgument for negative counts.
double mcnemar_exact(int64_t only_first, int64_t only_second);

/// Score relative to the baseline, averaged over benchmarks (the "Avg." of Wen et al. 2025): mean of
/// sum(score) / sum(baseline).
struct RelativeAverage {
  double mean = 0.0;
  double low = 0.0, high = 0.0;
  /// False where the interval covers 1.
  bool shown() const { return low > 1.0 || high < 1.0; }
};

/// Each benchmark's questions are resampled on their own. Only for benchmarks whose metric is a mean over
/// questions; MME's total is not. A resample in which a baseline has nothing right is drawn again. Throws
/// InvalidArgument as compare() does, and for a benchmark whose baseline has nothing right.
RelativeAverage relative_average(std::span<const std::vector<ScorePair>> benchmarks,
                                 const BootstrapOptions& options = {});

}  // namespace winnow::eval
