// The knee of each method: the smallest budget that keeps 95 % of the unpruned accuracy.

#include <fmt/ranges.h>

#include <algorithm>

#include "winnow/base/table.h"
#include "winnow/study/study.h"

namespace winnow::study {
namespace {

const std::vector<std::string> kBudgets = {"75%", "50%", "35%", "25%", "15%", "10%", "5%"};
const std::vector<std::string> kMethods = {
    "random",    "grid",     "pooling", "bilinear",           "fastv",     "window_fastv",
    "fastervlm", "divprune", "scope",   "balanced:alpha=0.3", "sparsevlm", "tome"};
constexpr double kEnough = 95.0;

/// A method's averages over its budgets, largest first, with the unpruned model in front.
struct Curve {
  std::vector<double> share;               ///< of the tokens, mean over the layers, percent
  std::vector<double> value;               ///< average, percent of unpruned
  std::vector<std::vector<double>> draws;  // [points, resamples]
};

Curve curve_of(const eval::Comparison& comparison, const std::string& method) {
  Curve out{{100.0}, {100.0}, {}};
  const std::size_t n_draws = comparison.benchmarks.front().configurations.front().draws.size();
  out.draws.emplace_back(n_draws, 100.0);
  for (const std::string& keep : kBudgets) {
    std::vector<double> draws(n_draws, 0.0);
    double value = 0.0, share = 0.0, n = 0.0;
    for (const eval::BenchmarkResult& b : comparison.benchmarks) {
      const eval::ConfigurationResult &base = result_of(b, comparison.baseline),
                                      &c = result_of(b, config(method, keep));
      if (!base.relative) continue;
      n += 1.0;
      value += 100.0 * c.value.value / base.value.value;
      share += 100.0 * c.n_visual_average / base.n_visual_average;
      for (std::size_t i = 0; i < n_draws; ++i) draws[i] += 100.0 * c.draws[i] / base.draws[i];
    }
    for (double& d : draws) d /= n;
    out.share.push_back(share / n);
    out.value.push_back(value / n);
    out.draws.push_back(std::move(draws));
  }
  return out;
}

/// With the interval over the resamples. A curve that never falls below counts as its smallest budget.
eval::Interval knee_interval(const Curve& curve) {
  std::vector<double> draws;
  for (std::size_t i = 0; i < curve.draws.front().size(); ++i) {
    std::vector<double> value;
    for (const std::vector<double>& point : curve.draws) value.push_back(point[i]);
    draws.push_back(knee_of(curve.share, value, kEnough).value_or(curve.share.back()));
  }
  return eval::percentile_interval(knee_of(curve.share, curve.value, kEnough).value_or(curve.share.back()),
                                   std::move(draws));
}

bool has_all_budgets(const eval::Comparison& comparison, const std::string& method) {
  return std::all_of(kBudgets.begin(), kBudgets.end(), [&](const std::string& keep) {
    return std::any_of(comparison.averages.begin(), comparison.averages.end(),
                       [&](const eval::Average& a) { return a.config == config(method, keep); });
  });
}

}  // namespace

Section budget(const Lab& lab) {
  std::vector<std::string> left_out;
  const std::vector<std::string> methods = lab.runnable(kMethods, left_out);
  Ask ask{{"pope", "gqa", "mmbench", "textvqa", "vqav2"}, {"none"}, kBudgets, 40};
  ask.methods.insert(ask.methods.end(), methods.begin(), methods.end());
  const record::Run whole = lab.run("budget/run", ask);
  for (const std::string& text : unanswered(whole)) left_out.push_back(text);
  const record::Run run = answered(whole);
  eval::CompareOptions options;
  options.bootstrap = lab.options().bootstrap;
  const eval::Comparison comparison = eval::compare({&run, 1}, options);

  struct Row {
    std::string method;
    Curve curve;
    eval::Interval knee;
  };
  std::vector<Row> rows;
  for (const std::string& method : methods) {
    if (!has_all_budgets(comparison, method)) continue;  // named among those left out
    Curve curve = curve_of(comparison, method);
    const eval::Interval knee = knee_interval(curve);
    rows.push_back({method, std::move(curve), knee});
  }
  std::stable_sort(rows.begin(), rows.end(),
                   [](const Row& a, const Row& b) { return a.knee.value < b.knee.value; });
  Table table{{"method", "knee, % of tokens"}, {}};
  for (const std::string& keep : kBudgets) table.columns.push_back(keep);
  for (const Row& row : rows) {
    table.rows.push_back({row.method, text_of(row.knee)});
    for (std::size_t i = 1; i < row.curve.value.size(); ++i)
      table.rows.back().push_back(fmt::format("{:.1f}", row.curve.value[i]));
  }
  Section section;
  section.answer = fmt::format(
      "{:.0f} % of the unpruned accuracy is kept down to {} % of the tokens by {} (the best), {} % by {} "
      "(the last).",
      kEnough, text_of(rows.front().knee), rows.front().method, text_of(rows.back().knee),
      rows.back().method);
  section.body = fmt::format(
      "The average over {} benchmarks in percent of the unpruned model. The knee is where it falls below "
      "{:.0f}, linear between the budgets, in visual tokens as the mean "
      "over the decoder's layers: a budget of a method inside the decoder counts those behind its step "
      "only.\n\n{}",
      comparison.benchmarks.size(), kEnough, to_string(table, TableFormat::Markdown));
  for (const std::string& text : left_out) section.body += fmt::format("\nLeft out: {}.\n", text);
  return section;
}

}  // namespace winnow::study
