#pragma once

// A benchmark's first metric, cut into sums over groups of questions, so that ten thousand resamples of it
// cost additions only. Benchmark::aggregate() is the definition; a test holds the two equal.

#include <array>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace winnow::eval {

struct ScoredRow;

/// Numbers that add up over groups; what they are is the headline's business.
using Sums = std::array<double, 4>;

/// What a group of questions adds to one stratum (POPE: a file, MME: a subtask).
struct HeadlinePart {
  std::string stratum;
  Sums sums{};
};

struct Headline {
  std::function<std::vector<HeadlinePart>(std::span<const ScoredRow* const> group)> parts;
  std::function<double(const Sums&)> value;  ///< of a stratum
  bool adds_strata = false;                  ///< their sum; else their unweighted mean
  bool is_plain_mean = false;  ///< 100 x the mean of the questions' scores, every question a group
};

/// 100 x mean of the scores of all rows; with `strata` the unweighted mean over what that field says.
Headline mean_headline(std::string ScoredRow::*strata = nullptr);

}  // namespace winnow::eval
