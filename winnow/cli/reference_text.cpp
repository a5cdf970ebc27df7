#include "winnow/cli/reference_text.h"

#include <fmt/format.h>

namespace winnow::cli {
namespace {

std::string number(const std::optional<double>& value) { return value ? fmt::format("{:.6g}", *value) : ""; }

}  // namespace

std::string reference_text(const std::vector<report::ReferenceTable>& tables, TableFormat format) {
  Table table{{"published_table", "method", "model", "same_model", "budget", "benchmark", "metric", "unit",
               "published", "tag", "run_configuration", "run", "run_low", "run_high", "difference"},
              {}};
  for (const report::ReferenceTable& t : tables) {
    for (const report::ReferenceRow& row : t.rows) {
      for (std::size_t i = 0; i < t.columns.size(); ++i) {
        const report::ReferenceCell& cell = row.cells[i];
        if (!cell.published && !cell.run) continue;
        const auto end = [&](double eval::Interval::*part) {
          return cell.run ? fmt::format("{:.6g}", (*cell.run).*part) : std::string();
        };
        table.rows.push_back({t.number, row.method, t.model, t.is_same_model ? "yes" : "no", row.budget,
                              t.columns[i].benchmark, t.columns[i].metric, t.columns[i].unit,
                              number(cell.published), cell.tag, row.config, end(&eval::Interval::value),
                              end(&eval::Interval::low), end(&eval::Interval::high),
                              number(cell.difference)});
      }
    }
  }
  return table.rows.empty() ? std::string() : fmt::format("\n{}", to_string(table, format));
}

}  // namespace winnow::cli
