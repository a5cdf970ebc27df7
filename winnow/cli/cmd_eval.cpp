// winnow eval: benchmarks x configurations on one model, as a run that can be killed and gone on with.

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <filesystem>

#include "winnow/base/error.h"
#include "winnow/base/progress.h"
#include "winnow/cli/arguments.h"
#include "winnow/cli/command.h"
#include "winnow/cli/commit.h"
#include "winnow/cli/comparison_text.h"
#include "winnow/cli/ranks.h"
#include "winnow/eval/comparison.h"
#include "winnow/record/run_folder.h"
#include "winnow/sweep/evaluation.h"

namespace winnow::cli {
namespace fs = std::filesystem;
namespace {

constexpr const char* kWhere = "cli.eval";

struct EvalArguments {
  ModelArguments model;
  sweep::Evaluation what;  ///< without methods and budgets, and what is a word in the following
  std::string methods = "none", keeps = "25%", convention = "llava", fit = "pad", shard = "1/1";
  std::string out;
};

record::Shard parse_shard(const std::string& text) {
  record::Shard shard{0, 0};
  const char *begin = text.data(), *end = begin + text.size();
  const auto number = std::from_chars(begin, end, shard.number);
  const bool slash = number.ec == std::errc() && number.ptr != end && *number.ptr == '/';
  const auto count = slash ? std::from_chars(number.ptr + 1, end, shard.count) : number;
  WINNOW_CHECK(slash && count.ec == std::errc() && count.ptr == end && shard.number >= 1 &&
                   shard.number <= shard.count && shard.count <= 1'000'000,
               InvalidArgument, kWhere, "--shard, got '{}', expected I/N with I from 1 to N, such as 1/4",
               text);
  return shard;
}

/// The shard of this process: by hand, or one for each of those that mpirun started.
record::Shard shard_of(const EvalArguments& args, const Ranks& ranks) {
  const record::Shard shard = parse_shard(args.shard);
  if (ranks.size() == 1) return shard;
  WINNOW_CHECK(shard.count == 1, InvalidArgument, kWhere,
               "--shard, got {} under mpirun with {} processes, expected one of the two", args.shard,
               ranks.size());
  return {ranks.rank() + 1, ranks.size()};
}

/// Where the rows of a shard go under mpirun.
std::string shard_folder(const std::string& out, int32_t number, int32_t count) {
  return (fs::path(out) / "shards" / fmt::format("{}-of-{}", number, count)).string();
}

sweep::SweepOptions sweep_options(const EvalArguments& args, const Ranks& ranks) {
  sweep::SweepOptions options = args.what.options;
  options.convention = eval::parse_convention(args.convention);
  options.session = args.model.session_options();
  if (options.session.n_threads == 0) options.session.n_threads = default_threads(ranks.on_host());
  options.fit = engine::parse_image_fit(args.fit);
  options.shard = shard_of(args, ranks);
  return options;
}

sweep::Evaluation evaluation_of(const EvalArguments& args, const Ranks& ranks) {
  sweep::Evaluation e = args.what;
  e.scenes_folder = (fs::path(args.out) / sweep::kScenes).string();
  e.request.methods = sweep::split_methods(args.methods);
  e.request.keeps = sweep::split_keeps(args.keeps);
  sweep::check(e.request);
  sweep::chosen_benchmarks(e);
  e.options = sweep_options(args, ranks);
  check_data(e.data);
  return e;
}

void print_result(const EvalArguments& args) {
  const record::Run run = record::read_run(args.out);
  if (run.header.shard.count > 1) {
    fmt::print("{}: shard {}/{} is complete, {} rows; 'winnow merge' puts the shards together\n", args.out,
               run.header.shard.number, run.header.shard.count, run.rows.size());
    return;
  }
  eval::CompareOptions options;
  const auto& list = run.header.configurations;
  const bool has_baseline =
      std::any_of(list.begin(), list.end(), [&](const auto& c) { return c.name == options.baseline; });
  if (!has_baseline) options.baseline.clear();
  fmt::print("{}", comparison_text(eval::compare({&run, 1}, options), TableFormat::Text));
}

void merge_ranks(const EvalArguments& args, const Ranks& ranks) {
  std::vector<std::string> folders;
  for (int32_t i = 1; i <= ranks.size(); ++i) folders.push_back(shard_folder(args.out, i, ranks.size()));
  record::merge_shards(folders, args.out);
}

void evaluate_with(const EvalArguments& args, const Ranks& ranks) {
  const sweep::Evaluation evaluation = evaluation_of(args, ranks);
  const engine::ModelOptions files = args.model.model_options();
  make_out_folder(args.out);
  check_writable((fs::path(args.out) / "run.json").string());
  if (ranks.rank() > 0) ranks.wait_for_all();  // the first process writes procedural questions
  const std::vector<sweep::Questions> questions = sweep::load_questions(evaluation);
  if (ranks.rank() == 0) ranks.wait_for_all();
  const bool alone = ranks.size() == 1;
  const record::Shard& shard = evaluation.options.shard;
  const auto model = engine::Model::load(files);
  sweep::answer(model, evaluation, questions, {WINNOW_VERSION, source_commit(), backend_text(*model)},
                alone ? args.out : shard_folder(args.out, shard.number, shard.count));
  ranks.wait_for_all();
  if (ranks.rank() > 0) return;
  if (!alone) merge_ranks(args, ranks);
  print_result(args);
}

int evaluate(const EvalArguments& args) {
  const Ranks ranks;
  if (ranks.rank() > 0) set_progress_sink({});  // one process tells for all
  if (ranks.size() == 1) {
    evaluate_with(args, ranks);
    return 0;
  }
  try {
    evaluate_with(args, ranks);
  } catch (const std::exception& error) {  // the others would wait for ever
    fmt::print(stderr, "winnow: error: process {} of {}: {}\n", ranks.rank() + 1, ranks.size(), error.what());
    ranks.abort(2);
  }
  return 0;
}

void add_what(CLI::App& command, EvalArguments& args) {
  command
      .add_option("--bench", args.what.benchmarks, "Benchmarks, with commas between; all with --data scenes")
      ->delimiter(',')
      ->required()
      ->allow_extra_args(false);
  command
      .add_option(
          "--data", args.what.data,
          "Folder with the benchmark's files, or with a folder for each benchmark; scenes: procedural "
          "questions, written to OUT/scenes")
      ->required();
  command.add_option("--split", args.what.split,
                     "Of the benchmark's own (default: docs/benchmarks.md); of scenes train, val or test");
  command.add_option("--convention", args.convention, "llava, lmms or vlmeval: prompts, scorers and sums")
      ->capture_default_str();
  command
      .add_option("--limit", args.what.limit,
                  "At most so many questions of each benchmark, always the same ones")
      ->check(CLI::Range(1, 100'000'000).description(""));
  command.add_option("--scenes-seed", args.what.scenes_seed, "Of the questions of --data scenes")
      ->check(not_negative())
      ->capture_default_str();
}

void add_how(CLI::App& command, EvalArguments& args) {
  command
      .add_option("--prune", args.methods,
                  "Methods and combinations as in 'winnow run', with commas between; none: unpruned, the "
                  "baseline of comparisons")
      ->capture_default_str();
  command
      .add_option("--keep", args.keeps,
                  "Budgets for every method, with commas between: 144, 25%, auto (the method's own); of "
                  "then() in parentheses, (50%,25%)")
      ->capture_default_str();
  command.add_option("--budget", args.what.request.budget, "As in 'winnow run'")->capture_default_str();
  command.add_option("--layer", args.what.request.layer, "Prune before this layer, for methods that can")
      ->check(CLI::Range(0, 1024));
  command.add_option("--position", args.what.request.position,
                     "original, compact or regrid (default: each method's own)");
  command
      .add_option("--seed", args.what.options.seed,
                  "Of methods that draw at random; every question has its own from it")
      ->check(not_negative())
      ->capture_default_str();
  command
      .add_option("--max-tokens", args.what.options.max_tokens,
                  "Longest answer (default: as the convention says)")
      ->check(CLI::Range(1, 1 << 20));
  command.add_option("--template", args.what.options.prompt_template, "As in 'winnow run'");
  command.add_option("--image-fit", args.fit, "As in 'winnow run'")->capture_default_str();
  command.add_option("--max-pixels", args.what.options.limits.max_pixels, "Larger pictures are refused")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 40).description(""))
      ->capture_default_str();
}

}  // namespace

void add_eval(CLI::App& app, Action& action) {
  auto args = std::make_shared<EvalArguments>();
  CLI::App& command = *app.add_subcommand(
      "eval", "Answer a benchmark's questions under several configurations and score them");
  add_what(command, *args);
  add_how(command, *args);
  command
      .add_option("-o,--out", args->out,
                  "Folder of the run (docs/runs.md); the same command again goes on where it stopped")
      ->required();
  command.add_option("--shard", args->shard, "I/N: every N-th group of questions, for several machines")
      ->capture_default_str();
  command
      .add_option("--jobs", args->what.options.n_jobs, "Questions answered at once; they share the threads")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  command.add_flag("--kept", args->what.options.keep_indices, "Also record which tokens are kept");
  args->model.add_to(command);
  command.callback([args, &action] { action = [args] { return evaluate(*args); }; });
}

}  // namespace winnow::cli
