#pragma once

// What a comparison shows, in words and for one picture. A difference is named only where its interval says
// so; no configuration is called the best.

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "winnow/eval/comparison.h"
#include "winnow/report/bench_file.h"

namespace winnow::report {

/// A configuration on average over the benchmarks.
struct AverageRow {
  std::string config;
  eval::Interval relative;                       ///< mean of value / the baseline's
  std::string verdict;                           ///< against the baseline
  std::optional<eval::Interval> against_random;  ///< relative - random's at the same budget, paired
  std::string random_verdict;                    ///< empty where there is no random
};

/// Configurations of one budget, the largest average first.
struct BudgetGroup {
  std::string budget;  ///< "25%"; empty: methods with counts of their own
  std::vector<AverageRow> rows;
};

/// Groups in the order in which budgets appear. The baseline is in none. Empty without averages.
std::vector<BudgetGroup> budget_groups(const eval::Comparison& comparison);

/// What is said about a budget, or about the runs.
struct SummaryLine {
  std::string head;  ///< "Keep 25%"; empty: about the runs
  std::string text;
};

/// For the head of the report. `bench` may be null.
std::vector<SummaryLine> summary_lines(const eval::Comparison& comparison,
                                       const std::vector<BudgetGroup>& groups, const BenchFile* bench);

}  // namespace winnow::report
