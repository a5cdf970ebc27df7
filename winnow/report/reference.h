#pragma once

// A run beside published numbers, in the layout of the paper's tables.

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "winnow/eval/comparison.h"
#include "winnow/report/bench_file.h"
#include "winnow/report/published.h"

namespace winnow::report {

struct ReferenceColumn {
  std::string benchmark, metric, unit;
};

struct ReferenceCell {
  std::optional<double> published;
  std::string tag, note;
  std::optional<eval::Interval> run;  ///< low = high = value where there is no interval
  std::optional<double> difference;   ///< run - published
  /// The same in % of the unpruned model's score, for scores of pruned ones.
  std::optional<double> published_relative, relative_difference;
  std::optional<eval::Interval> run_relative;
};

struct ReferenceRow {
  std::string method, budget;        ///< as published
  std::string config;                ///< of the run; empty: it has none like this
  std::vector<ReferenceCell> cells;  ///< [columns]
};

struct ReferenceTable {
  std::string number, title, model;
  bool is_same_model = false;  ///< by the name of the run's file, which is all that can be known
  std::vector<ReferenceColumn> columns;
  std::vector<ReferenceRow> rows;
};

/// A file's name and a model's: every part of "LLaVA-1.5-7B" is in it, letters in either case.
bool names_model(const std::string& file, const std::string& model);

/// Tables of which the run has a number of a pruned model. A configuration stands beside a published method
/// when names and parameters are equal and it keeps as large a share of the tokens (within 0.6 points;
/// entering the last layer, else on average over the layers). The run's average is over the benchmarks that
/// both have. `bench` may be null.
std::vector<ReferenceTable> reference_tables(std::span<const PublishedNumber> published,
                                             std::span<const record::Run> runs,
                                             const eval::Comparison& comparison, const BenchFile* bench);

}  // namespace winnow::report
