// winnow bench: methods x budgets on one model. Tokens, FLOPs, KV bytes and seconds stand side by side,
// because they disagree (Wen et al. 2025, arXiv 2502.11501, section 7).

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "winnow/base/error.h"
#include "winnow/base/log.h"
#include "winnow/base/process.h"
#include "winnow/base/progress.h"
#include "winnow/base/quantile.h"
#include "winnow/cli/arguments.h"
#include "winnow/cli/bench_load.h"
#include "winnow/cli/command.h"
#include "winnow/cli/peer.h"
#include "winnow/cli/schedule.h"
#include "winnow/engine/flops.h"
#include "winnow/engine/generate.h"
#include "winnow/sweep/configuration.h"
#include "winnow/sweep/latency.h"

namespace winnow::cli {
namespace {

using nlohmann::ordered_json;

struct BenchArguments {
  ModelArguments model;
  ImageArguments images;
  std::vector<std::string> methods = {"none", "fastervlm"};
  std::vector<std::string> keeps = {"25%"};
  std::string budget = "exact";
  std::string position;
  int32_t layer = -1;  ///< -1: each method's own place
  std::string prompt = "What is in this picture? Answer with one short sentence.";
  std::string prompt_template;
  int32_t n_decode = 16;
  int32_t n_repetitions = 5;
  int32_t n_warmup = 1;
  uint64_t seed = 0;
  bool peer = false;
  std::string json_path;
  std::vector<int32_t> sessions = {1};  ///< how many answer at the same time
};

using Times = record::StageTimes;  // of one repetition

struct Stage {
  const char* name;
  double Times::*part;
};
constexpr Stage kStages[] = {{"image", &Times::image},         {"tower", &Times::tower},
                             {"projector", &Times::projector}, {"select", &Times::select},
                             {"gather", &Times::gather},       {"prefill", &Times::prefill},
                             {"decode", &Times::decode}};

/// One row of the table: a method with a budget, or the peer.
struct Configuration {
  std::string name;
  engine::PruneOptions prune;
  bool peer = false;
  std::vector<Times> runs;
  engine::PrefillResult last;
  int64_t kv_allocated = 0;
  double prefill_flops = 0.0;
  double encode_flops = 0.0;  ///< tower and projector
  int32_t n_tokens = 0;       ///< prompt tokens, unpruned
  std::vector<LoadResult> load;
};

sweep::ConfigurationRequest request_of(const BenchArguments& args) {
  sweep::ConfigurationRequest request{{"none"}, args.keeps, args.budget, args.position, args.layer};
  request.methods.insert(request.methods.end(), args.methods.begin(), args.methods.end());
  return request;
}

std::vector<Configuration> configurations(const BenchArguments& args, const engine::Model& model) {
  std::vector<Configuration> out;
  for (sweep::Configuration& one : sweep::configurations(request_of(args), model)) {
    out.push_back({});
    out.back().name = std::move(one.name);
    out.back().prune = std::move(one.prune);
    out.back().prune.seed = args.seed;
    out.back().prune.question = args.prompt;
  }
  if (args.peer) {
    const engine::PatchMerge& merge = model.mlp().merge;
    WINNOW_CHECK(merge.side == 1 || merge.by_group, Unsupported, "cli.bench",
                 "{}: its projector merges patches, llama.cpp's 'mlp' does not: --peer cannot run it",
                 model.options().mmproj_path);
    WINNOW_CHECK(
        !model.tiling().cuts(), Unsupported, "cli.bench",
        "{}: cuts pictures into tiles, of which llama.cpp reads the padding too and no newlines: --peer "
        "would compare other prompts",
        model.options().mmproj_path);
    out.push_back({});
    out.back().name = "llama.cpp (libmtmd + libllama), unpruned";
    out.back().peer = true;
  }
  return out;
}

/// A picture for when none is given, as a file: the peer reads one.
std::string default_image(const engine::Model& model) {
  std::string path =
      fmt::format("{}/winnow-bench-{}.png", std::filesystem::temp_directory_path().string(), ::getpid());
  engine::save_png(sweep::default_picture(model), path);
  return path;
}

class Bench {
 public:
  Bench(const BenchArguments& args, std::shared_ptr<const engine::Model> model)
      : args_(args), model_(std::move(model)), session_(model_, args.model.session_options()) {
    form_ = engine::choose_template(args.prompt_template, model_->text_file(), model_->tokenizer());
    prompt_ = engine::make_turn(form_, args.prompt, 1, true, model_->tokenizer());
    image_path_ = args.images.paths.empty() ? default_image(*model_) : args.images.paths.front();
  }
  ~Bench() {
    std::error_code ignored;
    if (args_.images.paths.empty()) std::filesystem::remove(image_path_, ignored);
  }
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;

