#pragma once

// Paired bootstrap over groups of questions (Efron & Tibshirani 1993, chapters 6 and 13): a resample draws
// groups with replacement, as many in each stratum as there are (POPE: file, MME: subtask, Haystack: number
// of pictures), and all configurations are summed up over the same draw. Questions of one group (MME's pair,
// MMBench's rotations) stay together, because their answers depend on each other.

#include <cstdint>
#include <span>
#include <vector>

#include "winnow/eval/benchmark.h"

namespace winnow::eval {

struct BootstrapOptions {
  int32_t n_resamples = 10'000;
  uint64_t seed = 1;
};

/// A benchmark's first metric.
struct Resamples {
  std::vector<double> value;               // [configurations] of the questions as they are
  std::vector<std::vector<double>> draws;  // [configurations, resamples]
  int64_t n_groups = 0;
};

/// rows: [configurations], each with the same questions in the same order. Equal arguments give equal draws
/// on every machine. Throws InvalidArgument when the questions differ, or there are none.
Resamples resample(const Headline& headline, std::span<const std::vector<ScoredRow>> rows,
                   const BootstrapOptions& options);

}  // namespace winnow::eval
