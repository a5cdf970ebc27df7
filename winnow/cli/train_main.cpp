// winnow-train: makes the built-in model and its variants. A program of its own, because LibTorch is optional
// and large.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>

#include "winnow/base/error.h"
#include "winnow/cli/console.h"
#include "winnow/train/trainer.h"

namespace {

std::atomic<bool> g_interrupted = false;

struct Arguments {
  winnow::train::TrainOptions train;
  std::string variant = "none";
  std::string name = "winnow";
  bool quiet = false;
};

void add_options(CLI::App& app, Arguments& a) {
  app.add_option("-o,--out", a.train.out_dir, "Folder of the training: checkpoint, curve, finished model")
      ->required();
  app.add_option(
         "--recipe", a.train.recipe,
         "default, text (a stage on words before the pictures), tune (a finished model goes on) or mini")
      ->capture_default_str();
  app.add_option("--variant", a.variant, "How the projector makes tokens fewer: none, merge, pool")
      ->capture_default_str();
  app.add_option("--prune", a.train.prune,
                 "Drop or merge visual tokens while training, by METHOD[:param=value,...]; given more than "
                 "once, each step draws one");
  app.add_option("--keep", a.train.keep, "Shares of them that stay (0..1); each step draws one")
      ->delimiter(',');
  app.add_option("--shift", a.train.shift,
                 "Leave up to so many positions free before a picture; each prompt draws how many")
      ->capture_default_str();
  app.add_option("--seed", a.train.seed, "Of weights and data")->capture_default_str();
  app.add_option("--workers", a.train.workers, "Model replicas, one thread each (0: one for each processor)")
      ->check(CLI::Range(0, 256))
      ->capture_default_str();
  app.add_option("--device", a.train.device, "auto, cpu or cuda")->capture_default_str();
  app.add_option("--precision", a.train.precision, "Of matrix products: auto, f32 or bf16")
      ->capture_default_str();
  app.add_option("--scale", a.train.scale, "Of the number of steps")->capture_default_str();
  app.add_option("--batch", a.train.batch,
                 "Times every step's samples: a GPU computes several at little more cost")
      ->capture_default_str();
  app.add_option("--within", a.train.within,
                 "Minutes: time some steps of every stage first and shorten a new training to end by then "
                 "(0: no limit)")
      ->capture_default_str();
  app.add_option("--start-text", a.train.start_text, "Begin with this model's weights (text GGUF)");
  app.add_option("--start-mmproj", a.train.start_mmproj,
                 "Begin with this model's weights (mmproj GGUF); alone: the decoder starts afresh");
  app.add_option("--skip-to", a.train.skip_to, "Begin with this stage: tower, text, decoder, all");
  app.add_option("--name", a.name, "Begins the finished files' names")->capture_default_str();
  app.add_flag("-q,--quiet", a.quiet, "No progress on stderr");
}

int run(Arguments& a) {
  using namespace winnow;
  a.train.variant = train::parse_variant(a.variant);
  a.train.interrupted = [] { return g_interrupted.load(); };
  train::Trainer trainer(a.train);
  if (!trainer.run()) {
    const std::string checkpoint = trainer.checkpoint_path();
    const bool begun = std::filesystem::exists(checkpoint);
    fmt::print(stderr, "winnow-train: stopped; the same command {}\n",
               begun ? "goes on from " + checkpoint : "begins again: nothing was trained yet");
    return 3;
  }
  const std::string dir = a.train.out_dir;
  for (const auto type : {train::FileType::F16, train::FileType::F32}) {
    const auto files = train::write_model(trainer.shape(), trainer.parameters(), type, a.name, dir);
    fmt::print("{}\n{}\n", files.text, files.mmproj);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("winnow-train: trains the built-in model on procedural scenes", "winnow-train");
  Arguments arguments;
  add_options(app, arguments);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    fmt::print(stderr, "winnow-train: error: {}\nSee 'winnow-train --help'.\n", error.what());
    return 2;
  }
  std::signal(SIGINT, [](int) { g_interrupted = true; });
  std::signal(SIGTERM, [](int) { g_interrupted = true; });
  try {
    winnow::cli::connect_console(true, arguments.quiet);
    return run(arguments);
  } catch (const winnow::Error& error) {
    fmt::print(stderr, "winnow-train: error: {}\n", error.what());
    return error.code() == winnow::ErrorCode::Internal ? 1 : 2;
  } catch (const std::exception& error) {
    fmt::print(stderr, "winnow-train: internal error: {}\n", error.what());
    return 1;
  }
}
