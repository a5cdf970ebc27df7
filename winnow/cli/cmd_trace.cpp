// winnow trace: every named tensor and kept set of one forward pass, as safetensors.

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "winnow/base/error.h"
#include "winnow/cli/arguments.h"
#include "winnow/cli/command.h"
#include "winnow/cli/signal_file.h"
#include "winnow/engine/generate.h"
#include "winnow/record/safetensors.h"

namespace winnow::cli {
namespace {

struct TraceArguments {
  ModelArguments model;
  PruneArguments prune;
  ImageArguments images;
  std::string ids_path;
  int32_t image_token = -1;
  std::string prompt;
  std::string prompt_template;
  std::string out;
  std::string signals;
  int32_t n_greedy = 0;
};

std::vector<int32_t> read_ids(const std::string& path) {
  std::ifstream file(path);
  WINNOW_CHECK(file.good(), NotFound, "cli.trace", "{}: cannot read the token ids", path);
  std::vector<int32_t> ids;
  for (std::string word; file >> word;) {
    const bool digits = !word.empty() && word.size() <= 9 && std::all_of(word.begin(), word.end(), ::isdigit);
    WINNOW_CHECK(digits, InvalidArgument, "cli.trace", "{}: token id {}, got '{}', expected a number", path,
                 ids.size(), word);
    ids.push_back(std::stoi(word));
  }
  return ids;
}

/// Later runs of a name (several pictures, decoding) get a suffix: "vis.0.out", "vis.0.out#1".
void add_unique(record::TensorFile& file, std::string_view name, std::span<const int64_t> shape,
                std::span<const float> values) {
  std::string unique(name);
  for (int32_t i = 1; file.tensors.count(unique) > 0; ++i) unique = fmt::format("{}#{}", name, i);
  file.add_f32(unique, {shape.begin(), shape.end()}, {values.begin(), values.end()});
}

/// prune.S.kept, prune.S.scores and, for merges, the plan as compressed rows. Images of one step follow each
/// other; indices count the original visual tokens of all images.
void add_steps(record::TensorFile& file, const engine::PrefillResult& prefill, int32_t tokens_per_image) {
  std::size_t i = 0;
  for (int32_t step = 0; i < prefill.steps.size(); ++step) {
    std::vector<int32_t> kept;
    std::vector<float> scores;
    std::vector<int32_t> offsets = {0};
    std::vector<int32_t> index;
    std::vector<float> weight;
    bool selection = true;
    const engine::StepResult& head = prefill.steps[i];
    for (int32_t image = 0; i < prefill.steps.size() && prefill.steps[i].image == image; ++i, ++image) {
      const engine::StepResult& s = prefill.steps[i];
      selection = selection && s.plan.is_selection();
      for (const int32_t token : s.kept) kept.push_back(image * tokens_per_image + token);
      scores.insert(scores.end(), s.scores.begin(), s.scores.end());
      const int32_t base = offsets.back();
      for (int32_t out = 0; out < s.plan.n_out(); ++out) {
        offsets.push_back(base + s.plan.offsets[static_cast<std::size_t>(out) + 1]);
      }
      for (const int32_t token : s.plan.index) index.push_back(image * tokens_per_image + token);
      weight.insert(weight.end(), s.plan.weight.begin(), s.plan.weight.end());
    }
    const std::string prefix = fmt::format("prune.{}.", step);
    if (selection) file.add_i32(prefix + "kept", {static_cast<int64_t>(kept.size())}, kept);
    if (!scores.empty()) file.add_f32(prefix + "scores", {static_cast<int64_t>(scores.size())}, scores);
    if (!selection) {
      file.add_i32(prefix + "offsets", {static_cast<int64_t>(offsets.size())}, offsets);
      file.add_i32(prefix + "index", {static_cast<int64_t>(index.size())}, index);
      file.add_f32(prefix + "weight", {static_cast<int64_t>(weight.size())}, weight);
    }
    file.metadata[prefix + "method"] = head.method;
    file.metadata[prefix + "layer"] = std::to_string(head.layer);
  }
}

/// --signals FILE: the name itself for one step and picture, else "FILE-STEP-IMAGE.safetensors".
std::string signal_path(const std::string& path, const engine::Selection& selection, bool single) {
  if (single) return path;
  const std::filesystem::path file(path);
  return (file.parent_path() / fmt::format("{}-{}-{}{}", file.stem().string(), selection.step_idx,
                                           selection.image, file.extension().string()))
      .string();
}

/// What the engine hands to the method of each step, for `winnow select`.
void write_signals(const TraceArguments& args, const engine::Selection& selection, int32_t n_block,
                   bool single) {
  record::TensorFile file = signal_tensors(selection.signals, n_block);
  file.metadata["method"] = selection.step.use.to_string();
  file.metadata["step"] = std::to_string(selection.step_idx);
  file.metadata["layer"] = std::to_string(selection.step.layer);
  file.metadata["image"] = std::to_string(selection.image);
  file.metadata["n_keep"] = std::to_string(selection.n_keep);
  file.metadata["seed"] = std::to_string(args.prune.seed);
  const std::string path = signal_path(args.signals, selection, single);
  record::write_safetensors(file, path);
  fmt::print("{}: {} tensors\n", path, file.tensors.size());
}

engine::Prompt make_prompt(const TraceArguments& args, const engine::Model& model, int32_t n_images,
                           record::TensorFile& file) {
  if (args.ids_path.empty()) {
    const auto form = engine::choose_template(args.prompt_template, model.text_file(), model.tokenizer());
    return engine::make_turn(form, args.prompt, n_images, true, model.tokenizer());
  }
  const std::vector<int32_t> ids = read_ids(args.ids_path);
  file.add_i32("input_ids", {1, static_cast<int64_t>(ids.size())}, ids);
  return engine::prompt_from_ids(ids, args.image_token, model.grid().size(), n_images);
}

int trace(const TraceArguments& args) {
  WINNOW_CHECK(args.ids_path.empty() != args.prompt.empty(), InvalidArgument, "cli.trace",
               "expected either --ids FILE or -p TEXT");
  WINNOW_CHECK(args.ids_path.empty() || args.image_token >= 0, InvalidArgument, "cli.trace",
               "--ids needs --image-token ID");
  args.prune.check();
  const bool drops = !prune::parse_method(args.prune.method).method->info().keeps_all;
  WINNOW_CHECK(args.signals.empty() || (drops && !args.images.paths.empty()), InvalidArgument, "cli.trace",
               "--signals needs a picture and a method that drops tokens, got {} pictures and --prune {}",
               args.images.paths.size(), args.prune.method);
  check_writable(args.out);
  check_writable(args.signals);
  auto model_options = args.model.model_options();
  model_options.all_blocks = true;
  const std::vector<engine::Image> pictures = args.images.load();
  const auto fit = engine::parse_image_fit(args.images.fit);
  const auto model = engine::Model::load(model_options);
  engine::Session session(model, args.model.session_options());
  const engine::PruneOptions options = args.prune.options(*model);

  record::TensorFile file;
  if (!args.signals.empty()) {
    session.set_selection_observer(
        [&, single = options.steps.size() * pictures.size() == 1](const engine::Selection& selection) {
          write_signals(args, selection, model->clip().n_layer, single);
        });
  }
  session.set_observer([&](std::string_view name, std::span<const int64_t> shape,
                           std::span<const float> values) { add_unique(file, name, shape, values); });
  const auto n_images = static_cast<int32_t>(pictures.size());
  const engine::Prompt prompt = make_prompt(args, *model, n_images, file);
  std::vector<engine::EncodedImage> images;
  for (const auto& picture : pictures) {
    images.push_back(session.encode(picture, fit, engine::Session::tower_request(options)));
  }
  std::vector<const engine::EncodedImage*> refs;
  for (const auto& image : images) refs.push_back(&image);
  const engine::PrefillResult prefill = session.prefill(prompt, refs, options, args.n_greedy, true);
  session.set_observer({});
  add_steps(file, prefill, model->grid().size());
  if (args.n_greedy > 0) {
    const auto n_vocab = static_cast<int64_t>(model->llama().n_vocab);
    std::vector<int32_t> greedy;
    std::vector<float> logits(prefill.logits.end() - n_vocab, prefill.logits.end());
    engine::Sampler sampler({});
    while (true) {
      greedy.push_back(sampler.pick(logits));
      if (static_cast<int32_t>(greedy.size()) == args.n_greedy) break;
      logits = session.decode(greedy.back());
    }
    file.add_i32("greedy", {static_cast<int64_t>(greedy.size())}, greedy);
  }
  record::write_safetensors(file, args.out);
  fmt::print("{}: {} tensors\n", args.out, file.tensors.size());
  return 0;
}

}  // namespace

void add_trace(CLI::App& app, Action& action) {
  auto args = std::make_shared<TraceArguments>();
  CLI::App& command =
      *app.add_subcommand("trace", "Write every named tensor of one forward pass as safetensors");
  args->images.add_to(command);
  command.add_option("--ids", args->ids_path,
                     "File of token ids; runs of the image token stand for pictures");
  command.add_option("--image-token", args->image_token, "The image token of --ids");
  command.add_option("-p,--prompt", args->prompt, "Question, instead of --ids");
  command.add_option("--template", args->prompt_template, "As in 'winnow run'");
  args->prune.add_to(command);
  command.add_option("--greedy", args->n_greedy, "Also generate this many tokens (tensor 'greedy')")
      ->check(CLI::Range(0, 4096));
  command.add_option("-o,--out", args->out, "File to write")->required();
  command.add_option("--signals", args->signals,
                     "Also write what each step's method was given, for 'winnow select'");
  args->model.add_to(command);
  command.callback([args, &action] { action = [args] { return trace(*args); }; });
}

}  // namespace winnow::cli
