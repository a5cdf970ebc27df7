// Does the question help to choose tokens? (section 5, Table 5)

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <utility>

#include "winnow/base/table.h"
#include "winnow/study/study.h"

namespace winnow::study {
namespace {

const std::string kHaystack = "haystack";
const std::string kKeep = "22.2%";  // the paper's 128 of 576

/// Methods that read the question, and what each does without it.
struct Pair {
  std::string guided, blind;
};
const std::array<Pair, 2> kPairs = {{{"fastv", "fastv_vis"}, {"sparsevlm", "fastervlm"}}};

/// Benchmarks by how much the task depends on the text: needles among pictures and single words to be read,
/// against questions about the whole picture.
const std::vector<std::string> kNeedle = {kHaystack, "textvqa"}, kCommon = {"pope", "gqa"};

eval::Interval guided_difference(const eval::BenchmarkResult& benchmark, const Pair& pair) {
  return difference(benchmark, eval::config_name(pair.guided, kKeep), eval::config_name(pair.blind, kKeep));
}

/// Haystack by the number of pictures, which its category is; for each a comparison of its own.
std::map<std::string, eval::Comparison> by_pictures(const Lab& lab, const record::Run& run) {
  std::set<std::string> categories;
  for (const record::ResultRow& row : run.rows) {
    if (row.benchmark == kHaystack) categories.insert(row.category);
  }
  std::map<std::string, eval::Comparison> out;
  for (const std::string& category : categories) {
    const auto wants = [&](const record::ResultRow& row) {
      return row.benchmark == kHaystack && row.category == category;
    };
    out.emplace(category, lab.compare(part_of(run, wants)));
  }
  return out;
}

std::string pictures_table(const std::map<std::string, eval::Comparison>& parts) {
  Table table{{"method", "budget"}, {}};
  std::map<std::string, std::vector<std::string>> rows;
  std::vector<std::string> order;
  for (const auto& [category, comparison] : parts) {
    const eval::BenchmarkResult& b = comparison.benchmarks.front();
    table.columns.push_back(
        fmt::format("{} picture{} ({})", category, category == "1" ? "" : "s", b.n_questions));
    for (const eval::ConfigurationResult& c : b.configurations) {
      if (rows[c.config].empty()) {
        rows[c.config] = {eval::method_of(c.config), eval::budget_of(c.config)};
        order.push_back(c.config);
      }
      rows[c.config].push_back(text_of(c.value));
    }
  }
  for (const std::string& name : order) table.rows.push_back(rows[name]);
  return to_string(table, TableFormat::Markdown);
}

std::string pair_text(const eval::Comparison& comparison, const Pair& pair,
                      const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names_there(comparison, names)) {
    const eval::Interval d = guided_difference(benchmark_of(comparison, name), pair);
    out += fmt::format("{}{} {} ({})", out.empty() ? "" : ", ", name, signed_text_of(d), eval::verdict(d));
  }
  return out;
}

/// Holds when guidance helps FastV somewhere it is needed and nowhere else; refuted when it helps elsewhere
/// too.
std::string claim_of(const eval::Comparison& comparison) {
  const auto n_higher = [&](const std::vector<std::string>& names) {
    const std::vector<std::string> there = names_there(comparison, names);
    return std::count_if(there.begin(), there.end(), [&](const std::string& name) {
      return eval::verdict(guided_difference(benchmark_of(comparison, name), kPairs.front())) == "higher";
    });
  };
  return claim_text(n_higher(kNeedle) > 0 && n_higher(kCommon) == 0, n_higher(kCommon) > 0);
}

}  // namespace

Section language(const Lab& lab) {
  Ask ask{{}, {"none", "random", "fastv", "fastv_vis", "sparsevlm", "fastervlm"}, {kKeep}, 120};
  ask.benchmarks = kNeedle;
  ask.benchmarks.insert(ask.benchmarks.end(), kCommon.begin(), kCommon.end());
  const record::Run run = lab.run("language/run", ask);
  const eval::Comparison comparison = lab.compare(run);
  Section section;
  section.answer = claim_of(comparison);
  for (const Pair& pair : kPairs) {
    section.answer += fmt::format(
        "{} against {} without the question, points: where the task depends on the text {}; where it does "
        "not {}. ",
        pair.guided, pair.blind, pair_text(comparison, pair, kNeedle), pair_text(comparison, pair, kCommon));
  }
  section.body = fmt::format("Budget {}.\n\n{}\n", kKeep, against_table(comparison, "fastv"));
  const auto parts = by_pictures(lab, run);
  if (!parts.empty())
    section.body += fmt::format("Haystack by the number of pictures (questions in parentheses):\n\n{}\n",
                                pictures_table(parts));
  section.body +=
      "fastervlm is no sparsevlm without the question but the paper's vision-only method: the pair differs "
      "in more than the guidance.\n";
  return section;
}

}  // namespace winnow::study
