// winnow study: one of the paper's questions, answered on the model at hand.

#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "winnow/base/error.h"
#include "winnow/cli/arguments.h"
#include "winnow/cli/command.h"
#include "winnow/cli/commit.h"
#include "winnow/study/study.h"

namespace winnow::cli {
namespace fs = std::filesystem;
namespace {

constexpr const char* kWhere = "cli.study";

struct StudyArguments {
  ModelArguments model;
  std::string name, out, page, convention = "llava";
  std::vector<std::string> variants;
  study::LabOptions lab;
};

/// NAME=TEXT,MMPROJ
study::Variant parse_variant(const std::string& text) {
  const std::size_t equals = text.find('='), comma = text.find(',');
  WINNOW_CHECK(equals != std::string::npos && equals > 0 && comma != std::string::npos &&
                   comma > equals + 1 && comma + 1 < text.size(),
               InvalidArgument, kWhere, "--variant, got '{}', expected NAME=TEXT.gguf,MMPROJ.gguf", text);
  return {text.substr(0, equals), text.substr(equals + 1, comma - equals - 1), text.substr(comma + 1)};
}

study::LabOptions lab_options(const StudyArguments& args) {
  study::LabOptions lab = args.lab;
  sweep::Evaluation& e = lab.evaluation;
  for (const std::string& name : e.benchmarks) eval::find_benchmark(name);
  check_data(e.data);
  e.scenes_folder = (fs::path(args.out) / sweep::kScenes).string();
  e.options.convention = eval::parse_convention(args.convention);
  e.options.session = args.model.session_options();
  if (e.options.session.n_threads == 0) e.options.session.n_threads = default_threads();
  e.options.n_jobs = e.options.session.n_threads;  // many short answers: one thread for each
  lab.folder = args.out;
  WINNOW_CHECK(!lab.choose || args.name == "alpha", InvalidArgument, kWhere,
               "--auto, got with the study '{}', expected the study alpha", args.name);
  for (const std::string& text : args.variants) lab.variants.push_back(parse_variant(text));
  return lab;
}

std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// The page with the study's section in place of its former one, or behind the others.
std::string with_section(const std::string& page, const std::string& name, const std::string& section) {
  const std::string heading = fmt::format("## {}: ", name);
  std::size_t begin = page.rfind(heading, 0) == 0 ? 0 : page.find("\n" + heading);
  if (begin == std::string::npos) return fmt::format("{}{}{}", page, page.empty() ? "" : "\n", section);
  if (begin > 0) ++begin;
  const std::size_t next = page.find("\n## ", begin);
  return page.substr(0, begin) + section + (next == std::string::npos ? "" : "\n" + page.substr(next + 1));
}

void write_text(const std::string& path, const std::string& text) {
  const std::string partial = path + ".partial";
  std::ofstream file(partial, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  std::error_code error;
  if (file) fs::rename(partial, path, error);
  WINNOW_CHECK(file && !error, Io, kWhere, "{}: cannot be written", path);
}

int run_study(const StudyArguments& args) {
  const study::Study& study = study::find_study(args.name);
  study::LabOptions options = lab_options(args);
  const engine::ModelOptions files = args.model.model_options();
  make_out_folder(args.out);
  check_writable((fs::path(args.out) / (study.name + ".md")).string());
  check_writable(args.page);
  const auto model = engine::Model::load(files);
  options.origin = {WINNOW_VERSION, source_commit(), backend_text(*model)};
  const study::Lab lab(model, options);
  const study::Section section = study.write(lab);
  std::string asked = options.choose ? " --auto" : "";  // beside the scale
  if (study.name == "training") {
    for (const study::Variant& v : options.variants)
      asked += fmt::format(" --variant {}=TEXT,MMPROJ", v.name);
  }
  const std::string text = fmt::format(
      "{}\n    winnow study {} --scale {:g}{} --out {}\n\n{} ({}, {}), {}, convention {}, {} threads of "
      "{}.\n",
      study::to_markdown(study, section), study.name, options.scale, asked, args.out,
      fs::path(files.text_path).filename().string(), files.text_type, files.tower_type, lab.data_text(),
      args.convention, options.evaluation.options.session.n_threads, options.origin.hardware);
  write_text((fs::path(args.out) / (study.name + ".md")).string(), text);
  if (!args.page.empty()) write_text(args.page, with_section(read_text(args.page), study.name, text));
  fmt::print("{}", text);
  return 0;
}

}  // namespace

void add_study(CLI::App& app, Action& action) {
  auto args = std::make_shared<StudyArguments>();
  std::string names;
  for (const study::Study& s : study::studies()) names += fmt::format("\n  {:<14}{}", s.name, s.title);
  CLI::App& command =
      *app.add_subcommand("study", "Answer one of the paper's questions on the model at hand:" + names);
  command.add_option("NAME", args->name, "Which")->required();
  command
      .add_option("-o,--out", args->out,
                  "Folder for its runs and its section NAME.md; given again, it goes on there")
      ->required();
  command.add_option("--page", args->page,
                     "Markdown file in which the section is put, in place of its former one");
  command
      .add_option("--data", args->lab.evaluation.data,
                  "Folder with a folder for each benchmark; scenes: procedural questions")
      ->capture_default_str();
  command
      .add_option("--bench", args->lab.evaluation.benchmarks,
                  "Only these of the study's benchmarks (default: all)")
      ->delimiter(',');
  command.add_option("--variant", args->variants,
                     "NAME=TEXT,MMPROJ: a model with compression in its training, for the study training; "
                     "may be given again");
  command.add_flag("--auto", args->lab.choose,
                   "The study alpha also chooses alpha for each benchmark, on validation questions, and says "
                   "what that gains on the others");
  command.add_option("--convention", args->convention, "llava, lmms or vlmeval")->capture_default_str();
  command
      .add_option("--scale", args->lab.scale,
                  "Of the number of questions; 1: minutes with the built-in model")
      ->check(CLI::Range(0.001, 10000.0))
      ->capture_default_str();
  command.add_option("--scenes-seed", args->lab.evaluation.scenes_seed, "Of procedural questions")
      ->check(not_negative())
      ->capture_default_str();
  command.add_option("--seed", args->lab.evaluation.options.seed, "Of methods that draw at random")
      ->check(not_negative())
      ->capture_default_str();
  args->model.add_to(command);
  command.callback([args, &action] { action = [args] { return run_study(*args); }; });
}

}  // namespace winnow::cli
