// Does the question help to choose tokens? (section 5, Table 5)

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "winnow/base/table.h"
#include "winnow/study/study.h"

namespace winnow::study {
namespace {

const std::string kKeep = "22.2%";  // the paper's 128 of 576

/// Methods that read the question, and what each does without it.
struct Pair {
  std::string guided, blind;
};
const std::array<Pair, 2> kPairs = {{{"fastv", "fastv_vis"}, {"sparsevlm", "fastervlm"}}};

/// Benchmarks by how much the task depends on the text: needles among pictures and single words to be read,
/// against questions about the whole picture.
const std::vector<std::string> kNeedle = {"haystack", "textvqa"}, kCommon = {"pope", "gqa"};

/// Haystack by the number of pictures, which its category is; for each a comparison of its own.
std::map<std::string, eval::Comparison> by_pictures(const record::Run& run,
                                                    const eval::CompareOptions& options) {
  std::map<std::string, record::Run> parts;
  for (const record::ResultRow& row : run.rows) {
    if (row.benchmark != "haystack") continue;
    record::Run& part = parts[row.category];
    part.header = run.header;
    part.rows.push_back(row);
  }
  std::map<std::string, eval::Comparison> out;
  for (auto& [category, part] : parts) {
    std::map<int64_t, int64_t> number;  // questions are counted afresh
    for (record::ResultRow& row : part.rows)
      row.index = number.try_emplace(row.index, std::ssize(number)).first->second;
    part.header.benchmarks = {{"haystack", "", std::ssize(number), ""}};
    out.emplace(category, eval::compare({&part, 1}, options));
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
        rows[c.config] = {method_of(c.config), keep_of(c.config)};
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
  for (const std::string& name : names) {
    bool there = false;
    for (const eval::BenchmarkResult& b : comparison.benchmarks) there = there || b.name == name;
    if (!there) continue;
    const eval::Interval d =
        difference(benchmark_of(comparison, name), config(pair.guided, kKeep), config(pair.blind, kKeep));
    out += fmt::format("{}{} {} ({})", out.empty() ? "" : ", ", name, signed_text_of(d), word_of(d));
  }
  return out;
}

/// Holds when guidance helps FastV somewhere it is needed and nowhere else; refuted when it helps elsewhere
/// too.
std::string claim_of(const eval::Comparison& comparison) {
  const auto n_higher = [&](const std::vector<std::string>& names) {
    int n = 0;
    for (const eval::BenchmarkResult& b : comparison.benchmarks) {
      const bool asked = std::find(names.begin(), names.end(), b.name) != names.end();
      const Pair& pair = kPairs.front();
      n += asked && word_of(difference(b, config(pair.guided, kKeep), config(pair.blind, kKeep))) == "higher"
               ? 1
               : 0;
    }
    return n;
  };
  return claim_text(n_higher(kNeedle) > 0 && n_higher(kCommon) == 0, n_higher(kCommon) > 0);
}

}  // namespace

Section language(const Lab& lab) {
  Ask ask{{}, {"none", "random", "fastv", "fastv_vis", "sparsevlm", "fastervlm"}, {kKeep}, 120};
  ask.benchmarks = kNeedle;
  ask.benchmarks.insert(ask.benchmarks.end(), kCommon.begin(), kCommon.end());
  const record::Run run = lab.run("language/run", ask);
  eval::CompareOptions options;
  options.bootstrap = lab.options().bootstrap;
  const eval::Comparison comparison = eval::compare({&run, 1}, options);
  Section section;
  section.answer = claim_of(comparison);
  for (const Pair& pair : kPairs) {
    section.answer += fmt::format(
        "{} against {} without the question, points: where the task depends on the text {}; where it does "
        "not {}. ",
        pair.guided, pair.blind, pair_text(comparison, pair, kNeedle), pair_text(comparison, pair, kCommon));
  }
  section.body = fmt::format("Budget {}.\n\n{}\n", kKeep, against_table(comparison, "fastv"));
  const auto parts = by_pictures(run, options);
  if (!parts.empty())
    section.body += fmt::format("Haystack by the number of pictures (questions in parentheses):\n\n{}\n",
                                pictures_table(parts));
  section.body +=
      "fastervlm is no sparsevlm without the question but the paper's vision-only method: the pair differs "
      "in more than the guidance.\n";
  return section;
}

}  // namespace winnow::study
