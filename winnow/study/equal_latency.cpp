// Methods at the same measured time, with the smaller picture among them. Methods with equal token counts
// differ in time.

#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <optional>

#include "winnow/base/table.h"
#include "winnow/study/curve.h"
#include "winnow/study/study.h"

namespace winnow::study {
namespace {

const std::vector<std::string> kBudgets = {"75%", "50%", "25%", "11.1%", "5%"};
const std::vector<std::string> kMethods = {"random",       "grid",      "resize",    "pooling", "fastv",
                                           "window_fastv", "fastervlm", "divprune",  "scope",   "cdpruner",
                                           "mmr",          "dart",      "sparsevlm", "tome"};
const std::vector<double> kShares = {0.9, 0.8, 0.7};  // of the unpruned first token
constexpr int32_t kRepetitions = 9;

/// Medians to the first token by configuration, ms.
std::map<std::string, double> times_of(const Lab& lab, const record::Run& run) {
  std::vector<sweep::LatencyCase> cases;
  for (const record::ConfigurationPart& part : run.header.configurations) {
    sweep::ConfigurationRequest request;
    request.methods = {eval::method_of(part.name)};
    request.keeps = {eval::budget_of(part.name).empty() ? "auto" : eval::budget_of(part.name)};
    sweep::Configuration c = sweep::configurations(request, lab.model()).front();
    cases.push_back({part.name, std::move(c.prune)});
  }
  const sweep::LatencyOptions options = lab.latency_options(kRepetitions);
  std::map<std::string, double> out;
  for (const sweep::Latency& l :
       sweep::measure(lab.shared_model(), sweep::default_picture(lab.model()), cases, options))
    out[l.name] = l.first_token_ms.median;
  return out;
}

struct Row {
  std::string method;
  Curve curve;  ///< average over first-token time
  std::vector<std::optional<eval::Resampled>> at_time;
};

/// Without a value they go last.
bool better(const std::optional<eval::Resampled>& a, const std::optional<eval::Resampled>& b) {
  return (a ? a->value : -1.0) > (b ? b->value : -1.0);
}

std::string ranking_table(const std::vector<Row>& rows, const std::vector<double>& times) {
  Table table{{"method", "fastest ms"}, {}};
  for (const double ms : times) {
    table.columns.push_back(fmt::format("average in {:.1f} ms, %", ms));
    table.columns.push_back("against resize");
  }
  const auto resize =
      std::find_if(rows.begin(), rows.end(), [](const Row& row) { return row.method == "resize"; });
  for (const Row& row : rows) {
    table.rows.push_back({row.method, fmt::format("{:.1f}", row.curve.x.front())});
    for (std::size_t t = 0; t < times.size(); ++t) {
      const std::optional<eval::Resampled>& point = row.at_time[t];
      table.rows.back().push_back(point ? text_of(eval::interval_of(*point)) : "not that fast");
      const bool compared = point && resize != rows.end() && resize->at_time[t] && row.method != "resize";
      table.rows.back().push_back(compared ? signed_text_of(difference(*point, *resize->at_time[t])) : "");
    }
  }
  return to_string(table, TableFormat::Markdown);
}

std::string points_table(const eval::Comparison& comparison, const std::vector<std::string>& methods,
                         const std::map<std::string, double>& times) {
  Table table{{"method", "first token ms: average %, by budget"}, {}};
  for (const std::string& method : methods) {
    std::vector<std::string> cells;
    for (const std::string& keep : kBudgets) {
      const auto found = times.find(eval::config_name(method, keep));
      if (found == times.end()) continue;
      cells.push_back(fmt::format("{}: {:.1f} ms, {:.1f}", keep, found->second,
                                  average_of(comparison, found->first).value));
    }
    table.rows.push_back({method, fmt::format("{}", fmt::join(cells, "; "))});
  }
  return to_string(table, TableFormat::Markdown);
}

std::vector<Row> rows_of(const eval::Comparison& comparison, const std::vector<std::string>& methods,
                         const std::map<std::string, double>& times, const std::vector<double>& targets) {
  std::vector<Row> rows;
  for (const std::string& method : methods) {
    std::vector<std::string> configs = {comparison.baseline};
    for (const std::string& keep : kBudgets) {
      if (times.contains(eval::config_name(method, keep))) configs.push_back(eval::config_name(method, keep));
    }
    if (configs.size() < 2) continue;
    Row row{
        method, average_curve(comparison, configs, [&](const std::string& c) { return times.at(c); }), {}};
    for (const double ms : targets) row.at_time.push_back(at(row.curve, ms));
    rows.push_back(std::move(row));
  }
  std::stable_sort(rows.begin(), rows.end(),
                   [](const Row& a, const Row& b) { return better(a.at_time[1], b.at_time[1]); });
  return rows;
}

/// How many methods are above, below and not apart from another at a time.
std::string counts_text(const std::vector<Row>& rows, const std::string& other, std::size_t t) {
  const auto peer =
      std::find_if(rows.begin(), rows.end(), [&](const Row& row) { return row.method == other; });
  if (peer == rows.end() || !peer->at_time[t]) return fmt::format("{} is not that fast", other);
  std::map<std::string, int> n;
  int n_slow = 0;
  for (const Row& row : rows) {
    if (row.method == other) continue;
    if (!row.at_time[t]) {
      ++n_slow;
    } else {
      ++n[eval::verdict(difference(*row.at_time[t], *peer->at_time[t]))];
    }
  }
  return fmt::format(
      "{} methods are higher than {}, {} lower, of {} no difference is shown, {} are not that fast",
      n["higher"], other, n["lower"], n["no difference shown"], n_slow);
}

}  // namespace

Section equal_latency(const Lab& lab) {
  std::vector<std::string> left_out;
  const std::vector<std::string> methods = lab.runnable(kMethods, left_out);
  Ask ask{{"pope", "gqa", "mmbench", "textvqa", "refcoco", "vqav2"}, {"none"}, kBudgets, 30};
  ask.methods.insert(ask.methods.end(), methods.begin(), methods.end());
  const record::Run run = answered(lab.run("equal-latency/run", ask), left_out);
  const eval::Comparison comparison = lab.compare(run);
  const std::map<std::string, double> times = times_of(lab, run);
  std::vector<double> targets;
  for (const double share : kShares) targets.push_back(share * times.at(comparison.baseline));
  const std::vector<Row> rows = rows_of(comparison, methods, times, targets);
  Section section;
  for (std::size_t t = 0; t < targets.size(); ++t)
    section.answer += fmt::format("In {:.0f} % of the unpruned time ({:.1f} ms) {}; {}. ", 100.0 * kShares[t],
                                  targets[t], counts_text(rows, "random", t), counts_text(rows, "resize", t));
  section.body = fmt::format(
      "Average over {} benchmarks in percent of the unpruned model, read off each method's curve of (median "
      "time to the first token, "
      "average) over its budgets, linear between them; times are taken as exact.\n\n{}\nThe measured "
      "points:\n\n{}",
      comparison.benchmarks.size(), ranking_table(rows, targets), points_table(comparison, methods, times));
  section.body += left_out_text(left_out);
  return section;
}

}  // namespace winnow::study
