#include "winnow/sweep/evaluation.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <map>

#include "winnow/base/error.h"
#include "winnow/base/log.h"
#include "winnow/prune/cascade.h"
#include "winnow/record/run_folder.h"
#include "winnow/record/sha256.h"
#include "winnow/scenes/question.h"
#include "winnow/sweep/scenes_data.h"

namespace winnow::sweep {
namespace fs = std::filesystem;
namespace {

constexpr const char* kWhere = "sweep.evaluation";

/// DATA/NAME if it is there, else DATA itself for a single benchmark.
std::string folder_of(const Evaluation& e, const std::string& benchmark, bool single) {
  if (e.data == kScenes) {
    const auto n = static_cast<int32_t>(e.limit > 0 ? e.limit : kDefaultScenes);
    const scenes::Split split = e.split.empty() ? scenes::Split::Test : scenes::parse_split(e.split);
    return scenes_data(benchmark, split, e.scenes_seed, n, e.scenes_folder);
  }
  const fs::path own = fs::path(e.data) / benchmark;
  std::error_code ignored;
  return single && !fs::is_directory(own, ignored) ? e.data : own.string();
}

/// Whatever else can change a row.
std::map<std::string, std::string> parameters_of(const Evaluation& e, const engine::ModelOptions& files) {
  const SweepOptions& o = e.options;
  return {{"budget", e.request.budget},
          {"layer", fmt::format("{}", e.request.layer)},
          {"position", e.request.position},
          {"limit", fmt::format("{}", e.limit)},
          {"scenes_seed", e.data == kScenes ? fmt::format("{}", e.scenes_seed) : ""},
          {"template", o.prompt_template},
          {"image_fit", engine::image_fit_name(o.fit)},
          {"max_pixels", fmt::format("{}", o.limits.max_pixels)},
          {"max_tokens", fmt::format("{}", o.max_tokens)},
          {"kept", o.keep_indices ? "yes" : "no"},
          {"device", files.device},
          {"f32", files.f32 ? "yes" : "no"},
          {"kv_type", o.session.kv_type},
          {"flash_attn", engine::flash_attention_name(o.session.flash)},
          {"text_type", files.text_type},
          {"tower_type", files.tower_type},
          {"tower_blocks", fmt::format("{}", files.tower_blocks)},
          {"context", fmt::format("{}", o.session.n_ctx)},
          {"batch", fmt::format("{}", o.session.n_batch)}};
}

std::string now_utc() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  std::array<char, 32> text{};
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &utc)};
}

record::RunHeader header_of(const Evaluation& e, const engine::Model& model,
                            const std::vector<Questions>& questions,
                            const std::vector<Configuration>& configurations, const Origin& origin) {
  record::RunHeader h;
  h.winnow = origin.version;
  h.commit = origin.commit;
  const engine::ModelOptions& files = model.options();
  h.model = {fs::path(files.text_path).filename().string(), fs::path(files.mmproj_path).filename().string(),
             record::sha256_of_file(files.text_path), record::sha256_of_file(files.mmproj_path)};
  h.convention = eval::convention_name(e.options.convention);
  for (const Questions& part : questions) {
    h.benchmarks.push_back({part.benchmark->info().name, e.split, std::ssize(part.items),
                            digest_of(part, e.options.convention)});
  }
  for (const Configuration& c : configurations) {
    h.configurations.push_back({c.name,
                                c.prune.steps.empty() ? "none" : prune::steps_to_string(c.prune.steps),
                                prune::budgets_to_string(c.prune.steps)});
  }
  h.parameters = parameters_of(e, files);
  h.seed = e.options.seed;
  h.n_threads = e.options.session.n_threads;
  h.n_jobs = e.options.n_jobs;
  h.hardware = origin.hardware;
  h.shard = e.options.shard;
  h.started = now_utc();
  h.data = e.data;
  return h;
}

/// Throws what encoding a picture for any of them would, before there is a folder.
void check_signals(const std::shared_ptr<const engine::Model>& model,
                   const std::vector<Configuration>& configurations) {
  engine::SessionOptions options;
  options.n_threads = 1;
  const engine::Session session(model, options);
  for (const Configuration& c : configurations) session.tower_request(c.prune);
}

}  // namespace

std::vector<std::string> chosen_benchmarks(const Evaluation& evaluation) {
  const auto& names = evaluation.benchmarks;
  if (evaluation.data == kScenes && !evaluation.split.empty()) scenes::parse_split(evaluation.split);
  if (evaluation.data == kScenes && names == std::vector<std::string>{"all"}) return scenes::benchmarks();
  for (std::size_t i = 0; i < names.size(); ++i) {
    eval::find_benchmark(names[i]);
    WINNOW_CHECK(std::find(names.begin(), names.end(), names[i]) == names.begin() + static_cast<int64_t>(i),
                 InvalidArgument, kWhere, "benchmarks, got {} twice, expected each once", names[i]);
  }
  return names;
}

std::vector<Questions> load_questions(const Evaluation& evaluation) {
  const std::vector<std::string> names = chosen_benchmarks(evaluation);
  std::vector<Questions> out;
  for (const std::string& name : names) {
    const eval::Benchmark& benchmark = eval::find_benchmark(name);
    const std::string folder = folder_of(evaluation, name, names.size() == 1);
    const std::string split = evaluation.data == kScenes ? "" : evaluation.split;  // the folder is of one
    out.push_back({&benchmark, benchmark.load(folder, {split, evaluation.limit})});
  }
  return out;
}

void answer(const std::shared_ptr<const engine::Model>& model, const Evaluation& evaluation,
            const std::vector<Questions>& questions, const Origin& origin, const std::string& folder) {
  const std::vector<Configuration> list = configurations(evaluation.request, *model);
  check_signals(model, list);
  record::RunWriter writer(folder, header_of(evaluation, *model, questions, list, origin));
  if (writer.n_rows() > 0)
    log(LogLevel::Warning, "{}: goes on behind the {} rows that are there", folder, writer.n_rows());
  sweep(
      model, questions, list, evaluation.options,
      [&](const std::string& benchmark, int64_t index, const std::string& config) {
        return writer.has({benchmark, index, config});
      },
      [&](const record::ResultRow& row) { writer.append(row); });
}

}  // namespace winnow::sweep
