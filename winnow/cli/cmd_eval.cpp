// winnow eval: benchmarks x configurations on one model, as a run that can be killed and gone on with.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <map>
#include <thread>

#include "winnow/base/error.h"
#include "winnow/base/log.h"
#include "winnow/base/process.h"
#include "winnow/base/progress.h"
#include "winnow/cli/arguments.h"
#include "winnow/cli/command.h"
#include "winnow/cli/commit.h"
#include "winnow/cli/comparison_text.h"
#include "winnow/cli/ranks.h"
#include "winnow/cli/scenes_data.h"
#include "winnow/eval/comparison.h"
#include "winnow/prune/cascade.h"
#include "winnow/record/run_folder.h"
#include "winnow/record/sha256.h"
#include "winnow/scenes/question.h"
#include "winnow/sweep/sweep.h"

namespace winnow::cli {
namespace fs = std::filesystem;
namespace {

constexpr const char* kWhere = "cli.eval";
constexpr const char* kScenes = "scenes";  // of --data
constexpr unsigned kMaxThreads = 64;       // as engine::SessionOptions

struct EvalArguments {
  ModelArguments model;
  std::vector<std::string> benchmarks;
  std::string data, split, convention = "llava", out, shard = "1/1", prompt_template, fit = "pad";
  std::string methods = "none", keeps = "25%";
  sweep::ConfigurationRequest request;  ///< without methods and keeps
  int64_t limit = 0;
  int64_t max_pixels = engine::ImageLimits{}.max_pixels;
  int32_t max_tokens = 0;
  int32_t n_jobs = 1;
  uint64_t seed = 0, scenes_seed = 0;
  bool keep_indices = false;
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

std::vector<std::string> chosen_benchmarks(const EvalArguments& args) {
  if (args.data == kScenes && args.benchmarks == std::vector<std::string>{"all"}) return scenes::benchmarks();
  std::vector<std::string> out;
  for (const std::string& name : args.benchmarks) {
    eval::find_benchmark(name);
    WINNOW_CHECK(std::find(out.begin(), out.end(), name) == out.end(), InvalidArgument, kWhere,
                 "--bench names {} twice", name);
    out.push_back(name);
  }
  return out;
}

/// DATA/NAME if it is there, else DATA itself for a single benchmark.
std::string folder_of(const EvalArguments& args, const std::string& benchmark, bool single) {
  if (args.data == kScenes) {
    const auto n = static_cast<int32_t>(args.limit > 0 ? args.limit : kDefaultScenes);
    return scenes_data(benchmark, args.scenes_seed, n, (fs::path(args.out) / kScenes).string());
  }
  const fs::path own = fs::path(args.data) / benchmark;
  std::error_code ignored;
  return single && !fs::is_directory(own, ignored) ? args.data : own.string();
}

std::vector<sweep::Questions> load_questions(const EvalArguments& args,
                                             const std::vector<std::string>& benchmarks) {
  std::vector<sweep::Questions> out;
  for (const std::string& name : benchmarks) {
    const eval::Benchmark& benchmark = eval::find_benchmark(name);
    const std::string folder = folder_of(args, name, benchmarks.size() == 1);
    out.push_back({&benchmark, benchmark.load(folder, {args.split, args.limit})});
  }
  return out;
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

/// All processors that this process may use, shared with the others of its machine unless each has its own.
int32_t default_threads(const Ranks& ranks) {
  const auto n_host = static_cast<int32_t>(std::clamp(std::thread::hardware_concurrency(), 1U, kMaxThreads));
  const int32_t n_mine = processors_of_process();
  return n_mine > 0 && n_mine < n_host ? n_mine : std::max(n_host / ranks.on_host(), 1);
}

sweep::SweepOptions sweep_options(const EvalArguments& args, const Ranks& ranks) {
  sweep::SweepOptions options;
  options.convention = eval::parse_convention(args.convention);
  options.session = args.model.session_options();
  if (options.session.n_threads == 0) options.session.n_threads = default_threads(ranks);
  options.n_jobs = args.n_jobs;
  options.prompt_template = args.prompt_template;
  options.fit = engine::parse_image_fit(args.fit);
  options.limits.max_pixels = args.max_pixels;
  options.max_tokens = args.max_tokens;
  options.seed = args.seed;
  options.keep_indices = args.keep_indices;
  options.shard = shard_of(args, ranks);
  return options;
}

/// Whatever else can change a row.
std::map<std::string, std::string> parameters_of(const EvalArguments& args,
                                                 const engine::ModelOptions& files) {
  const ModelArguments& m = args.model;
  return {{"budget", args.request.budget},
          {"layer", fmt::format("{}", args.request.layer)},
          {"position", args.request.position},
          {"limit", fmt::format("{}", args.limit)},
          {"scenes_seed", args.data == kScenes ? fmt::format("{}", args.scenes_seed) : ""},
          {"template", args.prompt_template},
          {"image_fit", args.fit},
          {"max_pixels", fmt::format("{}", args.max_pixels)},
          {"max_tokens", fmt::format("{}", args.max_tokens)},
          {"kept", args.keep_indices ? "yes" : "no"},
          {"device", m.device},
          {"f32", m.f32 ? "yes" : "no"},
          {"kv_type", m.kv_type},
          {"flash_attn", m.flash},
          {"text_type", files.text_type},
          {"tower_type", files.tower_type},
          {"tower_blocks", fmt::format("{}", m.tower_blocks)},
          {"context", fmt::format("{}", m.context)},
          {"batch", fmt::format("{}", m.batch)}};
}

std::string now_utc() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  std::array<char, 32> text{};
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &utc)};
}

record::RunHeader header_of(const EvalArguments& args, const engine::Model& model,
                            const std::vector<sweep::Questions>& questions,
                            const std::vector<sweep::Configuration>& configurations,
                            const sweep::SweepOptions& options) {
  record::RunHeader h;
  h.winnow = WINNOW_VERSION;
  h.commit = source_commit();
  const engine::ModelOptions& files = model.options();
  h.model = {fs::path(files.text_path).filename().string(), fs::path(files.mmproj_path).filename().string(),
             record::sha256_of_file(files.text_path), record::sha256_of_file(files.mmproj_path)};
  h.convention = args.convention;
  for (const sweep::Questions& part : questions) {
    h.benchmarks.push_back({part.benchmark->info().name, args.split, std::ssize(part.items),
                            sweep::digest_of(part, options.convention)});
  }
  for (const sweep::Configuration& c : configurations) {
    h.configurations.push_back({c.name,
                                c.prune.steps.empty() ? "none" : prune::steps_to_string(c.prune.steps),
                                prune::budgets_to_string(c.prune.steps)});
  }
  h.parameters = parameters_of(args, files);
  h.seed = args.seed;
  h.n_threads = options.session.n_threads;
  h.n_jobs = options.n_jobs;
  h.hardware = backend_text(model);
  h.shard = options.shard;
  h.started = now_utc();
  h.data = args.data;
  return h;
}

/// Now rather than after the model was loaded.
void make_folder(const std::string& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  WINNOW_CHECK(!error, Io, kWhere, "--out, {}: cannot be made: {}", folder, error.message());
  check_writable((fs::path(folder) / "run.json").string());
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

/// Rows of this process's shard into the folder, as far as they are not there.
void answer(const EvalArguments& args, const engine::ModelOptions& files,
            const sweep::ConfigurationRequest& request, const sweep::SweepOptions& options,
            const std::vector<sweep::Questions>& questions, const std::string& folder) {
  const auto model = engine::Model::load(files);
  const std::vector<sweep::Configuration> configurations = sweep::configurations(request, *model);
  record::RunWriter writer(folder, header_of(args, *model, questions, configurations, options));
  if (writer.n_rows() > 0)
    log(LogLevel::Warning, "{}: goes on behind the {} rows that are there", folder, writer.n_rows());
  sweep::sweep(
      model, questions, configurations, options,
      [&](const std::string& benchmark, int64_t index, const std::string& config) {
        return writer.has({benchmark, index, config});
      },
      [&](const record::ResultRow& row) { writer.append(row); });
}

void merge_ranks(const EvalArguments& args, const Ranks& ranks) {
  std::vector<std::string> folders;
  for (int32_t i = 1; i <= ranks.size(); ++i) folders.push_back(shard_folder(args.out, i, ranks.size()));
  record::merge_shards(folders, args.out);
}

void evaluate_with(const EvalArguments& args, const Ranks& ranks) {
  const std::vector<std::string> benchmarks = chosen_benchmarks(args);
  sweep::ConfigurationRequest request = args.request;
  request.methods = sweep::split_methods(args.methods);
  request.keeps = sweep::split_keeps(args.keeps);
  sweep::check(request);
  const sweep::SweepOptions options = sweep_options(args, ranks);
  const engine::ModelOptions files = args.model.model_options();
  std::error_code ignored;
  WINNOW_CHECK(args.data == kScenes || fs::exists(args.data, ignored), NotFound, kWhere,
               "--data, got '{}', expected a folder or the word scenes", args.data);
  make_folder(args.out);
  if (ranks.rank() > 0) ranks.wait_for_all();  // the first process writes procedural questions
  const std::vector<sweep::Questions> questions = load_questions(args, benchmarks);
  if (ranks.rank() == 0) ranks.wait_for_all();
  const bool alone = ranks.size() == 1;
  const std::string folder =
      alone ? args.out : shard_folder(args.out, options.shard.number, options.shard.count);
  answer(args, files, request, options, questions, folder);
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
  command.add_option("--bench", args.benchmarks, "Benchmarks, with commas between; all with --data scenes")
      ->delimiter(',')
      ->required()
      ->allow_extra_args(false);
  command
      .add_option(
          "--data", args.data,
          "Folder with the benchmark's files, or with a folder for each benchmark; scenes: procedural "
          "questions, written to OUT/scenes")
      ->required();
  command.add_option("--split", args.split, "Of the benchmark's own (default: docs/benchmarks.md)");
  command.add_option("--convention", args.convention, "llava, lmms or vlmeval: prompts, scorers and sums")
      ->capture_default_str();
  command
      .add_option("--limit", args.limit, "At most so many questions of each benchmark, always the same ones")
      ->check(CLI::Range(1, 100'000'000).description(""));
  command.add_option("--scenes-seed", args.scenes_seed, "Of the questions of --data scenes")
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
  command.add_option("--budget", args.request.budget, "As in 'winnow run'")->capture_default_str();
  command.add_option("--layer", args.request.layer, "Prune before this layer, for methods that can")
      ->check(CLI::Range(0, 1024));
  command.add_option("--position", args.request.position,
                     "original, compact or regrid (default: each method's own)");
  command
      .add_option("--seed", args.seed, "Of methods that draw at random; every question has its own from it")
      ->check(not_negative())
      ->capture_default_str();
  command.add_option("--max-tokens", args.max_tokens, "Longest answer (default: as the convention says)")
      ->check(CLI::Range(1, 1 << 20));
  command.add_option("--template", args.prompt_template, "As in 'winnow run'");
  command.add_option("--image-fit", args.fit, "As in 'winnow run'")->capture_default_str();
  command.add_option("--max-pixels", args.max_pixels, "Larger pictures are refused")
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
  command.add_option("--jobs", args->n_jobs, "Questions answered at once; they share the threads")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  command.add_flag("--kept", args->keep_indices, "Also record which tokens are kept");
  args->model.add_to(command);
  command.callback([args, &action] { action = [args] { return evaluate(*args); }; });
}

}  // namespace winnow::cli
