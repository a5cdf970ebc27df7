// Do random choice and pooling beat the designed methods? (Table 1)

#include <fmt/ranges.h>

#include <algorithm>

#include "winnow/base/table.h"
#include "winnow/prune/method.h"
#include "winnow/scenes/question.h"
#include "winnow/study/study.h"

namespace winnow::study {
namespace {

const std::vector<std::string> kBudgets = {"25%", "11.1%"};
/// Those of the paper's Table 1 that are neither random, pooling nor the paper's own.
const std::vector<std::string> kDesigned = {"fastv", "sparsevlm"};

std::vector<std::string> all_methods() {
  std::vector<std::string> names;
  for (const prune::Method* method : prune::methods()) names.push_back(method->info().name);
  return names;
}

/// Configurations of one budget, the best average first.
std::vector<eval::Average> ranking(const eval::Comparison& comparison, const std::string& keep) {
  std::vector<eval::Average> out;
  for (const eval::Average& average : comparison.averages) {
    if (eval::budget_of(average.config) == keep) out.push_back(average);
  }
  std::stable_sort(out.begin(), out.end(), [](const eval::Average& a, const eval::Average& b) {
    return a.relative.value > b.relative.value;
  });
  return out;
}

std::string budget_table(const eval::Comparison& comparison, const std::string& keep) {
  Table table{{"method", "tokens, mean over layers"}, {}};
  for (const eval::BenchmarkResult& b : comparison.benchmarks) table.columns.push_back(b.name);
  for (const char* column : {"average, % of unpruned", "against random", "against pooling"})
    table.columns.emplace_back(column);
  for (const eval::Average& average : ranking(comparison, keep)) {
    std::vector<std::string> row = {eval::method_of(average.config),
                                    fmt::format("{:.3g}", mean_tokens(comparison, average.config))};
    for (const eval::BenchmarkResult& b : comparison.benchmarks)
      row.push_back(fmt::format("{:.1f}", eval::result_of(b, average.config).value.value));
    row.push_back(text_of(average_of(comparison, average.config)));
    for (const char* peer : {"random", "pooling"}) {
      const std::string other = eval::config_name(peer, keep);
      row.push_back(other == average.config
                        ? ""
                        : signed_text_of(average_difference(comparison, average.config, other)));
    }
    table.rows.push_back(std::move(row));
  }
  return to_string(table, TableFormat::Markdown);
}

/// How the methods of a budget stand to a baseline, in words.
std::string counts_text(const eval::Comparison& comparison, const std::string& keep,
                        const std::string& peer) {
  int n_higher = 0, n_lower = 0, n_open = 0;
  for (const eval::Average& average : ranking(comparison, keep)) {
    const std::string method = eval::method_of(average.config);
    const bool baseline = method == "random" || method == "grid" || method == "pooling" ||
                          method == "bilinear" || method == "m3";
    if (baseline) continue;
    const std::string word =
        eval::verdict(average_difference(comparison, average.config, eval::config_name(peer, keep)));
    n_higher += word == "higher" ? 1 : 0;
    n_lower += word == "lower" ? 1 : 0;
    n_open += word == "no difference shown" ? 1 : 0;
  }
  return fmt::format("of the designed methods {} are higher than {}, {} lower, of {} no difference is shown",
                     n_higher, peer, n_lower, n_open);
}

/// On how many of (method, benchmark) a baseline is above one of the paper's designed methods, by value alone
/// as the paper counts.
std::string wins_text(const eval::Comparison& comparison, const std::string& keep) {
  int n_wins = 0, n = 0;
  for (const std::string& designed : kDesigned) {
    for (const eval::BenchmarkResult& b : comparison.benchmarks) {
      for (const char* peer : {"random", "pooling"}) {
        ++n;
        n_wins += eval::result_of(b, eval::config_name(peer, keep)).value.value >
                          eval::result_of(b, eval::config_name(designed, keep)).value.value
                      ? 1
                      : 0;
      }
    }
  }
  return fmt::format("random or pooling is above FastV or SparseVLM in {} of {} pairs ({:.0f} %)", n_wins, n,
                     100.0 * n_wins / n);
}

/// Random and pooling against the paper's designed methods, by the averages at the paper's first budget.
std::string claim_of(const eval::Comparison& comparison) {
  int n_higher = 0, n_lower = 0;
  for (const std::string& designed : kDesigned) {
    for (const char* peer : {"random", "pooling"}) {
      const std::string word =
          eval::verdict(average_difference(comparison, eval::config_name(peer, kBudgets.front()),
                                           eval::config_name(designed, kBudgets.front())));
      n_higher += word == "higher" ? 1 : 0;
      n_lower += word == "lower" ? 1 : 0;
    }
  }
  return claim_text(n_higher > 0 && n_lower == 0, n_lower > 0 && n_higher == 0);
}

}  // namespace

Section baselines(const Lab& lab) {
  std::vector<std::string> left_out;
  const Ask ask{scenes::benchmarks(), lab.runnable(all_methods(), left_out), kBudgets, 30};
  const record::Run run = answered(lab.run("baselines/run", ask), left_out);
  const eval::Comparison comparison = lab.compare(run);
  Section section;
  section.answer = claim_of(comparison);
  for (const std::string& keep : kBudgets) {
    section.answer +=
        fmt::format("At {} {}; {}. By value, {}. ", keep, counts_text(comparison, keep, "random"),
                    counts_text(comparison, keep, "pooling"), wins_text(comparison, keep));
    section.body += fmt::format("Visual tokens kept: {}.\n\n{}\n", keep, budget_table(comparison, keep));
  }
  section.body +=
      "A budget counts the tokens behind a method's step, as in the paper: methods inside the decoder see "
      "all tokens before it, "
      "so they have more work left (second column). Methods with a schedule of several steps take it as "
      "their mean.\n";
  section.body += left_out_text(left_out);
  return section;
}

}  // namespace winnow::study
