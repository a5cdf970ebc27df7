#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <utility>

#include "winnow/base/error.h"
#include "winnow/record/run_folder.h"

namespace winnow::record {
namespace {

constexpr const char* kWhere = "record.merge";

void check_shards(const std::vector<Run>& shards) {
  WINNOW_CHECK(!shards.empty(), InvalidArgument, kWhere, "no runs, expected at least one");
  const RunHeader& first = shards.front().header;
  std::vector<int32_t> seen(static_cast<std::size_t>(first.shard.count), 0);
  for (const Run& run : shards) {
    const Shard& shard = run.header.shard;
    check_header(run.header, "shard");
    const auto differs = difference(run.header, first, Sameness::Merge);
    WINNOW_CHECK(!differs, InvalidArgument, kWhere, "shard {}/{} is of another run than the first: {}",
                 shard.number, shard.count, differs.value_or(""));
    WINNOW_CHECK(shard.count == first.shard.count && shard.number <= shard.count, InvalidArgument, kWhere,
                 "shard, got {}/{}, expected one of {}", shard.number, shard.count, first.shard.count);
    const bool is_new = ++seen[static_cast<std::size_t>(shard.number) - 1] == 1;
    WINNOW_CHECK(is_new, InvalidArgument, kWhere, "shard {}/{} is there twice", shard.number, shard.count);
  }
  std::vector<std::size_t> missing;
  for (std::size_t i = 0; i < seen.size(); ++i) {
    if (seen[i] == 0) missing.push_back(i + 1);
  }
  WINNOW_CHECK(missing.empty(), InvalidArgument, kWhere, "shards of {}, got {}, missing {}", seen.size(),
               shards.size(), fmt::join(missing, ", "));
}

template <class Part>
std::map<std::string, std::size_t> order_of(const std::vector<Part>& parts) {
  std::map<std::string, std::size_t> order;
  for (std::size_t i = 0; i < parts.size(); ++i) order.emplace(parts[i].name, i);
  return order;
}

void sort_rows(Run& run) {
  const auto benchmarks = order_of(run.header.benchmarks);
  const auto configurations = order_of(run.header.configurations);
  const auto key = [&](const ResultRow& row) {
    return std::tuple(benchmarks.at(row.benchmark), row.index, configurations.at(row.config));
  };
  std::sort(run.rows.begin(), run.rows.end(),
            [&](const ResultRow& a, const ResultRow& b) { return key(a) < key(b); });
  for (std::size_t i = 1; i < run.rows.size(); ++i) {
    const ResultRow& row = run.rows[i];
    WINNOW_CHECK(key_of(row) != key_of(run.rows[i - 1]), InvalidArgument, kWhere,
                 "question '{}' of {} with '{}' is in two shards", row.question_id, row.benchmark,
                 row.config);
  }
}

}  // namespace

void check_complete(const Run& run) {
  std::set<RowKey> there;
  for (const ResultRow& row : run.rows) there.insert(key_of(row));
  int64_t n_missing = 0;
  std::string first;
  for (const BenchmarkPart& b : run.header.benchmarks) {
    for (int64_t i = 0; i < b.n_questions; ++i) {
      for (const ConfigurationPart& c : run.header.configurations) {
        if (there.contains({b.name, i, c.name})) continue;
        if (++n_missing == 1) first = fmt::format("question {} of {} with '{}'", i, b.name, c.name);
      }
    }
  }
  WINNOW_CHECK(n_missing == 0, InvalidArgument, kWhere,
               "{} of {} rows are missing, the first is {}: finish the run first", n_missing,
               n_missing + std::ssize(run.rows), first);
}

Run merge_shards(std::vector<Run> shards) {
  check_shards(shards);
  std::ranges::sort(shards, {}, [](const Run& run) { return run.header.shard.number; });
  Run out{shards.front().header, {}};
  out.header.shard = {};
  std::set<std::string> machines;
  for (Run& run : shards) {
    machines.insert(run.header.hardware);
    out.header.started = std::min(out.header.started, run.header.started);
    for (ResultRow& row : run.rows) {
      check_belongs(row, run.header, fmt::format("shard {}", run.header.shard.number));
      out.rows.push_back(std::move(row));
    }
  }
  out.header.hardware = fmt::format("{}", fmt::join(machines, "; "));
  sort_rows(out);
  check_complete(out);
  return out;
}

int64_t merge_shards(const std::vector<std::string>& folders, const std::string& out) {
  std::vector<Run> shards;
  for (const std::string& folder : folders) shards.push_back(read_run(folder));
  const Run run = merge_shards(std::move(shards));
  RunWriter writer(out, run.header);
  for (const ResultRow& row : run.rows) {
    if (!writer.has(key_of(row))) writer.append(row);
  }
  return writer.n_rows();
}

}  // namespace winnow::record
