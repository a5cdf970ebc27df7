// winnow compare, winnow merge: what can be done with finished runs without a model.

#include <fmt/format.h>

#include <cstdio>

#include "winnow/base/error.h"
#include "winnow/cli/arguments.h"
#include "winnow/cli/command.h"
#include "winnow/cli/comparison_text.h"
#include "winnow/eval/comparison.h"
#include "winnow/eval/equal_time.h"
#include "winnow/record/run_folder.h"
#include "winnow/report/bench_file.h"

namespace winnow::cli {
namespace {

constexpr const char* kWhere = "cli.compare";

struct CompareArguments {
  std::vector<std::string> runs;
  eval::CompareOptions options;
  std::string format = "text";
  std::string reference;
  std::string latency;
};

struct MergeArguments {
  std::vector<std::string> runs;
  std::string out;
};

std::vector<record::Run> read_runs(const std::vector<std::string>& folders) {
  std::vector<record::Run> runs;
  for (const std::string& folder : folders) runs.push_back(record::read_run(folder));
  return runs;
}

/// Medians to the first token from the file that winnow bench --json wrote.
std::vector<eval::Timing> measured(const std::string& path) {
  std::vector<eval::Timing> out;
  for (const report::BenchConfiguration& c : report::read_bench(path).configurations)
    out.push_back({c.name, c.first_token_ms.median});
  return out;
}

/// Of the run's own rows, whose tower also made the signals of all other configurations.
std::vector<eval::Timing> own_timings(const eval::BenchmarkResult& benchmark) {
  std::vector<eval::Timing> out;
  for (const auto& c : benchmark.configurations) out.push_back({c.config, c.first_token_ms});
  return out;
}

int compare(const CompareArguments& args) {
  const TableFormat format = parse_table_format(args.format);
  WINNOW_CHECK(args.latency.empty() || !args.reference.empty(), InvalidArgument, kWhere,
               "--latency is for --equal-time METHOD, got none");
  const auto timings = args.latency.empty() ? std::vector<eval::Timing>() : measured(args.latency);
  const eval::Comparison comparison = eval::compare(read_runs(args.runs), args.options);
  fmt::print("{}", comparison_text(comparison, format));
  if (args.reference.empty()) return 0;
  if (args.latency.empty())
    fmt::print(stderr,
               "winnow: note: times are those of the run's rows; 'winnow bench --json' measures cleanly\n");
  for (const eval::BenchmarkResult& b : comparison.benchmarks) {
    const auto times = eval::equal_times(b, args.latency.empty() ? own_timings(b) : timings, args.reference,
                                         args.options.baseline);
    fmt::print("\n{}", equal_time_text(times, b.name, args.reference, format));
  }
  return 0;
}

int merge(const MergeArguments& args) {
  const int64_t n_rows = record::merge_shards(args.runs, args.out);
  fmt::print("{}: {} rows of {} shards\n", args.out, n_rows, args.runs.size());
  return 0;
}

}  // namespace

void add_compare(CLI::App& app, Action& action) {
  auto args = std::make_shared<CompareArguments>();
  CLI::App& command =
      *app.add_subcommand("compare", "Configurations of finished runs side by side, with 95 % intervals");
  command.add_option("RUN", args->runs, "Folders of 'winnow eval', each with other benchmarks")->required();
  command.add_option("--baseline", args->options.baseline, "Configuration that the others are compared with")
      ->capture_default_str();
  command.add_option("--equal-time", args->reference,
                     "Also against this method's curve of accuracy over time, such as random");
  command.add_option("--latency", args->latency,
                     "Times for it: a file of 'winnow bench --json' with the same configurations");
  command.add_option("--format", args->format, "text, markdown or csv")->capture_default_str();
  command.add_option("--resamples", args->options.bootstrap.n_resamples, "Of the paired bootstrap")
      ->check(CLI::Range(100, 1'000'000))
      ->capture_default_str();
  command.add_option("--seed", args->options.bootstrap.seed, "Of the paired bootstrap")
      ->check(not_negative())
      ->capture_default_str();
  command.callback([args, &action] { action = [args] { return compare(*args); }; });
}

void add_merge(CLI::App& app, Action& action) {
  auto args = std::make_shared<MergeArguments>();
  CLI::App& command = *app.add_subcommand("merge", "The shards of 'winnow eval --shard' as one run");
  command.add_option("RUN", args->runs, "Folder of every shard")->required();
  command.add_option("-o,--out", args->out, "Folder of the whole run")->required();
  command.callback([args, &action] { action = [args] { return merge(*args); }; });
}

}  // namespace winnow::cli