  std::vector<Configuration> run();
  /// The configurations again, with several sessions at a time.
  void run_load(std::vector<Configuration>& list);
  const engine::Session& session() const { return session_; }
  const PeerTimes& peer_last() const { return peer_last_; }
  int64_t own_peak_bytes() const { return own_peak_bytes_; }

 private:
  Times run_own(Configuration& c);
  Times run_peer(Configuration& c);

  const BenchArguments& args_;
  std::shared_ptr<const engine::Model> model_;
  engine::Session session_;
  engine::PromptTemplate form_;
  engine::Prompt prompt_;
  std::string image_path_;
  std::unique_ptr<Peer> peer_;
  PeerTimes peer_last_;
  int64_t own_peak_bytes_ = 0;
  int32_t n_prompt_ = 0;  ///< tokens of the prompt, known after a run of our own
};

Times Bench::run_own(Configuration& c) {
  const engine::Stopwatch watch;
  const engine::Image picture = engine::load_image(image_path_, {.max_pixels = args_.images.max_pixels});
  const double read_ms = watch.ms();
  sweep::TimedAnswer answer = sweep::time_answer(session_, picture, engine::parse_image_fit(args_.images.fit),
                                                 prompt_, c.prune, args_.n_decode);
  c.last = std::move(answer.prefill);
  c.kv_allocated = answer.kv_bytes_allocated;
  c.n_tokens = c.last.n_text + c.last.n_visual_before;
  n_prompt_ = std::max(n_prompt_, c.n_tokens);
  c.prefill_flops = answer.prefill_flops;
  c.encode_flops = answer.encode_flops;
  own_peak_bytes_ = peak_rss_bytes();
  answer.ms.image += read_ms;
  return answer.ms;
}

Times Bench::run_peer(Configuration& c) {
  if (peer_ == nullptr) {
    WINNOW_CHECK(engine::is_cpu(model_->device()), InvalidArgument, "cli.bench",
                 "--peer compares processors: got device {}, expected --device cpu",
                 ggml_backend_dev_name(model_->device()));
    PeerRequest request;
    request.text_path = model_->options().text_path;
    request.mmproj_path = model_->options().mmproj_path;
    request.image_path = image_path_;
    engine::PromptTemplate bare = form_;  // libmtmd puts the marks around a picture itself
    bare.image_begin = bare.image_end = "";
    request.prompt = engine::written_turn(bare, args_.prompt, 1, true, model_->tokenizer());
    request.n_threads = session_.n_threads();
    request.n_decode = args_.n_decode;
    request.n_ctx = n_prompt_ + args_.n_decode + 64;
    peer_ = std::make_unique<Peer>(request);
  }
  peer_last_ = peer_->run();
  c.n_tokens = peer_last_.n_tokens;
  if (c.n_tokens != n_prompt_ && c.runs.empty()) {
    log(LogLevel::Warning, "llama.cpp makes {} tokens of this prompt and picture, Winnow {}", c.n_tokens,
        n_prompt_);
  }
  Times t;
  t.image = peer_last_.image_ms;
  t.tower = peer_last_.tower_ms;
  t.prefill = peer_last_.prefill_ms;
  t.decode = peer_last_.decode_ms;
  return t;
}

/// Warm-up, then repetitions in which the configurations take turns, starting with another one each time.
std::vector<Configuration> Bench::run() {
  std::vector<Configuration> list = configurations(args_, *model_);
  const auto n = static_cast<int32_t>(list.size());
  Progress progress("measuring", static_cast<int64_t>(n) * (args_.n_warmup + args_.n_repetitions));
  for (int32_t repetition = 0; repetition < args_.n_warmup + args_.n_repetitions; ++repetition) {
    for (int32_t i = 0; i < n; ++i) {
      Configuration& c = list[static_cast<std::size_t>((i + repetition) % n)];
      const Times t = c.peer ? run_peer(c) : run_own(c);
      if (repetition >= args_.n_warmup) c.runs.push_back(t);
      progress.step();
    }
  }
  return list;
}

void Bench::run_load(std::vector<Configuration>& list) {
  LoadRequest request;
  request.image_path = image_path_;
  request.limits.max_pixels = args_.images.max_pixels;
  request.fit = engine::parse_image_fit(args_.images.fit);
  request.prompt = prompt_;
  request.n_decode = args_.n_decode;
  LoadOptions options;
  options.n_repetitions = args_.n_repetitions;
  options.n_warmup = args_.n_warmup;
  options.session = args_.model.session_options();
  options.session.n_threads = session_.n_threads();
  std::vector<Configuration*> own;
  std::vector<engine::PruneOptions> prune;
  for (Configuration& c : list) {
    if (c.peer) continue;
    own.push_back(&c);
    prune.push_back(c.prune);
  }
  const int64_t n_pass = args_.n_repetitions > 1 ? 2 : 1;
  Progress progress("measuring under load", n_pass * std::ssize(own) * std::ssize(args_.sessions));
  for (const int32_t n_sessions : args_.sessions) {
    options.n_sessions = n_sessions;
    const auto results = measure_load(model_, request, prune, options, [&] { progress.step(); });
    for (std::size_t i = 0; i < own.size(); ++i) own[i]->load.push_back(results[i]);
  }
}

Spread spread_of_stage(const Configuration& c, double Times::*part) {
  std::vector<double> values;
  for (const Times& t : c.runs) values.push_back(t.*part);
  return spread_of(values);
}

Spread spread_of_ttft(const Configuration& c) {
  std::vector<double> values;
  for (const Times& t : c.runs) values.push_back(t.first_token());
  return spread_of(values);
}

ordered_json spread_json(const Spread& s) { return {{"median", s.median}, {"q1", s.low}, {"q3", s.high}}; }

ordered_json row_json(const Configuration& c, const Configuration& base, int32_t n_decode) {
  ordered_json stages;
  for (const Stage& stage : kStages) stages[stage.name] = spread_json(spread_of_stage(c, stage.part));
  const double ttft = spread_of_ttft(c).median;
  const double decode = spread_of_stage(c, &Times::decode).median;
  ordered_json row = {{"name", c.name},
                      {"prompt_tokens", c.n_tokens},
                      {"stage_ms", stages},
                      {"ttft_ms", spread_json(spread_of_ttft(c))},
                      {"decode_tokens_per_s", decode > 0.0 ? 1000.0 * n_decode / decode : 0.0},
                      {"ttft_speedup", spread_of_ttft(base).median / ttft}};
  if (c.peer) return row;
  const double realised =
      spread_of_stage(base, &Times::prefill).median / spread_of_stage(c, &Times::prefill).median;
  const double ideal = base.prefill_flops / c.prefill_flops;
  const double average = c.last.n_text + c.last.n_visual_average;
  const double encode_ms = ttft - spread_of_stage(c, &Times::prefill).median -
                           spread_of_stage(c, &Times::select).median -
                           spread_of_stage(c, &Times::gather).median;
  row["visual_tokens"] = {{"before", c.last.n_visual_before},
                          {"after", c.last.n_visual_after},
                          {"layer_average", c.last.n_visual_average}};
  row["schedule"] = schedule_json(c.last);
  row["prefill_flops"] = c.prefill_flops;
  row["tower_flops"] = c.encode_flops;
  row["kv_bytes"] = c.last.kv_bytes;
  row["kv_bytes_unpruned"] = c.last.kv_bytes_unpruned;
  row["kv_bytes_allocated"] = c.kv_allocated;
  row["prefill_speedup"] = {{"realised", realised},
                            {"ideal_flops", ideal},
                            {"ideal_tokens", base.n_tokens / average},
                            {"realised_share", realised / ideal},
                            {"realised_share_of_tokens", realised * average / base.n_tokens}};
  const double first = spread_of_ttft(base).median / ttft;
  const double first_ideal = (base.encode_flops + base.prefill_flops) / (c.encode_flops + c.prefill_flops);
  row["first_token_speedup"] = {
      {"realised", first}, {"ideal_flops", first_ideal}, {"realised_share", first / first_ideal}};
  row["amdahl_ceiling"] = spread_of_ttft(base).median / encode_ms;
  for (const LoadResult& load : c.load) row["load"].push_back(load_json(load));
  return row;
}

void print_table(const ordered_json& report) {
  fmt::print("{}\n{} threads, {} repetitions after {} warm-up; median milliseconds [quartiles]\n\n",
             report["backend"].get<std::string>(), report["threads"].get<int>(),
             report["repetitions"].get<int>(), report["warmup"].get<int>());
  fmt::print("{:<42}{:>7}{:>9}{:>9}{:>10}{:>27}{:>13}{:>27}{:>13}{:>9}{:>9}\n", "configuration", "tokens",
             "tower", "project", "select", "prefill", "x (of)", "first token", "x (of)", "tok/s", "KV MB");
  for (const auto& row : report["configurations"]) {
    const auto median = [&](const char* stage) { return row["stage_ms"][stage]["median"].get<double>(); };
    const auto range = [](const ordered_json& s) {
      return fmt::format("{:.1f} [{:.1f} {:.1f}]", s["median"].get<double>(), s["q1"].get<double>(),
                         s["q3"].get<double>());
    };
    const bool own = row.contains("prefill_speedup");
    const auto speedup = [&](const char* of) {
      return fmt::format("{:.2f} ({:.0f}%)", row[of]["realised"].get<double>(),
                         100.0 * row[of]["realised_share"].get<double>());
    };
    fmt::print(
        "{:<42}{:>7}{:>9.1f}{:>9.1f}{:>10.3f}{:>27}{:>13}{:>27}{:>13}{:>9.1f}{:>9}\n",
        row["name"].get<std::string>(), own ? row["visual_tokens"]["after"].get<int>() : 0, median("tower"),
        median("projector"), median("select"), range(row["stage_ms"]["prefill"]),
        own ? speedup("prefill_speedup") : "", range(row["ttft_ms"]),
        own ? speedup("first_token_speedup") : fmt::format("{:.2f}", row["ttft_speedup"].get<double>()),
        row["decode_tokens_per_s"].get<double>(),
        own ? fmt::format("{:.1f}", row["kv_bytes"].get<double>() / 1e6) : "");
  }
  fmt::print("\npeak memory {:.2f} GB{}\n", report["peak_rss_bytes"].get<double>() / 1e9,
             report.contains("peer")
                 ? fmt::format(", llama.cpp {:.2f} GB", report["peer"]["peak_rss_bytes"].get<double>() / 1e9)
                 : "");
}

/// What can be known to be wrong before a model is loaded and measured for minutes.
void check(const BenchArguments& args) {
  WINNOW_CHECK(args.images.paths.size() <= 1, InvalidArgument, "cli.bench", "got {} images, expected one",
               args.images.paths.size());
  sweep::check(request_of(args));
  engine::parse_image_fit(args.images.fit);
  check_writable(args.json_path);
}

int bench(const BenchArguments& args) {
  check(args);
  const auto model = engine::Model::load(args.model.model_options());
  Bench run(args, model);
  std::vector<Configuration> list = run.run();
  const bool loaded = args.sessions != std::vector<int32_t>{1};
  if (loaded) run.run_load(list);
  ordered_json report = {{"winnow", WINNOW_VERSION},
                         {"model", model->options().text_path},
                         {"backend", backend_text(*model)},
                         {"threads", run.session().n_threads()},
                         {"weights", model->decoder_weights().placement()},
                         {"tower_weights", model->tower_weights().placement()},
                         {"repetitions", args.n_repetitions},
                         {"warmup", args.n_warmup},
                         {"decode_tokens", args.n_decode},
                         {"seed", args.seed},
                         {"peak_rss_bytes", run.own_peak_bytes()}};
  if (args.peer) report["peer"] = {{"peak_rss_bytes", run.peer_last().peak_rss_bytes}};
  report["configurations"] = ordered_json::array();
  for (const Configuration& c : list) {
    report["configurations"].push_back(row_json(c, list.front(), args.n_decode));
  }
  print_table(report);
  for (const Configuration& c : list) {
    if (c.last.schedule.size() > 1) fmt::print("{}: {}\n", c.name, schedule_text(c.last));
  }
  if (loaded) print_load(report);
  if (!args.json_path.empty()) {
    std::ofstream file(args.json_path);
    file << report.dump(2) << "\n";
    file.close();
    WINNOW_CHECK(file.good(), Io, "cli.bench", "{}: cannot be written", args.json_path);
  }
  return 0;
}

void add_peer(CLI::App& app, Action& action) {
  auto request = std::make_shared<PeerRequest>();
  CLI::App& command = *app.add_subcommand("peer", "One side of 'winnow bench --peer'")->group("");
  command.add_option("-m", request->text_path)->required();
  command.add_option("--mmproj", request->mmproj_path)->required();
  command.add_option("--image", request->image_path)->required();
  command.add_option("-p", request->prompt)->required();
  command.add_option("-t", request->n_threads);
  command.add_option("--decode", request->n_decode);
  command.add_option("--ctx", request->n_ctx);
  command.callback([request, &action] { action = [request] { return serve_peer(*request); }; });
}

}  // namespace

void add_bench(CLI::App& app, Action& action) {
  auto args = std::make_shared<BenchArguments>();
  CLI::App& command = *app.add_subcommand("bench", "Measure methods x budgets on one model, stage by stage");
  command
      .add_option("--prune", args->methods,
                  "Methods and combinations, as in 'winnow run'; 'none' is always measured")
      ->capture_default_str();
  command.add_option("--keep", args->keeps, "Budgets, for every method; auto: its own count or schedule")
      ->capture_default_str();
  command.add_option("--budget", args->budget, "As in 'winnow run'")->capture_default_str();
  command.add_option("--layer", args->layer, "Prune before this layer, for methods that can")
      ->check(CLI::Range(0, 1024));
  command.add_option("--position", args->position,
                     "original, compact or regrid (default: each method's own)");
  args->images.add_to(command);
  command.add_option("-p,--prompt", args->prompt, "Question")->capture_default_str();
  command.add_option("--template", args->prompt_template, "As in 'winnow run'");
  command.add_option("--decode", args->n_decode, "Tokens to generate after the first")
      ->check(CLI::Range(0, 4096))
      ->capture_default_str();
  command.add_option("--reps", args->n_repetitions, "Measured repetitions")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  command.add_option("--warmup", args->n_warmup, "Repetitions that are not counted")
      ->check(CLI::Range(0, 1000))
      ->capture_default_str();
  command.add_option("--seed", args->seed, "For methods that draw at random")
      ->check(not_negative())
      ->capture_default_str();
  command
      .add_option("--sessions", args->sessions,
                  "Also with so many sessions at a time, which share the threads: 1,2,4,8")
      ->delimiter(',')
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  command.add_flag("--peer", args->peer, "Measure llama.cpp on the same files too, interleaved");
  command.add_option("--json", args->json_path, "Also write everything as JSON");
  args->model.add_to(command);
  command.callback([args, &action] { action = [args] { return bench(*args); }; });
  add_peer(app, action);
}

}  // namespace winnow::cli
