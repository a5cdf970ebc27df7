#include "winnow/report/reference.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>
#include <utility>

#include "winnow/eval/config_name.h"
#include "winnow/report/names.h"

namespace winnow::report {
namespace {

using eval::BenchmarkResult;
using eval::ConfigurationResult;
using eval::Interval;

constexpr double kShareTolerance = 0.006;
constexpr const char* kAverage = "average";
constexpr const char* kDagger = "fastv_dagger";  // the paper's FastV with training counted in
constexpr const char* kTrr = "trr";

const std::map<std::string, std::string>& titles() {
  static const std::map<std::string, std::string> list = {{"1", "Methods and baselines"},
                                                          {"4", "Grounding: RefCOCO, RefCOCO+, RefCOCOg"},
                                                          {"5", "Language guidance: Visual Haystacks"},
                                                          {"6", "Importance against redundancy: alpha"},
                                                          {"7", "FLOPs and latency"},
                                                          {"8", "Training-aware compression"}};
  return list;
}

std::string parameter(const record::RunHeader& header, const std::string& name) {
  const auto found = header.parameters.find(name);
  return found == header.parameters.end() ? std::string() : found->second;
}

/// What cells are looked up in.
class Lookup {
 public:
  Lookup(std::span<const record::Run> runs, const eval::Comparison& comparison, const BenchFile* bench)
      : runs_(runs), comparison_(comparison), bench_(bench) {}

  /// The run's configuration like a published row.
  std::optional<std::size_t> config_of(const std::string& method, const std::string& budget) const;
  std::optional<Interval> value(const ReferenceColumn& column, std::size_t config,
                                const std::vector<std::string>& averaged) const;
  /// % of the unpruned score.
  std::optional<Interval> relative(const std::string& benchmark, std::size_t config) const {
    return average(config, {benchmark});
  }
  const std::string& name(std::size_t config) const { return header().configurations[config].name; }

 private:
  const record::RunHeader& header() const { return runs_.front().header; }
  const BenchmarkResult* find(const std::string& benchmark) const;
  bool is_method(std::size_t config, const std::string& method) const;
  std::optional<Interval> average(std::size_t config, const std::vector<std::string>& benchmarks) const;
  std::optional<double> part_of_benchmark(const ReferenceColumn& column, std::size_t config) const;
  std::optional<double> cost(const std::string& metric, std::size_t config) const;

