// Accuracy of the built-in model, unpruned and pruned, on a file of questions about pictures. Prints a
// Markdown table.
//
//   builtin_accuracy MODEL_DIR QUESTIONS_DIR [METHOD[@KEEP][+layer=K][+position=POLICY] ...]

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <thread>

#include "tests/support/question_run.h"
#include "winnow/base/error.h"
#include "winnow/base/progress.h"

namespace {

using namespace winnow;

std::string file_with(const std::string& folder, const std::string& part) {
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.find(part) != std::string::npos && entry.path().extension() == ".gguf")
      return entry.path().string();
  }
  fail(ErrorCode::NotFound, "bench.builtin_accuracy", "{}: no '*{}*.gguf'", folder, part);
}

/// The part of `text` behind `mark`, up to the next '+'; cut out of it.
std::string take(std::string& text, const std::string& mark) {
  const std::size_t at = text.find(mark);
  if (at == std::string::npos) return "";
  const std::size_t start = at + mark.size();
  const std::size_t end = std::min(text.find('+', start), text.size());
  const std::string value = text.substr(start, end - start);
  text.erase(at, end - at);
  return value;
}

engine::PruneOptions options_of(std::string text, int32_t n_layer) {
  engine::PruneOptions options;
  const std::string layer = take(text, "+layer=");
  const std::string position = take(text, "+position=");
  const std::string keep = take(text, "@");
  prune::Step step =
      prune::make_step(text, keep, prune::BudgetMode::Exact, layer.empty() ? -1 : std::stoi(layer), n_layer);
  if (!position.empty()) options.position = prune::parse_position_policy(position);
  if (!step.use.method->info().keeps_all) options.steps.push_back(std::move(step));
  return options;
}

int run(int argc, char** argv) {
  WINNOW_CHECK(argc >= 3, InvalidArgument, "bench.builtin_accuracy",
               "expected MODEL_DIR QUESTIONS_DIR [METHOD[@KEEP][+layer=K][+position=POLICY] ...]");
  set_progress_sink([last = -1](const ProgressReport& r) mutable {
    const auto tenth = static_cast<int>(10 * r.done / r.total);
    if (tenth != last && r.total > 100)
      fmt::print(stderr, "{} {} %, {:.0f} s left\n", r.what, 10 * tenth, r.seconds_left);
    last = tenth;
  });
  engine::ModelOptions model_options;
  model_options.text_path = file_with(argv[1], "text");
  model_options.mmproj_path = file_with(argv[1], "mmproj");
  const auto model = engine::Model::load(model_options);
  const std::string folder = argv[2];
  const auto questions = testing::read_questions(folder + "/questions.jsonl", 1);
  std::vector<std::string> uses(argv + 3, argv + argc);
  if (uses.empty()) uses = {"none"};
  const auto n_workers = static_cast<int32_t>(std::thread::hardware_concurrency());
  fmt::print(
      "| method | questions | exact match % | mean over tasks % | equal to the original's answer % |\n"
      "|---|---|---|---|---|\n");
  for (const std::string& use : uses) {
    const auto score = testing::run_questions(model, folder + "/images", questions,
                                              options_of(use, model->llama().n_layer), n_workers);
    fmt::print("| {} | {} | {:.1f} | {:.1f} | {:.1f} |\n", use, score.n, score.accuracy(), score.task_mean(),
               score.agreement());
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 2;
  }
}
