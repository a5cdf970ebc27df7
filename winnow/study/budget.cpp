// The knee of each method: the smallest budget that keeps 95 % of the unpruned accuracy.

#include <algorithm>

#include "winnow/base/table.h"
#include "winnow/study/curve.h"
#include "winnow/study/study.h"

namespace winnow::study {
namespace {

const std::vector<std::string> kBudgets = {"75%", "50%", "35%", "25%", "15%", "10%", "5%"};
const std::vector<std::string> kMethods = {
    "random",       "grid",      "resize",   "pooling", "bilinear",           "fastv",
    "window_fastv", "fastervlm", "divprune", "scope",   "balanced:alpha=0.3", "sparsevlm",
    "tome"};
constexpr double kEnough = 95.0;

std::vector<std::string> configs_of(const std::string& method) {
  std::vector<std::string> out;
  for (const std::string& keep : kBudgets) out.push_back(eval::config_name(method, keep));
  return out;
}

bool has_all(const eval::Comparison& comparison, const std::vector<std::string>& configs) {
  return std::all_of(configs.begin(), configs.end(), [&](const std::string& config) {
    return std::any_of(comparison.averages.begin(), comparison.averages.end(),
                       [&](const eval::Average& a) { return a.config == config; });
  });
}

struct Row {
  std::string method;
  std::vector<double> value;  ///< at kBudgets
  eval::Interval knee;
};

std::vector<Row> rows_of(const eval::Comparison& comparison, const std::vector<std::string>& methods) {
  const double all = mean_tokens(comparison, comparison.baseline);
  const auto share = [&](const std::string& config) { return 100.0 * mean_tokens(comparison, config) / all; };
  std::vector<Row> rows;
  for (const std::string& method : methods) {
    std::vector<std::string> configs = configs_of(method);
    if (!has_all(comparison, configs)) continue;  // named among those left out
    Row row{method, {}, {}};
    for (const std::string& config : configs) row.value.push_back(average_of(comparison, config).value);
    configs.push_back(comparison.baseline);
    row.knee = knee_of(average_curve(comparison, configs, share), kEnough);
    rows.push_back(std::move(row));
  }
  std::stable_sort(rows.begin(), rows.end(),
                   [](const Row& a, const Row& b) { return a.knee.value < b.knee.value; });
  return rows;
}

std::string table_of(const std::vector<Row>& rows) {
  Table table{{"method", "knee, % of tokens"}, {}};
  for (const std::string& keep : kBudgets) table.columns.push_back(keep);
  for (const Row& row : rows) {
    table.rows.push_back({row.method, text_of(row.knee)});
    for (const double value : row.value) table.rows.back().push_back(fmt::format("{:.1f}", value));
  }
  return to_string(table, TableFormat::Markdown);
}

}  // namespace

Section budget(const Lab& lab) {
  std::vector<std::string> left_out;
  const std::vector<std::string> methods = lab.runnable(kMethods, left_out);
  Ask ask{{"pope", "gqa", "mmbench", "textvqa", "vqav2"}, {"none"}, kBudgets, 40};
  ask.methods.insert(ask.methods.end(), methods.begin(), methods.end());
  const record::Run run = answered(lab.run("budget/run", ask), left_out);
  const eval::Comparison comparison = lab.compare(run);
  const std::vector<Row> rows = rows_of(comparison, methods);
  Section section;
  if (!rows.empty())
    section.answer = fmt::format(
        "{:.0f} % of the unpruned accuracy is kept down to {} % of the tokens by {} (the best), {} % by {} "
        "(the last).",
        kEnough, text_of(rows.front().knee), rows.front().method, text_of(rows.back().knee),
        rows.back().method);
  section.body = fmt::format(
      "The average over {} benchmarks in percent of the unpruned model. The knee is where it falls below "
      "{:.0f}, linear between the "
      "budgets, in visual tokens as the mean over the decoder's layers: a budget of a method inside the "
      "decoder counts those "
      "behind its step only.\n\n{}",
      comparison.benchmarks.size(), kEnough, table_of(rows));
  section.body += left_out_text(left_out);
  return section;
}

}  // namespace winnow::study
