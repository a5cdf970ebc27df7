#include "winnow/report/summary.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "winnow/eval/config_name.h"
#include "winnow/eval/equal_time.h"
#include "winnow/report/names.h"

namespace winnow::report {
namespace {

using eval::Comparison;
using eval::Interval;

/// random of the same budget.
std::optional<std::size_t> random_of(const Comparison& comparison, const std::string& budget) {
  for (std::size_t i = 0; i < comparison.averages.size(); ++i) {
    const std::string& config = comparison.averages[i].config;
    if (eval::method_of(config) == kRandom && eval::budget_of(config) == budget) return i;
  }
  return std::nullopt;
}

AverageRow average_row(const Comparison& comparison, std::size_t idx) {
  const eval::Average& average = comparison.averages[idx];
  AverageRow row;
  row.config = average.config;
  row.relative = average.relative;
  row.verdict = eval::average_verdict(comparison, idx);
  const auto random = random_of(comparison, eval::budget_of(average.config));
  if (!random || *random == idx) return row;
  row.against_random =
      eval::difference(*eval::relative_average(comparison, average.config),
                       *eval::relative_average(comparison, comparison.averages[*random].config));
  row.random_verdict = eval::verdict(*row.against_random);
  return row;
}

/// The baseline in a sentence.
std::string words_of(const std::string& baseline) {
  return baseline == "none" ? "the unpruned model" : "'" + baseline + "'";
}

std::string percent(double share) { return fmt::format("{:.1f} %", 100.0 * share); }

int64_t count(const BudgetGroup& group, std::string AverageRow::*words, std::string_view what) {
  return std::count_if(group.rows.begin(), group.rows.end(),
                       [&](const AverageRow& row) { return row.*words == what; });
}

/// "all 11 are shown to be lower", "8 of 11 ...; 2 higher; for 1 no difference is shown".
std::string against_baseline(const BudgetGroup& group, const std::string& baseline) {
  const auto n = std::ssize(group.rows);
  const int64_t lower = count(group, &AverageRow::verdict, "lower");
  const int64_t higher = count(group, &AverageRow::verdict, "higher");
  std::string out =
      lower == n ? fmt::format("{} {} shown to be lower than {}.", n == 1 ? "the one" : "all",
                               n == 1 ? "is" : fmt::format("{} are", n), words_of(baseline))
                 : fmt::format("{} of {} are shown to be lower than {}{}; for {} no difference is shown.",
                               lower, n, words_of(baseline),
                               higher > 0 ? fmt::format(", {} higher", higher) : "", n - lower - higher);
  const AverageRow &first = group.rows.front(), &last = group.rows.back();
  if (n > 1)
    out += fmt::format(" Averages reach from {} ({}) to {} ({}) of its score.", percent(last.relative.value),
                       eval::method_of(last.config), percent(first.relative.value),
                       eval::method_of(first.config));
  return out;
}

std::string names_with(const BudgetGroup& group, std::string_view what) {
  std::vector<std::string> names;
  for (const AverageRow& row : group.rows) {
    if (row.random_verdict == what) names.push_back(eval::method_of(row.config));
  }
  return names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", "));
}

std::string random_sentence(const BudgetGroup& group) {
  if (count(group, &AverageRow::random_verdict, "") == std::ssize(group.rows)) return "";
  return fmt::format(
      " Against random selection of as many tokens: shown to be higher: {}; lower: {}; no difference shown: "
      "{}.",
      names_with(group, "higher"), names_with(group, "lower"), names_with(group, "no difference shown"));
}

/// The paper's point about costs (arXiv 2502.11501, section 7): what is counted and what is measured differ.
std::string time_sentence(const BudgetGroup& group, const BenchFile& bench) {
  std::vector<double> times, flops;
  const BenchConfiguration& base = bench.configurations.front();
  for (const AverageRow& row : group.rows) {
    for (const BenchConfiguration& c : bench.configurations) {
      if (c.name != row.config || !c.own || !base.own) continue;
      times.push_back(c.first_token_ms.median / base.first_token_ms.median);
      flops.push_back(c.own->prefill_flops / base.own->prefill_flops);
    }
  }
  if (times.empty()) return "";
  const auto [fast, slow] = std::minmax_element(times.begin(), times.end());
  const auto [few, many] = std::minmax_element(flops.begin(), flops.end());
  return fmt::format(
      " Counted FLOPs of the decoder's prefill are {} to {} of the unpruned ones, the measured time to the "
      "first token {} to {}.",
      percent(*few), percent(*many), percent(*fast), percent(*slow));
}

}  // namespace

std::vector<BudgetGroup> budget_groups(const Comparison& comparison) {
  std::vector<BudgetGroup> groups;
  for (std::size_t i = 0; i < comparison.averages.size(); ++i) {
    if (comparison.averages[i].config == comparison.baseline) continue;
    const std::string budget = eval::budget_of(comparison.averages[i].config);
    auto group =
        std::find_if(groups.begin(), groups.end(), [&](const auto& g) { return g.budget == budget; });
    if (group == groups.end()) group = groups.insert(groups.end(), {budget, {}});
    group->rows.push_back(average_row(comparison, i));
  }
  for (BudgetGroup& group : groups) {
    std::stable_sort(group.rows.begin(), group.rows.end(), [](const AverageRow& a, const AverageRow& b) {
      return a.relative.value > b.relative.value;
    });
  }
  return groups;
}

std::vector<SummaryLine> summary_lines(const Comparison& comparison, const std::vector<BudgetGroup>& groups,
                                       const BenchFile* bench) {
  std::vector<SummaryLine> out;
  for (const BudgetGroup& group : groups) {
    const std::string head =
        group.budget.empty() ? "Counts of their own" : fmt::format("Keep {}", group.budget);
    std::string text = against_baseline(group, comparison.baseline) + random_sentence(group);
    if (bench != nullptr) text += time_sentence(group, *bench);
    out.push_back({head, std::move(text)});
  }
  int64_t n_failed = 0;
  for (const eval::BenchmarkResult& b : comparison.benchmarks) {
    for (const eval::ConfigurationResult& c : b.configurations) n_failed += c.n_failed;
  }
  if (n_failed > 0) out.push_back({"", fmt::format("Answers that failed and count as wrong: {}.", n_failed)});
  if (!comparison.not_in_average.empty())
    out.push_back(
        {"", fmt::format("Not in the averages, because {} may score 0 there: {}.",
                         words_of(comparison.baseline), fmt::join(comparison.not_in_average, ", "))});
  return out;
}

}  // namespace winnow::report
