#include "winnow/cli/comparison_text.h"

#include <fmt/ranges.h>

#include <cstddef>
#include <utility>

namespace winnow::cli {
namespace {

using eval::ConfigurationResult;
using eval::Interval;

std::string with_ends(const Interval& i, double scale = 1.0) {
  return fmt::format("{:.1f} [{:.1f}, {:.1f}]", scale * i.value, scale * i.low, scale * i.high);
}

std::string signed_ends(const Interval& i) {
  return fmt::format("{:+.1f} [{:+.1f}, {:+.1f}]", i.value, i.low, i.high);
}

std::string p_text(const std::optional<double>& p) {
  if (!p) return "-";
  return *p < 0.0001 ? std::string("<0.0001") : fmt::format("{:.4f}", *p);
}

std::string words_of(const eval::Comparison& comparison, const ConfigurationResult& c) {
  return c.config == comparison.baseline ? "baseline" : eval::verdict(c.difference, c.mcnemar_p);
}

/// For people: intervals in one cell.
Table people_table(const eval::Comparison& comparison) {
  Table table{{"benchmark", "configuration", "tokens", "value [95 %]"}, {}};
  if (!comparison.baseline.empty()) {
    for (const char* name : {"% of baseline", "difference [95 %]", "better/worse", "McNemar p", "in words"})
      table.columns.emplace_back(name);
  }
  for (const eval::BenchmarkResult& b : comparison.benchmarks) {
    for (const ConfigurationResult& c : b.configurations) {
      std::vector<std::string> row = {fmt::format("{} {}", b.name, b.metric), c.config,
                                      fmt::format("{:.4g}", c.n_visual_average), with_ends(c.value)};
      if (!comparison.baseline.empty()) {
        const bool is_baseline = c.config == comparison.baseline;
        row.push_back(c.relative ? fmt::format("{:.1f}", 100.0 * c.relative->value) : "-");
        row.push_back(is_baseline ? "" : signed_ends(c.difference));
        row.push_back(is_baseline ? "" : fmt::format("{}/{}", c.n_better, c.n_worse));
        row.push_back(is_baseline ? "" : p_text(c.mcnemar_p));
        row.push_back(words_of(comparison, c));
      }
      table.rows.push_back(std::move(row));
    }
  }
  return table;
}

Table averages_table(const eval::Comparison& comparison) {
  Table table{{"average of", "configuration", "% of baseline [95 %]", "in words"}, {}};
  const std::size_t n = comparison.benchmarks.size() - comparison.not_in_average.size();
  for (std::size_t i = 0; i < comparison.averages.size(); ++i) {
    const eval::Average& average = comparison.averages[i];
    table.rows.push_back(
        {fmt::format("{} benchmark{}", n, n == 1 ? "" : "s"), average.config,
         with_ends(average.relative, 100.0),
         average.config == comparison.baseline ? "baseline" : eval::average_verdict(comparison, i)});
  }
  return table;
}

std::string number(double value) { return fmt::format("{:.6g}", value); }

void append(std::vector<std::string>& row, const std::optional<Interval>& interval) {
  for (double Interval::*part : {&Interval::value, &Interval::low, &Interval::high})
    row.push_back(interval ? number((*interval).*part) : "");
}

/// For programs: one number in each cell.
Table flat_table(const eval::Comparison& comparison) {
  Table table{{"benchmark",
               "configuration",
               "convention",
               "metric",
               "max",
               "questions",
               "groups",
               "failed",
               "value",
               "value_low",
               "value_high",
               "difference",
               "difference_low",
               "difference_high",
               "relative",
               "relative_low",
               "relative_high",
               "better",
               "worse",
               "equal",
               "mcnemar_p",
               "visual_tokens_before",
               "visual_tokens_after",
               "visual_tokens_layer_average",
               "first_token_ms",
               "in_words"},
              {}};
  const bool compared = !comparison.baseline.empty();
  for (const eval::BenchmarkResult& b : comparison.benchmarks) {
    for (const ConfigurationResult& c : b.configurations) {
      std::vector<std::string> row = {b.name,
                                      c.config,
                                      comparison.convention,
                                      b.metric,
                                      number(b.max),
                                      std::to_string(b.n_questions),
                                      std::to_string(b.n_groups),
                                      std::to_string(c.n_failed)};
      append(row, c.value);
      append(row, compared ? std::optional(c.difference) : std::nullopt);
      append(row, c.relative);
      for (const int64_t n : {c.n_better, c.n_worse, c.n_equal})
        row.push_back(compared ? std::to_string(n) : "");
      row.push_back(c.mcnemar_p ? number(*c.mcnemar_p) : "");
      for (const double n : {c.n_visual_before, c.n_visual_after, c.n_visual_average, c.first_token_ms})
        row.push_back(number(n));
      row.push_back(compared ? words_of(comparison, c) : "");
      table.rows.push_back(std::move(row));
    }
  }
  for (const eval::Average& average : comparison.averages) {
    std::vector<std::string> row(table.columns.size());
    row[0] = "average";
    row[1] = average.config;
    row[2] = comparison.convention;
    std::vector<std::string> numbers;
    append(numbers, average.relative);
    for (std::size_t i = 0; i < numbers.size(); ++i) row[14 + i] = numbers[i];
    table.rows.push_back(std::move(row));
  }
  return table;
}

std::string notes_of(const eval::Comparison& comparison) {
  std::string out;
  for (const eval::BenchmarkResult& b : comparison.benchmarks) {
    for (const ConfigurationResult& c : b.configurations) {
      if (c.n_failed > 0)
        out += fmt::format("{}, {}: {} of {} questions failed and count as wrong\n", b.name, c.config,
                           c.n_failed, b.n_questions);
    }
  }
  if (!comparison.not_in_average.empty())
    out += fmt::format("not in the average, because the baseline may be 0: {}\n",
                       fmt::join(comparison.not_in_average, ", "));
  return out;
}

}  // namespace

std::string comparison_text(const eval::Comparison& comparison, TableFormat format) {
  if (format == TableFormat::Csv) return to_string(flat_table(comparison), format);
  std::string out = fmt::format("Convention {}. tokens: visual tokens, mean over the decoder's layers.\n\n",
                                comparison.convention);
  out += to_string(people_table(comparison), format);
  if (!comparison.averages.empty()) out += fmt::format("\n{}", to_string(averages_table(comparison), format));
  const std::string notes = notes_of(comparison);
  return notes.empty() ? out : fmt::format("{}\n{}", out, notes);
}

std::string equal_time_text(const eval::EqualTimes& times, const std::string& benchmark,
                            const std::string& reference, TableFormat format) {
  Table table{{"benchmark", "configuration", "first token ms", "value [95 %]",
               fmt::format("{} in that time [95 %]", reference), "difference [95 %]", "in words"},
              {}};
  if (format == TableFormat::Csv)
    table.columns = {"benchmark",      "configuration",   "first_token_ms", "value",          "value_low",
                     "value_high",     "reference",       "reference_low",  "reference_high", "difference",
                     "difference_low", "difference_high", "in_words"};
  for (const eval::EqualTime& point : times.points) {
    std::vector<std::string> row = {benchmark, point.config};
    if (format == TableFormat::Csv) {
      row.push_back(number(point.ms));
      for (const Interval& interval : {point.value, point.reference, point.difference}) append(row, interval);
    } else {
      row.push_back(fmt::format("{:.2f}", point.ms));
      row.push_back(with_ends(point.value));
      row.push_back(with_ends(point.reference));
      row.push_back(signed_ends(point.difference));
    }
    row.push_back(eval::verdict(point.difference));
    table.rows.push_back(std::move(row));
  }
  std::string out = to_string(table, format);
  if (format != TableFormat::Csv && !times.outside.empty())
    out += fmt::format("\nfaster or slower than all of {}: {}\n", reference, fmt::join(times.outside, "; "));
  return out;
}

}  // namespace winnow::cli
