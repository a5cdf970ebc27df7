#include "winnow/eval/comparison.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <utility>

#include "winnow/base/error.h"
#include "winnow/base/quantile.h"
#include "winnow/base/rng.h"

namespace winnow::eval {
namespace {

constexpr const char* kWhere = "eval.compare";
constexpr double kSignificance = 0.05;

using Rows = std::vector<const record::ResultRow*>;

std::vector<std::string> names_of(const record::RunHeader& header) {
  std::vector<std::string> names;
  for (const auto& c : header.configurations) names.push_back(c.name);
  return names;
}

void check_runs(std::span<const record::Run> runs) {
  WINNOW_CHECK(!runs.empty(), InvalidArgument, kWhere, "no runs, expected at least one");
  const record::RunHeader& first = runs.front().header;
  std::set<std::string> benchmarks;
  for (const record::Run& run : runs) {
    const record::RunHeader& h = run.header;
    WINNOW_CHECK(h.convention == first.convention, InvalidArgument, kWhere,
                 "runs of different conventions, got {} and {}", first.convention, h.convention);
    WINNOW_CHECK(
        h.model.text_sha256 == first.model.text_sha256 && h.model.mmproj_sha256 == first.model.mmproj_sha256,
        InvalidArgument, kWhere, "runs of different models, got {} and {}", first.model.text, h.model.text);
    WINNOW_CHECK(names_of(h) == names_of(first), InvalidArgument, kWhere,
                 "runs of different configurations, got {} and {}", fmt::join(names_of(first), "; "),
                 fmt::join(names_of(h), "; "));
    for (const auto& b : h.benchmarks) {
      WINNOW_CHECK(benchmarks.insert(b.name).second, InvalidArgument, kWhere, "{} is in two of the runs",
                   b.name);
    }
    record::check_complete(run);
  }
}

/// [configurations] rows of one benchmark by question.
std::vector<Rows> rows_of(const record::Run& run, const std::string& benchmark) {
  const auto names = names_of(run.header);
  std::vector<Rows> out(names.size());
  for (const record::ResultRow& row : run.rows) {
    if (row.benchmark != benchmark) continue;
    const auto at = std::find(names.begin(), names.end(), row.config) - names.begin();
    out[static_cast<std::size_t>(at)].push_back(&row);
  }
  for (Rows& rows : out)
    std::sort(rows.begin(), rows.end(), [](const auto* a, const auto* b) { return a->index < b->index; });
  return out;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return quantile_of_sorted(values, 0.5);
}

void take_costs(const Rows& rows, ConfigurationResult& out) {
  const auto n = static_cast<double>(rows.size());
  std::vector<double> ms;
  for (const record::ResultRow* row : rows) {
    out.n_failed += row->failed() ? 1 : 0;
    out.n_visual_before += row->n_visual_before / n;
    out.n_visual_after += row->n_visual_after / n;
    out.n_visual_average += row->n_visual_average / n;
    if (!row->failed()) ms.push_back(row->stage_ms.first_token());
  }
  if (!ms.empty()) out.first_token_ms = median(std::move(ms));
}

bool is_binary(const std::vector<ScoredRow>& rows) {
  return std::all_of(rows.begin(), rows.end(),
                     [](const ScoredRow& row) { return row.score.value == 0.0 || row.score.value == 1.0; });
}

void count_questions(const std::vector<ScoredRow>& rows, const std::vector<ScoredRow>& baseline,
                     ConfigurationResult& out) {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const double difference = rows[i].score.value - baseline[i].score.value;
    out.n_better += difference > 0.0 ? 1 : 0;
    out.n_worse += difference < 0.0 ? 1 : 0;
    out.n_equal += difference == 0.0 ? 1 : 0;
  }
  if (is_binary(rows) && is_binary(baseline)) out.mcnemar_p = mcnemar_exact(out.n_better, out.n_worse);
}

/// Draw by draw; nothing when a draw of the baseline is not above 0.
std::optional<Interval> relative_of(double value, const std::vector<double>& draws, double base,
                                    const std::vector<double>& base_draws) {
  if (base <= 0.0) return std::nullopt;
  std::vector<double> ratios;
  for (std::size_t i = 0; i < draws.size(); ++i) {
    if (base_draws[i] <= 0.0) return std::nullopt;
    ratios.push_back(draws[i] / base_draws[i]);
  }
  return percentile_interval(value / base, std::move(ratios));
}

Interval value_interval(const Headline& headline, const std::vector<ScoredRow>& rows, int64_t n_groups,
                        double value, const std::vector<double>& draws) {
  if (!headline.is_plain_mean || !is_binary(rows) || n_groups != std::ssize(rows))
    return percentile_interval(value, draws);
  int64_t right = 0;
  for (const ScoredRow& row : rows) right += row.score.value == 1.0 ? 1 : 0;
  const Interval share = wilson(right, std::ssize(rows));
  return {100.0 * share.value, 100.0 * share.low, 100.0 * share.high};
}

BenchmarkResult result_of(const record::Run& run, const std::string& name, std::size_t baseline_idx,
                          const BootstrapOptions& options) {
  const Benchmark& benchmark = find_benchmark(name);
  const Convention convention = parse_convention(run.header.convention);
  const std::vector<Rows> rows = rows_of(run, name);
  std::vector<std::vector<ScoredRow>> scored(rows.size());
  for (std::size_t c = 0; c < rows.size(); ++c) {
    for (const record::ResultRow* row : rows[c]) scored[c].push_back(scored_row(*row));
  }
  const Headline headline = benchmark.headline(convention);
  Resamples resamples = resample(headline, scored, options);
  const Metric metric = benchmark.aggregate(scored[0], convention).front();
  BenchmarkResult out{name, metric.name, metric.max, std::ssize(scored[0]), resamples.n_groups, {}};
  for (std::size_t c = 0; c < rows.size(); ++c) {
    ConfigurationResult result;
    result.config = run.header.configurations[c].name;
    take_costs(rows[c], result);
    result.draws = std::move(resamples.draws[c]);
    result.value = value_interval(headline, scored[c], resamples.n_groups, resamples.value[c], result.draws);
    out.configurations.push_back(std::move(result));
  }
  if (baseline_idx >= out.configurations.size()) return out;
  const ConfigurationResult base = out.configurations[baseline_idx];
  for (std::size_t c = 0; c < rows.size(); ++c) {
    ConfigurationResult& result = out.configurations[c];
    count_questions(scored[c], scored[baseline_idx], result);
    result.difference = difference(result, base);
    result.relative = relative_of(result.value.value, result.draws, base.value.value, base.draws);
  }
  return out;
}

void add_averages(Comparison& out, std::size_t baseline_idx) {
  for (const BenchmarkResult& b : out.benchmarks) {
    if (!b.configurations[baseline_idx].relative) out.not_in_average.push_back(b.name);
  }
  for (const ConfigurationResult& c : out.benchmarks.front().configurations) {
    if (const auto average = relative_average(out, c.config))
      out.averages.push_back({c.config, interval_of(*average)});
  }
}

}  // namespace

