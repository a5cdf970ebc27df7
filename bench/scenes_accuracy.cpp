// Accuracy of a model on unseen questions about procedural scenes, unpruned and pruned: the numbers of
// docs/model.md. Prints Markdown tables.
//
//   scenes_accuracy TEXT.gguf MMPROJ.gguf [options] [METHOD[@KEEP][+layer=K][+position=POLICY] ...]

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/scene_run.h"
#include "winnow/base/error.h"
#include "winnow/base/progress.h"

namespace {

using namespace winnow;
using testing::BenchmarkScore;
using testing::Configuration;
using testing::Estimate;
using testing::Share;
using testing::Tally;

constexpr const char* kWhere = "bench.scenes_accuracy";

struct Arguments {
  std::string text, mmproj, json, type = "stored";
  int32_t n = 1000;
  int32_t n_threads = 0;
  uint64_t seed = 1;
  std::vector<std::string> benchmarks = {"all"};
  std::vector<std::string> uses;
  bool blind = false, shuffled = false, circular = false;
};

struct Scored {
  std::string benchmark;
  BenchmarkScore score;
};

void add_options(CLI::App& app, Arguments& a) {
  app.add_option("text", a.text, "Text model (GGUF)")->required();
  app.add_option("mmproj", a.mmproj, "Tower and projector (GGUF)")->required();
  app.add_option("configurations", a.uses, "METHOD[@KEEP][+layer=K][+position=POLICY] ...; default: none");
  app.add_option("--n", a.n, "Questions of each benchmark")
      ->check(CLI::Range(1, scenes::kMaxBenchmarkItems))
      ->capture_default_str();
  app.add_option("--seed", a.seed, "Of the test questions and of methods that draw")->capture_default_str();
  app.add_option("--bench", a.benchmarks, "Benchmarks, with commas between, or all")
      ->delimiter(',')
      ->allow_extra_args(false);
  app.add_option("--type", a.type, "Of the matrices of tower and decoder: stored, or a type such as q8_0")
      ->capture_default_str();
  app.add_option("--threads", a.n_threads, "Questions answered at once (0: one for each processor)")
      ->check(CLI::Range(0, 256));
  app.add_flag("--blind", a.blind, "Also without pictures");
  app.add_flag("--shuffled", a.shuffled, "Also with the pictures of another question");
  app.add_flag("--circular", a.circular, "Also mmbench in all rotations of its options");
  app.add_option("--json", a.json, "Write all counts to this file");
}

std::vector<std::string> chosen_benchmarks(const std::vector<std::string>& wanted) {
  const auto& known = scenes::benchmarks();
  if (std::find(wanted.begin(), wanted.end(), "all") != wanted.end()) return known;
  for (const std::string& name : wanted) {
    WINNOW_CHECK(std::find(known.begin(), known.end(), name) != known.end(), InvalidArgument, kWhere,
                 "benchmark, got '{}', expected all or some of {}", name, fmt::join(known, ", "));
  }
  return wanted;
}

std::vector<Configuration> configurations_of(const Arguments& a, int32_t n_layer) {
  std::vector<Configuration> out;
  for (const std::string& use : a.uses) out.push_back(testing::parse_configuration(use, n_layer));
  if (a.uses.empty()) out.push_back(testing::parse_configuration("none", n_layer));
  if (a.shuffled) out.push_back({"shuffled", {}, testing::Shown::Other});
  if (a.blind) out.push_back({"blind", {}, testing::Shown::None});
  return out;
}

double now_s() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Scored scored(const std::shared_ptr<const engine::Model>& model, const std::string& benchmark,
              const std::vector<Configuration>& configurations, const Arguments& a) {
  const double start_s = now_s();
  set_progress_sink([&, last = 0](const ProgressReport& r) mutable {
    const auto quarter = static_cast<int>(4 * r.done / r.total);
    if (quarter != last && r.done < r.total)
      fmt::print(stderr, "{}: {} %, {:.0f} s left\n", benchmark, 25 * quarter, r.seconds_left);
    last = quarter;
  });
  const auto items = scenes::draw_benchmark(benchmark, scenes::Split::Test, a.seed, a.n);
  testing::SceneRunOptions options;
  options.seed = a.seed;
  const auto n_processors = static_cast<int32_t>(std::max(std::thread::hardware_concurrency(), 1U));
  options.n_workers = a.n_threads > 0 ? a.n_threads : n_processors;
  options.circular = a.circular && benchmark == "mmbench";
  const auto outcomes = testing::answer_items(model, items, configurations, options);
  set_progress_sink({});
  const double took_s = now_s() - start_s;
  fmt::print(
      stderr, "{}: {} questions x {} configurations in {:.1f} s, {:.2f} ms an answer and thread\n", benchmark,
      items.size(), configurations.size(), took_s,
      1000.0 * took_s * options.n_workers / static_cast<double>(std::max<std::size_t>(outcomes.size(), 1)));
  return {benchmark, testing::add_up(items, outcomes)};
}

std::string cell(const Estimate& e) {
  return fmt::format(" {:.1f} [{:.1f}, {:.1f}] |", 100.0 * e.value, 100.0 * e.low, 100.0 * e.high);
}

/// Lead columns, then one for each configuration.
void print_head(const std::string& lead, const std::vector<Configuration>& configurations) {
  std::string line = lead;
  for (const Configuration& c : configurations) line += fmt::format(" {} |", c.name);
  fmt::print("{}\n|", line);
  for (int64_t i = 1; i < std::count(line.begin(), line.end(), '|'); ++i) fmt::print("---|");
  fmt::print("\n");
}

std::string cells(const std::vector<Tally>& tallies) {
  std::string line;
  for (const Tally& tally : tallies) line += cell(testing::wilson(tally.share()));
  return line;
}

void print_benchmarks(const std::vector<Scored>& all, const std::vector<Configuration>& configurations) {
  print_head("| benchmark | questions |", configurations);
  std::vector<std::vector<Share>> shares(configurations.size());
  int64_t n = 0;
  for (const Scored& scored : all) {
    const auto& tallies = scored.score.all;
    fmt::print("| {} | {} |{}\n", scored.benchmark, tallies[0].n, cells(tallies));
    n += tallies[0].n;
    for (std::size_t c = 0; c < tallies.size(); ++c) shares[c].push_back(tallies[c].share());
  }
  fmt::print("| mean | {} |", n);
  for (const auto& share : shares) fmt::print("{}", cell(testing::mean_of(share)));
  fmt::print("\n");
}

void print_tasks(const std::vector<Scored>& all, const std::vector<Configuration>& configurations) {
  print_head("| benchmark | task | questions |", configurations);
  for (const Scored& scored : all) {
    for (const auto& [task, tallies] : scored.score.tasks) {
      fmt::print("| {} | {} | {} |{}\n", scored.benchmark, scenes::task_info(task).name, tallies[0].n,
                 cells(tallies));
    }
  }
}

/// What accuracy alone does not say: boxes, rotations.
void print_others(const std::vector<Scored>& all, const std::vector<Configuration>& configurations,
                  bool circular) {
  const auto is_among = [&](const char* name) {
    return std::any_of(all.begin(), all.end(), [&](const Scored& s) { return s.benchmark == name; });
  };
  circular = circular && is_among("mmbench");
  if (!circular && !is_among("refcoco")) return;
  fmt::print("\n");
  print_head("| measure |", configurations);
  for (const auto& [benchmark, score] : all) {
    if (benchmark == "mmbench" && circular) {
      fmt::print("| mmbench, right in every rotation, % |");
      for (const Tally& t : score.all) fmt::print("{}", cell(testing::wilson({t.n_circular, t.n})));
      fmt::print("\n");
    }
    if (benchmark == "refcoco") {
      fmt::print("| refcoco, mean IoU |");
      for (const Tally& t : score.all) fmt::print(" {:.3f} |", t.mean_iou());
      fmt::print("\n| refcoco, answers without a box |");
      for (const Tally& t : score.all) fmt::print(" {} |", t.n - t.n_boxes);
      fmt::print("\n");
    }
  }
}

void write_json(const Arguments& a, const std::vector<Scored>& all,
                const std::vector<Configuration>& configurations) {
  nlohmann::ordered_json cells = nlohmann::ordered_json::array();
  for (const auto& [benchmark, score] : all) {
    for (const auto& [task, tallies] : score.tasks) {
      for (std::size_t c = 0; c < tallies.size(); ++c) {
        const Tally& t = tallies[c];
        nlohmann::ordered_json cell = {{"benchmark", benchmark},
                                       {"task", scenes::task_info(task).name},
                                       {"configuration", configurations[c].name},
                                       {"n", t.n},
                                       {"right", t.right}};
        if (task == scenes::Task::Ground) {
          cell["n_boxes"] = t.n_boxes;
          cell["mean_iou"] = t.mean_iou();
        }
        if (a.circular && benchmark == "mmbench") cell["n_circular"] = t.n_circular;
        cells.push_back(std::move(cell));
      }
    }
  }
  const nlohmann::ordered_json whole = {{"text", a.text},
                                        {"mmproj", a.mmproj},
                                        {"split", "test"},
                                        {"seed", a.seed},
                                        {"cells", std::move(cells)}};
  std::ofstream file(a.json);
  file << whole.dump(1) << '\n';
  file.flush();
  WINNOW_CHECK(file.good(), Io, kWhere, "{}: cannot be written", a.json);
}

void run(const Arguments& a) {
  const auto benchmarks = chosen_benchmarks(a.benchmarks);
  // Now rather than after the run.
  WINNOW_CHECK(a.json.empty() || std::ofstream(a.json, std::ios::app).good(), Io, kWhere,
               "{}: cannot be written", a.json);
  engine::ModelOptions options;
  options.text_path = a.text;
  options.text_type = a.type;
  options.tower_type = a.type;
  options.mmproj_path = a.mmproj;
  options.device = "cpu";
  const auto model = engine::Model::load(options);
  const auto configurations = configurations_of(a, model->llama().n_layer);
  std::vector<Scored> all;
  for (const std::string& benchmark : benchmarks) all.push_back(scored(model, benchmark, configurations, a));
  fmt::print("Accuracy in % with its 95 % interval; test questions of seed {}.\n\n", a.seed);
  print_benchmarks(all, configurations);
  print_others(all, configurations, a.circular);
  fmt::print("\n");
  print_tasks(all, configurations);
  if (!a.json.empty()) write_json(a, all, configurations);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("scenes_accuracy: accuracy on procedural scenes, unpruned and pruned", "scenes_accuracy");
  Arguments arguments;
  add_options(app, arguments);
  try {
    app.parse(argc, argv);
    run(arguments);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 2;
  }
  return 0;
}
