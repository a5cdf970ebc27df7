#pragma once

// Sums that several benchmarks share.

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "winnow/eval/benchmark.h"

namespace winnow::eval {

/// Throws InvalidArgument for no rows.
void check_rows(std::span<const ScoredRow> rows, std::string_view benchmark);

using RowRefs = std::vector<const ScoredRow*>;
RowRefs refs_of(std::span<const ScoredRow> rows);
/// Rows by a field of theirs, by name; rows where it is empty are left out.
std::map<std::string, RowRefs> grouped_by(std::span<const ScoredRow> rows, std::string ScoredRow::*field);

/// 100 x the mean of the values.
Metric percent(std::string name, const RowRefs& rows);
/// "accuracy", then "accuracy/X" for each value X of the field when there are several.
std::vector<Metric> accuracies(std::span<const ScoredRow> rows, std::string ScoredRow::*field);

}  // namespace winnow::eval
