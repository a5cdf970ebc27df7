// Importance or redundancy, by task (section 6, Table 6), and what choosing alpha on other questions gains.

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <map>

#include "winnow/base/table.h"
#include "winnow/study/study.h"

namespace winnow::study {
namespace {

const std::string kKeep = "25%";
constexpr std::array kAlphas = {"0", "0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7", "0.8", "0.9", "1"};
/// The paper's task types.
const std::vector<std::string> kPerception = {"mme", "pope"}, kKnowledge = {"scienceqa", "textvqa"};

std::string at(const char* alpha) { return config(fmt::format("balanced:alpha={}", alpha), kKeep); }

/// (mean over the benchmarks of) value at alpha 0 and 0.1 less value at 0.8 and 0.9, percent of the unpruned
/// model, paired.
eval::Interval redundancy_first(const eval::Comparison& comparison, const std::vector<std::string>& names) {
  double value = 0.0;
  std::vector<double> draws;
  for (const std::string& name : names) {
    const eval::BenchmarkResult& b = benchmark_of(comparison, name);
    const eval::ConfigurationResult& base = result_of(b, comparison.baseline);
    for (const auto& [alpha, sign] : {std::pair{"0", 1.0}, {"0.1", 1.0}, {"0.8", -1.0}, {"0.9", -1.0}}) {
      const eval::ConfigurationResult& c = result_of(b, at(alpha));
      const double weight = 50.0 * sign / static_cast<double>(names.size());
      value += weight * c.value.value / base.value.value;
      draws.resize(c.draws.size(), 0.0);
      for (std::size_t i = 0; i < draws.size(); ++i)
        draws[i] += base.draws[i] > 0.0 ? weight * c.draws[i] / base.draws[i] : 0.0;
    }
  }
  return eval::percentile_interval(value, std::move(draws));
}

std::vector<std::string> those_there(const eval::Comparison& comparison,
                                     const std::vector<std::string>& names) {
  std::vector<std::string> out;
  for (const std::string& name : names) {
    for (const eval::BenchmarkResult& b : comparison.benchmarks) {
      if (b.name == name) out.push_back(name);
    }
  }
  return out;
}

const char* best_alpha(const eval::BenchmarkResult& benchmark) {
  return *std::max_element(kAlphas.begin(), kAlphas.end(), [&](const char* a, const char* b) {
    return result_of(benchmark, at(a)).value.value < result_of(benchmark, at(b)).value.value;
  });
}

std::string curve_table(const eval::Comparison& comparison) {
  Table table{{"benchmark", "unpruned"}, {}};
  for (const char* alpha : kAlphas) table.columns.push_back(fmt::format("alpha {}", alpha));
  table.columns.emplace_back("best less worst");
  for (const eval::BenchmarkResult& b : comparison.benchmarks) {
    std::vector<std::string> row = {fmt::format("{} {}", b.name, b.metric),
                                    fmt::format("{:.1f}", result_of(b, comparison.baseline).value.value)};
    const char* best = best_alpha(b);
    const char* worst =
        *std::min_element(kAlphas.begin(), kAlphas.end(), [&](const char* a1, const char* a2) {
          return result_of(b, at(a1)).value.value < result_of(b, at(a2)).value.value;
        });
    for (const char* alpha : kAlphas) {
      const std::string text = fmt::format("{:.1f}", result_of(b, at(alpha)).value.value);
      row.push_back(alpha == best ? "**" + text + "**" : text);
    }
    row.push_back(signed_text_of(difference(b, at(best), at(worst))));
    table.rows.push_back(std::move(row));
  }
  return to_string(table, TableFormat::Markdown);
}

/// Every second group of a run's questions, counted afresh: 0 for choosing, 1 for reporting.
record::Run half_of(const record::Run& run, int64_t which) {
  record::Run out;
  out.header = run.header;
  for (record::BenchmarkPart& part : out.header.benchmarks) {
    std::map<std::string, int64_t> groups;
    std::map<int64_t, int64_t> number;
    for (const record::ResultRow& row : run.rows) {
      if (row.benchmark != part.name) continue;
      const int64_t group = groups.try_emplace(row.group, std::ssize(groups)).first->second;
      if (group % 2 != which) continue;
      record::ResultRow mine = row;
      mine.index = number.try_emplace(row.index, std::ssize(number)).first->second;
      out.rows.push_back(std::move(mine));
    }
    part.n_questions = std::ssize(number);
  }
  return out;
}

/// Alpha chosen on one half of the questions, its gain on the other half over a fixed alpha.
std::string choice_table(const record::Run& run, const eval::CompareOptions& options) {
  const record::Run choosing = half_of(run, 0), reporting = half_of(run, 1);
  const eval::Comparison first = eval::compare({&choosing, 1}, options),
                         second = eval::compare({&reporting, 1}, options);
  Table table{
      {"benchmark", "alpha chosen", "value there", "gain over alpha 0.5", "gain over alpha 1 (FastV)"}, {}};
  for (const eval::BenchmarkResult& b : first.benchmarks) {
    const char* alpha = best_alpha(b);
    const eval::BenchmarkResult& test = benchmark_of(second, b.name);
    std::vector<std::string> row = {fmt::format("{} {}", b.name, b.metric), alpha,
                                    text_of(result_of(test, at(alpha)).value)};
    for (const char* fixed : {"0.5", "1"})
      row.push_back(std::string(alpha) == fixed ? "0"
                                                : signed_text_of(difference(test, at(alpha), at(fixed))));
    table.rows.push_back(std::move(row));
  }
  return to_string(table, TableFormat::Markdown);
}

}  // namespace

Section alpha(const Lab& lab) {
  Ask ask{{}, {"none"}, {kKeep}, 150};
  ask.benchmarks = kPerception;
  ask.benchmarks.insert(ask.benchmarks.end(), kKnowledge.begin(), kKnowledge.end());
  ask.benchmarks.emplace_back("gqa");
  for (const char* alpha : kAlphas) ask.methods.push_back(fmt::format("balanced:alpha={}", alpha));
  const record::Run run = lab.run("alpha/run", ask);
  eval::CompareOptions options;
  options.bootstrap = lab.options().bootstrap;
  const eval::Comparison comparison = eval::compare({&run, 1}, options);
  Section section;
  const auto word = [&](const std::vector<std::string>& names) {
    const std::vector<std::string> there = those_there(comparison, names);
    return there.empty() ? std::string() : word_of(redundancy_first(comparison, there));
  };
  const std::string perception = word(kPerception), knowledge = word(kKnowledge);
  section.answer = claim_text(perception == "higher" && knowledge == "lower",
                              perception == "lower" || knowledge == "higher");
  for (const auto& [names, text] : {std::pair{kPerception, "perception"}, {kKnowledge, "knowledge"}}) {
    const std::vector<std::string> there = those_there(comparison, names);
    if (there.empty()) continue;
    const eval::Interval d = redundancy_first(comparison, there);
    section.answer += fmt::format(
        "On {} ({}) redundancy first (alpha 0 and 0.1) is {} % of the unpruned score from importance first "
        "(0.8 and 0.9): {}. ",
        text, fmt::join(there, ", "), signed_text_of(d), word_of(d));
  }
  section.body = fmt::format(
      "`balanced` before layer K with {} kept, alpha 1 = FastV's score alone; the best of each row is "
      "bold:\n\n{}\n"
      "Alpha chosen by task: the best on every second group of questions, reported on the others.\n\n{}",
      kKeep, curve_table(comparison), choice_table(run, options));
  return section;
}

}  // namespace winnow::study
