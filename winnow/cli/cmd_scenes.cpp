// winnow scenes: pictures and questions with true answers, in the benchmarks' own file formats.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "winnow/base/error.h"
#include "winnow/cli/arguments.h"
#include "winnow/cli/command.h"
#include "winnow/scenes/formats/formats.h"
#include "winnow/scenes/question.h"

namespace winnow::cli {
namespace {

using nlohmann::ordered_json;

struct ScenesArguments {
  std::vector<std::string> benchmarks;
  int32_t n = 1000;
  uint64_t seed = 0;
  std::string split = "test";
  std::string difficulty = "default";
  std::string out;
  bool json = false;
};

std::vector<std::string> chosen_benchmarks(const std::vector<std::string>& wanted) {
  const auto& known = scenes::benchmarks();
  if (wanted == std::vector<std::string>{"all"}) return known;
  for (const std::string& name : wanted) {
    WINNOW_CHECK(std::find(known.begin(), known.end(), name) != known.end(), InvalidArgument, "cli.scenes",
                 "unknown benchmark, got '{}', expected all alone or some of {}", name,
                 fmt::join(known, ", "));
  }
  return wanted;
}

ordered_json summary_json(const scenes::ExportSummary& summary) {
  return {{"name", summary.benchmark},
          {"folder", summary.folder},
          {"questions", summary.n_questions},
          {"pictures", summary.n_pictures}};
}

int write_scenes(const ScenesArguments& args) {
  const std::vector<std::string> names = chosen_benchmarks(args.benchmarks);
  scenes::ExportRequest request;
  request.split = scenes::parse_split(args.split);
  request.difficulty = scenes::parse_difficulty(args.difficulty);
  request.seed = args.seed;
  request.n = args.n;
  request.folder = args.out;
  ordered_json written = ordered_json::array();
  for (const std::string& name : names) {
    request.benchmark = name;
    const scenes::ExportSummary summary = scenes::export_benchmark(request);
    written.push_back(summary_json(summary));
    if (args.json) continue;
    fmt::print("{}: {} questions about {} pictures in {}\n", name, summary.n_questions, summary.n_pictures,
               summary.folder);
  }
  if (args.json) {
    const ordered_json all = {{"split", args.split},
                              {"seed", args.seed},
                              {"difficulty", args.difficulty},
                              {"benchmarks", std::move(written)}};
    fmt::print("{}\n", all.dump(2));
  }
  return 0;
}

}  // namespace

void add_scenes(CLI::App& app, Action& action) {
  auto args = std::make_shared<ScenesArguments>();
  CLI::App& command =
      *app.add_subcommand("scenes", "Write procedural pictures and questions as benchmark files");
  command
      .add_option(
          "--bench", args->benchmarks,
          fmt::format("all, or some of {}, with commas between", fmt::join(scenes::benchmarks(), ", ")))
      ->delimiter(',')
      ->required()
      ->allow_extra_args(false);
  command
      .add_option("--n", args->n,
                  "Questions of each benchmark; pope: of each of its three files; mme: two for each picture, "
                  "rounded up")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  command.add_option("--seed", args->seed, "Seed of the pictures and questions")
      ->check(not_negative())
      ->capture_default_str();
  command.add_option("--split", args->split, "test, val or train: pictures that no other split has")
      ->capture_default_str();
  command.add_option("--difficulty", args->difficulty, "easy, default or hard")->capture_default_str();
  command.add_option("-o,--out", args->out, "Folder; each benchmark gets one of its own in it")->required();
  command.add_flag("--json", args->json, "Print what was written as JSON");
  command.callback([args, &action] { action = [args] { return write_scenes(*args); }; });
}

}  // namespace winnow::cli
