#include "winnow/eval/metrics.h"

#include <utility>

#include "winnow/base/error.h"

namespace winnow::eval {

void check_rows(std::span<const ScoredRow> rows, std::string_view benchmark) {
  WINNOW_CHECK(!rows.empty(), InvalidArgument, "eval.aggregate",
               "{}: no scored questions, expected at least one", benchmark);
}

RowRefs refs_of(std::span<const ScoredRow> rows) {
  RowRefs out;
  out.reserve(rows.size());
  for (const ScoredRow& row : rows) out.push_back(&row);
  return out;
}

std::map<std::string, RowRefs> grouped_by(std::span<const ScoredRow> rows, std::string ScoredRow::*field) {
  std::map<std::string, RowRefs> groups;
  for (const ScoredRow& row : rows) {
    if (!(row.*field).empty()) groups[row.*field].push_back(&row);
  }
  return groups;
}

Metric percent(std::string name, const RowRefs& rows) {
  double sum = 0.0;
  for (const ScoredRow* row : rows) sum += row->score.value;
  const double mean = rows.empty() ? 0.0 : sum / static_cast<double>(rows.size());
  return {.name = std::move(name), .value = 100.0 * mean, .n = std::ssize(rows)};
}

std::vector<Metric> accuracies(std::span<const ScoredRow> rows, std::string ScoredRow::*field) {
  std::vector<Metric> metrics = {percent("accuracy", refs_of(rows))};
  const auto groups = grouped_by(rows, field);
  if (groups.size() < 2) return metrics;
  for (const auto& [name, refs] : groups) metrics.push_back(percent("accuracy/" + name, refs));
  return metrics;
}

}  // namespace winnow::eval
