// Importance or redundancy, by task (section 6, Table 6), and what choosing alpha on other questions gains.

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <utility>

#include "winnow/base/error.h"
#include "winnow/base/table.h"
#include "winnow/study/curve.h"
#include "winnow/study/study.h"

namespace winnow::study {
namespace {

const std::string kKeep = "25%";
constexpr std::array kAlphas = {"0", "0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7", "0.8", "0.9", "1"};
/// The paper's task types.
const std::vector<std::string> kPerception = {"mme", "pope"}, kKnowledge = {"scienceqa", "textvqa"};

std::string at(const char* alpha) {
  return eval::config_name(fmt::format("balanced:alpha={}", alpha), kKeep);
}

/// A kind of task: how far redundancy first (alpha 0 and 0.1) is from importance first (0.8 and 0.9), mean
/// over its benchmarks, percent of the unpruned model, paired. Nothing where no benchmark of the kind was
/// asked.
struct Kind {
  const char* name;
  std::vector<std::string> benchmarks;
  std::optional<eval::Interval> redundancy_first;

  std::string word() const { return redundancy_first ? eval::verdict(*redundancy_first) : ""; }
};

/// The mean of numbers drawn alike, of which there is at least one, in percent.
eval::Resampled mean_percent(std::span<const eval::Resampled> numbers) {
  const double scale = 100.0 / static_cast<double>(numbers.size());
  eval::Resampled mean{0.0, std::vector<double>(numbers.front().draws.size(), 0.0)};
  for (const eval::Resampled& number : numbers) {
    mean.value += scale * number.value;
    for (std::size_t i = 0; i < mean.draws.size(); ++i) mean.draws[i] += scale * number.draws[i];
  }
  return mean;
}

Kind kind_of(const eval::Comparison& comparison, const char* name,
             const std::vector<std::string>& benchmarks) {
  Kind kind{name, names_there(comparison, benchmarks), {}};
  if (kind.benchmarks.empty()) return kind;
  const auto mean = [&](const char* a, const char* b) -> std::optional<eval::Resampled> {
    const auto one = eval::relative_average(comparison, at(a), kind.benchmarks);
    const auto two = eval::relative_average(comparison, at(b), kind.benchmarks);
    if (!one || !two) return std::nullopt;
    return mean_percent(std::array{*one, *two});
  };
  const auto redundancy = mean("0", "0.1"), importance = mean("0.8", "0.9");
  if (redundancy && importance) kind.redundancy_first = eval::difference(*redundancy, *importance);
  return kind;
}

/// The alphas with the least and the largest value; of equal ones the smallest.
std::pair<const char*, const char*> worst_and_best(const eval::BenchmarkResult& benchmark) {
  const auto below = [&](const char* a, const char* b) {
    return eval::result_of(benchmark, at(a)).value.value < eval::result_of(benchmark, at(b)).value.value;
  };
  return {*std::min_element(kAlphas.begin(), kAlphas.end(), below),
          *std::max_element(kAlphas.begin(), kAlphas.end(), below)};
}

std::string curve_table(const eval::Comparison& comparison) {
  Table table{{"benchmark", "unpruned"}, {}};
  for (const char* alpha : kAlphas) table.columns.push_back(fmt::format("alpha {}", alpha));
  table.columns.emplace_back("best less worst");
  for (const eval::BenchmarkResult& b : comparison.benchmarks) {
    std::vector<std::string> row = {
        fmt::format("{} {}", b.name, b.metric),
        fmt::format("{:.1f}", eval::result_of(b, comparison.baseline).value.value)};
    const auto [worst, best] = worst_and_best(b);
    for (const char* alpha : kAlphas) {
      const std::string text = fmt::format("{:.1f}", eval::result_of(b, at(alpha)).value.value);
      row.push_back(alpha == best ? "**" + text + "**" : text);
    }
    row.push_back(signed_text_of(difference(b, at(best), at(worst))));
    table.rows.push_back(std::move(row));
  }
  return to_string(table, TableFormat::Markdown);
}

/// About half of the groups of questions, by chance and always the same: 0 for choosing, 1 for reporting.
/// Their order will not do: POPE's yes and no take turns.
record::Run half_of(const record::Run& run, uint64_t which) {
  return part_of(run, [&](const record::ResultRow& row) {
    return sweep::question_seed(0, row.benchmark + "/" + row.group) % 2 == which;
  });
}

/// Where alpha is chosen and where that is reported; the two share no question.
struct Parts {
  eval::Comparison choosing, reporting;
  const char* how;
};

/// Procedural questions have a validation split; of other data one half chooses.
Parts parts_of(const Lab& lab, const Ask& ask, const record::Run& run) {
  if (lab.options().evaluation.data != sweep::kScenes) {
    return {lab.compare(half_of(run, 0)), lab.compare(half_of(run, 1)),
            "on one half of the questions, drawn by group, reported on the other half"};
  }
  Ask validation = ask;
  validation.split = "val";
  return {lab.compare(lab.run("alpha/validation", validation)), lab.compare(run),
          "on as many questions of the validation split, reported on those above"};
}

/// The alpha of the largest average over all benchmarks; of equal ones the smallest.
const char* best_for_all(const eval::Comparison& comparison) {
  const auto average = [&](const char* alpha) { return average_of(comparison, at(alpha)).value; };
  return *std::max_element(kAlphas.begin(), kAlphas.end(),
                           [&](const char* a, const char* b) { return average(a) < average(b); });
}

/// Mean over the benchmarks of value / unpruned with the alpha of each, in percent.
eval::Resampled average_with(const eval::Comparison& comparison, const std::vector<const char*>& alphas) {
  std::vector<eval::Resampled> relative;
  for (std::size_t i = 0; i < alphas.size(); ++i) {
    const std::vector<std::string> only = {comparison.benchmarks[i].name};
    if (auto one = eval::relative_average(comparison, at(alphas[i]), only))
      relative.push_back(*std::move(one));
  }
  WINNOW_CHECK(!relative.empty(), InvalidArgument, "study.alpha",
               "unpruned score, got one that may be 0 on every benchmark, expected some that cannot");
  return mean_percent(relative);
}

/// What choosing alpha for each benchmark gains over one alpha for all: 0.5, FastV's 1, and the best one.
void add_choice(const Parts& parts, Section& section) {
  const std::string best = best_for_all(parts.choosing);
  std::vector<std::string> fixed = {"0.5", "1"};
  if (std::find(fixed.begin(), fixed.end(), best) == fixed.end()) fixed.push_back(best);
  const auto words_of = [&](const std::string& alpha) {
    return fmt::format("alpha {}{}{}", alpha, alpha == "1" ? " (FastV)" : "",
                       alpha == best ? ", the best one for all" : "");
  };
  Table table{{"benchmark", "alpha chosen", "value there"}, {}};
  for (const std::string& alpha : fixed) table.columns.push_back("gain over " + words_of(alpha));
  std::vector<const char*> chosen;
  for (const eval::BenchmarkResult& test : parts.reporting.benchmarks) {
    const char* alpha = worst_and_best(benchmark_of(parts.choosing, test.name)).second;
    chosen.push_back(alpha);
    std::vector<std::string> row = {fmt::format("{} {}", test.name, test.metric), alpha,
                                    text_of(eval::result_of(test, at(alpha)).value)};
    for (const std::string& other : fixed)
      row.push_back(other == alpha ? "0" : signed_text_of(difference(test, at(alpha), at(other.c_str()))));
    table.rows.push_back(std::move(row));
  }
  const eval::Resampled by_task = average_with(parts.reporting, chosen);
  std::vector<std::string> row = {"average, % of unpruned", "", text_of(eval::interval_of(by_task))};
  std::vector<std::string> gains;
  for (const std::string& other : fixed) {
    const eval::Interval gain = eval::difference(by_task, average_point(parts.reporting, at(other.c_str())));
    row.push_back(signed_text_of(gain));
    gains.push_back(
        fmt::format("{} over {}: {}", signed_text_of(gain), words_of(other), eval::verdict(gain)));
  }
  table.rows.push_back(std::move(row));
  section.answer +=
      fmt::format("Chosen for each benchmark, alpha gains, in % of unpruned, {}. ", fmt::join(gains, "; "));
  section.body += fmt::format("\nAlpha chosen for each benchmark: the best {}.\n\n{}", parts.how,
                              to_string(table, TableFormat::Markdown));
}

}  // namespace

Section alpha(const Lab& lab) {
  Ask ask{{}, {"none"}, {kKeep}, 150};
  ask.benchmarks = kPerception;
  ask.benchmarks.insert(ask.benchmarks.end(), kKnowledge.begin(), kKnowledge.end());
  ask.benchmarks.emplace_back("gqa");
  for (const char* alpha : kAlphas) ask.methods.push_back(fmt::format("balanced:alpha={}", alpha));
  const record::Run run = lab.run("alpha/run", ask);
  const eval::Comparison comparison = lab.compare(run);
  Section section;
  const Kind perception = kind_of(comparison, "perception", kPerception),
             knowledge = kind_of(comparison, "knowledge", kKnowledge);
  section.answer = claim_text(perception.word() == "higher" && knowledge.word() == "lower",
                              perception.word() == "lower" || knowledge.word() == "higher");
  for (const Kind& kind : {perception, knowledge}) {
    if (!kind.redundancy_first) continue;
    section.answer += fmt::format(
        "On {} ({}) redundancy first (alpha 0 and 0.1) is {} % of the unpruned score from importance first "
        "(0.8 and 0.9): {}. ",
        kind.name, fmt::join(kind.benchmarks, ", "), signed_text_of(*kind.redundancy_first), kind.word());
  }
  section.body = fmt::format(
      "`balanced` before layer K with {} kept, alpha 1 = FastV's score alone; the best of each row is "
      "bold:\n\n{}",
      kKeep, curve_table(comparison));
  if (lab.options().choose) add_choice(parts_of(lab, ask, run), section);
  return section;
}

}  // namespace winnow::study