  std::span<const record::Run> runs_;
  const eval::Comparison& comparison_;
  const BenchFile* bench_;
};

const BenchmarkResult* Lookup::find(const std::string& benchmark) const {
  for (const BenchmarkResult& b : comparison_.benchmarks) {
    if (b.name == benchmark) return &b;
  }
  return nullptr;
}

bool Lookup::is_method(std::size_t config, const std::string& method) const {
  const std::string& own = name(config);
  const bool counts_training = parameter(header(), "budget") == kTrr;
  if (method == kDagger) return plain_method_of(own) == "fastv" && counts_training;
  if (counts_training && method != "none") return false;
  const std::size_t colon = method.find(':');
  if (plain_method_of(own) != method.substr(0, colon)) return false;
  if (colon == std::string::npos) return true;
  const auto wanted = alpha_of(method), got = alpha_of(header().configurations[config].method);
  return wanted && got && wanted->alpha == got->alpha;
}

std::optional<std::size_t> Lookup::config_of(const std::string& method, const std::string& budget) const {
  const double wanted = share_of_budget(budget);
  const auto& list = comparison_.benchmarks.front().configurations;
  std::optional<std::size_t> by_average;
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (!is_method(i, method)) continue;
    if (method == "none") return i;
    if (method == kDagger && eval::budget_of(name(i)) == budget) return i;  // a nominal share
    const ConfigurationResult& c = list[i];
    if (c.n_visual_before <= 0.0) continue;
    if (std::abs(c.n_visual_after / c.n_visual_before - wanted) <= kShareTolerance) return i;
    if (std::abs(c.n_visual_average / c.n_visual_before - wanted) <= kShareTolerance) by_average = i;
  }
  return by_average;
}

std::optional<Interval> Lookup::average(std::size_t config,
                                        const std::vector<std::string>& benchmarks) const {
  if (benchmarks.empty()) return std::nullopt;
  const auto average = eval::relative_average(comparison_, name(config), benchmarks);
  return average ? std::optional(eval::scaled(eval::interval_of(*average), 100.0)) : std::nullopt;
}

/// "accuracy/2": one of the benchmark's further metrics.
std::optional<double> Lookup::part_of_benchmark(const ReferenceColumn& column, std::size_t config) const {
  if (find(column.benchmark) == nullptr) return std::nullopt;
  std::vector<eval::ScoredRow> rows;
  for (const record::Run& run : runs_) {
    for (const record::ResultRow& row : run.rows) {
      if (row.benchmark == column.benchmark && row.config == name(config))
        rows.push_back(eval::scored_row(row));
    }
  }
  const auto convention = eval::parse_convention(comparison_.convention);
  for (const eval::Metric& metric : eval::find_benchmark(column.benchmark).aggregate(rows, convention)) {
    if (metric.name == column.metric) return metric.value;
  }
  return std::nullopt;
}

std::optional<double> Lookup::cost(const std::string& metric, std::size_t config) const {
  if (bench_ == nullptr) return std::nullopt;
  const BenchConfiguration& base = bench_->configurations.front();
  for (const BenchConfiguration& c : bench_->configurations) {
    if (c.name != name(config) || !c.own || !base.own) continue;
    if (metric == "speedup") return c.first_token_speedup;
    if (metric == "flops") return 100.0 * c.own->prefill_flops / base.own->prefill_flops;
    if (metric == "kv_cache") return c.own->kv_bytes / 1e6;
  }
  return std::nullopt;
}

Interval without_ends(double value) { return {value, value, value}; }

std::optional<Interval> Lookup::value(const ReferenceColumn& column, std::size_t config,
                                      const std::vector<std::string>& averaged) const {
  if (column.benchmark == kAverage) return average(config, averaged);
  const BenchmarkResult* b = find(column.benchmark);
  if (column.metric == "score") {
    return b != nullptr ? std::optional(b->configurations[config].value) : std::nullopt;
  }
  if (column.metric == "relative") return relative(column.benchmark, config);
  if (column.metric.find('/') != std::string::npos) {
    const auto part = part_of_benchmark(column, config);
    return part ? std::optional(without_ends(*part)) : std::nullopt;
  }
  const auto counted = cost(column.metric, config);
  return counted ? std::optional(without_ends(*counted)) : std::nullopt;
}

ReferenceTable layout_of(const std::string& number, std::span<const PublishedNumber> published) {
  ReferenceTable table;
  table.number = number;
  const auto title = titles().find(number);
  table.title = title == titles().end() ? "" : title->second;
  for (const PublishedNumber& p : published) {
    if (p.table != number) continue;
    table.model = p.model;
    const bool has_column = std::any_of(
        table.columns.begin(), table.columns.end(),
        [&](const ReferenceColumn& c) { return c.benchmark == p.benchmark && c.metric == p.metric; });
    if (!has_column) table.columns.push_back({p.benchmark, p.metric, p.unit});
    const bool has_row = std::any_of(table.rows.begin(), table.rows.end(), [&](const ReferenceRow& r) {
      return r.method == p.method && r.budget == p.budget;
    });
    if (!has_row) table.rows.push_back({p.method, p.budget, "", {}});
  }
  return table;
}

ReferenceCell published_cell(const ReferenceTable& table, const ReferenceRow& row,
                             const ReferenceColumn& column, std::span<const PublishedNumber> published) {
  ReferenceCell cell;
  for (const PublishedNumber& p : published) {
    if (p.table != table.number || p.method != row.method || p.budget != row.budget ||
        p.benchmark != column.benchmark || p.metric != column.metric)
      continue;
    cell.published = p.value;
    cell.tag = p.tag;
    cell.note = p.note;
  }
  return cell;
}

std::optional<double> unpruned(const ReferenceTable& table, const ReferenceColumn& column,
                               std::span<const PublishedNumber> published) {
  return published_cell(table, {"none", table.rows.front().budget, "", {}}, column, published).published;
}

void add_relative(const ReferenceTable& table, const ReferenceColumn& column, std::optional<Interval> run,
                  std::span<const PublishedNumber> published, ReferenceCell& cell) {
  const auto base = unpruned(table, column, published);
  if (base && cell.published) cell.published_relative = 100.0 * *cell.published / *base;
  cell.run_relative = run;
  if (run && cell.published_relative) cell.relative_difference = run->value - *cell.published_relative;
}

/// Returns whether the run has a number for one of the table's pruned rows.
bool fill(ReferenceTable& table, const Lookup& lookup, std::span<const PublishedNumber> published) {
  std::vector<std::string> averaged;
  for (const ReferenceColumn& c : table.columns) {
    if (c.benchmark != kAverage && c.metric == "score") averaged.push_back(c.benchmark);
  }
  bool any = false;
  for (ReferenceRow& row : table.rows) {
    const auto config = lookup.config_of(row.method, row.budget);
    if (config) row.config = lookup.name(*config);
    for (const ReferenceColumn& column : table.columns) {
      ReferenceCell cell = published_cell(table, row, column, published);
      if (config) cell.run = lookup.value(column, *config, averaged);
      if (cell.run && cell.published) cell.difference = cell.run->value - *cell.published;
      if (column.metric == "score" && row.method != "none")
        add_relative(table, column, config ? lookup.relative(column.benchmark, *config) : std::nullopt,
                     published, cell);
      any = any || (cell.run && row.method != "none");
      row.cells.push_back(std::move(cell));
    }
  }
  return any;
}

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

}  // namespace

bool names_model(const std::string& file, const std::string& model) {
  const std::string name = lower(file);
  std::string rest = lower(model) + "-";
  for (std::size_t dash = rest.find('-'); dash != std::string::npos; dash = rest.find('-')) {
    if (name.find(rest.substr(0, dash)) == std::string::npos) return false;
    rest.erase(0, dash + 1);
  }
  return true;
}

std::vector<ReferenceTable> reference_tables(std::span<const PublishedNumber> published,
                                             std::span<const record::Run> runs,
                                             const eval::Comparison& comparison, const BenchFile* bench) {
  std::vector<std::string> numbers;
  for (const PublishedNumber& p : published) {
    if (std::find(numbers.begin(), numbers.end(), p.table) == numbers.end()) numbers.push_back(p.table);
  }
  const Lookup lookup(runs, comparison, bench);
  std::vector<ReferenceTable> out;
  for (const std::string& number : numbers) {
    ReferenceTable table = layout_of(number, published);
    table.is_same_model = names_model(runs.front().header.model.text, table.model);
    if (fill(table, lookup, published)) out.push_back(std::move(table));
  }
  return out;
}

}  // namespace winnow::report