Comparison compare(std::span<const record::Run> runs, const CompareOptions& options) {
  check_runs(runs);
  const auto names = names_of(runs.front().header);
  std::size_t baseline_idx = names.size();
  if (!options.baseline.empty()) {
    const auto found = std::find(names.begin(), names.end(), options.baseline);
    WINNOW_CHECK(found != names.end(), InvalidArgument, kWhere,
                 "baseline, got '{}', expected one of the configurations {}", options.baseline,
                 fmt::join(names, "; "));
    baseline_idx = static_cast<std::size_t>(found - names.begin());
  }
  Comparison out{runs.front().header.convention, options.baseline, {}, {}, {}};
  for (const record::Run& run : runs) {
    for (const record::BenchmarkPart& part : run.header.benchmarks) {
      BootstrapOptions own = options.bootstrap;  // benchmarks are drawn independently of each other
      own.seed = Rng(options.bootstrap.seed, out.benchmarks.size()).next();
      out.benchmarks.push_back(result_of(run, part.name, baseline_idx, own));
    }
  }
  if (!options.baseline.empty()) add_averages(out, baseline_idx);
  return out;
}

Interval interval_of(const Resampled& number) { return percentile_interval(number.value, number.draws); }

Interval difference(const Resampled& a, const Resampled& b) {
  std::vector<double> draws;
  for (std::size_t i = 0; i < a.draws.size(); ++i) draws.push_back(a.draws[i] - b.draws[i]);
  return percentile_interval(a.value - b.value, std::move(draws));
}

Interval difference(const ConfigurationResult& a, const ConfigurationResult& b) {
  return difference(Resampled{a.value.value, a.draws}, Resampled{b.value.value, b.draws});
}

const ConfigurationResult& result_of(const BenchmarkResult& benchmark, const std::string& config) {
  const auto found = std::find_if(benchmark.configurations.begin(), benchmark.configurations.end(),
                                  [&](const ConfigurationResult& c) { return c.config == config; });
  WINNOW_CHECK(found != benchmark.configurations.end(), InvalidArgument, kWhere,
               "configuration, got '{}', which is not in the run", config);
  return *found;
}

std::optional<Resampled> relative_average(const Comparison& comparison, const std::string& config,
                                          std::span<const std::string> benchmarks) {
  if (comparison.baseline.empty()) return std::nullopt;
  Resampled out;
  double n = 0.0;
  for (const BenchmarkResult& b : comparison.benchmarks) {
    if (!benchmarks.empty() && std::find(benchmarks.begin(), benchmarks.end(), b.name) == benchmarks.end())
      continue;
    const ConfigurationResult &base = result_of(b, comparison.baseline), &one = result_of(b, config);
    if (!base.relative) continue;
    n += 1.0;
    out.value += one.value.value / base.value.value;
    out.draws.resize(one.draws.size(), 0.0);
    for (std::size_t i = 0; i < one.draws.size(); ++i) out.draws[i] += one.draws[i] / base.draws[i];
  }
  if (n == 0.0) return std::nullopt;
  out.value /= n;
  for (double& draw : out.draws) draw /= n;
  return out;
}

std::string verdict(const Interval& difference, const std::optional<double>& mcnemar_p) {
  if (difference.covers(0.0) || mcnemar_p.value_or(0.0) > kSignificance) return "no difference shown";
  return difference.value < 0.0 ? "lower" : "higher";
}

std::string average_verdict(const Comparison& comparison, std::size_t idx) {
  const BenchmarkResult* only = nullptr;
  int64_t n = 0;
  for (const BenchmarkResult& b : comparison.benchmarks) {
    if (!b.configurations[idx].relative) continue;
    only = &b;
    ++n;
  }
  if (n == 1) return verdict(only->configurations[idx].difference, only->configurations[idx].mcnemar_p);
  const Interval& r = comparison.averages[idx].relative;
  return verdict({r.value - 1.0, r.low - 1.0, r.high - 1.0});
}

ScoredRow scored_row(const record::ResultRow& row) {
  Score score;
  score.value = row.failed() ? 0.0 : row.score;
  score.extracted = row.extracted;
  score.valid = row.valid;
  score.detail = row.detail;
  return {row.question_id, row.group, row.category, row.subcategory, row.split, row.answer, std::move(score)};
}

}  // namespace winnow::eval
