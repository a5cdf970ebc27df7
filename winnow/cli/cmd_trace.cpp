// winnow trace: every named tensor and kept set of one forward pass, as safetensors.

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <sstream>

#include "winnow/base/error.h"
#include "winnow/cli/arguments.h"
#include "winnow/cli/command.h"
#include "winnow/cli/schedule.h"
#include "winnow/cli/signal_file.h"
#include "winnow/cli/video.h"
#include "winnow/engine/generate.h"
#include "winnow/engine/tower_request.h"
#include "winnow/prune/cascade.h"
#include "winnow/record/safetensors.h"

namespace winnow::cli {
namespace {

struct TraceArguments {
  ModelArguments model;
  PruneArguments prune;
  ImageArguments images;
  VideoArguments video;
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

/// A plan's compressed rows, with those of the images before it.
struct Rows {
  std::vector<int32_t> offsets = {0};
  std::vector<int32_t> index;
  std::vector<float> weight;

  /// first: number of the image's first token among those before the step; cls: of its [CLS] token
  void add(const engine::StepResult& step, int32_t first, int32_t cls) {
    const int32_t base = offsets.back();
    for (int32_t out = 0; out < step.plan.n_out(); ++out) {
      offsets.push_back(base + step.plan.offsets[static_cast<std::size_t>(out) + 1]);
    }
    for (const int32_t token : step.plan.index)
      index.push_back(token >= step.n_before ? cls + token - step.n_before : first + token);
    weight.insert(weight.end(), step.plan.weight.begin(), step.plan.weight.end());
  }
};

/// prune.S.kept, prune.S.scores and, for merges, the plan as compressed rows: docs/trace.md. image_tokens: of
/// each picture before any pruning.
void add_step(record::TensorFile& file, std::span<const engine::StepResult> images,
              const std::vector<int32_t>& image_tokens) {
  int32_t n_before = 0;
  for (const engine::StepResult& image : images) n_before += image.n_before;
  std::vector<int32_t> kept;
  std::vector<float> scores;
  Rows rows;
  bool selection = true;
  int32_t first = 0;
  for (const engine::StepResult& image : images) {
    selection = selection && image.plan.is_selection();
    const int32_t before = std::accumulate(image_tokens.begin(), image_tokens.begin() + image.image, 0);
    for (const int32_t token : image.kept) kept.push_back(before + token);
    scores.insert(scores.end(), image.scores.begin(), image.scores.end());
    rows.add(image, first, n_before + image.image);
    first += image.n_before;
  }
  const std::string prefix = fmt::format("prune.{}.", images[0].step);
  const auto size = [](const auto& values) { return std::vector<int64_t>{std::ssize(values)}; };
  if (selection) file.add_i32(prefix + "kept", size(kept), kept);
  if (!scores.empty()) file.add_f32(prefix + "scores", size(scores), scores);
  if (!selection) {
    file.add_i32(prefix + "offsets", size(rows.offsets), rows.offsets);
    file.add_i32(prefix + "index", size(rows.index), rows.index);
    file.add_f32(prefix + "weight", size(rows.weight), rows.weight);
  }
  file.metadata[prefix + "method"] = images[0].method;
  file.metadata[prefix + "layer"] = std::to_string(images[0].layer);
}

void add_steps(record::TensorFile& file, const engine::PrefillResult& prefill,
               const std::vector<int32_t>& image_tokens) {
  const std::span<const engine::StepResult> all = prefill.steps;
  for (std::size_t first = 0, last = 0; first < all.size(); first = last) {
    while (last < all.size() && all[last].step == all[first].step) ++last;
    add_step(file, all.subspan(first, last - first), image_tokens);
  }
}

/// --signals FILE: the name itself for one step and picture, else "FILE-STEP-IMAGE.safetensors", or
/// "FILE-STEP-IMAGE-TILE.safetensors".
std::string signal_path(const std::string& path, const engine::Selection& selection, bool single) {
  if (single) return path;
  const std::filesystem::path file(path);
  const std::string tile = selection.tile < 0 ? "" : fmt::format("-{}", selection.tile);
  return (file.parent_path() / fmt::format("{}-{}-{}{}{}", file.stem().string(), selection.step_idx,
                                           selection.image, tile, file.extension().string()))
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
  if (selection.tile >= 0) file.metadata["tile"] = std::to_string(selection.tile);
  file.metadata["n_keep"] = std::to_string(selection.n_keep);
  file.metadata["seed"] = std::to_string(args.prune.seed);
  const std::string path = signal_path(args.signals, selection, single);
  record::write_safetensors(file, path);
  fmt::print("{}: {} tensors\n", path, file.tensors.size());
}

engine::Prompt make_prompt(const TraceArguments& args, const engine::Model& model,
                           const std::vector<int32_t>& image_tokens, record::TensorFile& file) {
  if (args.ids_path.empty()) {
    const auto form = engine::choose_template(args.prompt_template, model.text_file(), model.tokenizer());
    const auto n_images = static_cast<int32_t>(image_tokens.size());
    return engine::make_turn(form, args.prompt, n_images, true, model.tokenizer());
  }
  const std::vector<int32_t> ids = read_ids(args.ids_path);
  file.add_i32("input_ids", {1, static_cast<int64_t>(ids.size())}, ids);
  return engine::prompt_from_ids(ids, args.image_token, image_tokens);
}

/// Of each picture and the video, before any pruning.
std::vector<int32_t> tokens_of(const TraceArguments& args, const engine::Model& model,
                               const engine::PruneOptions& options,
                               const std::vector<engine::Image>& pictures,
                               const std::vector<engine::Image>& frames) {
  const auto n_images = static_cast<int32_t>(pictures.size()) + (frames.empty() ? 0 : 1);
  std::vector<int32_t> tokens;
  for (const engine::Image& picture : pictures) {
    const engine::PixelSize size{picture.width, picture.height};
    tokens.push_back(engine::picture_layout(model, options.steps, n_images, size).n());
  }
  if (frames.empty()) return tokens;
  const engine::PixelSize size{frames[0].width, frames[0].height};
  const auto n_frames = static_cast<int32_t>(frames.size());
  tokens.push_back(
      engine::video_layout(model, options.steps, n_images, size, n_frames, args.video.max_tokens).n());
  return tokens;
}

/// The pictures, and the video behind them.
std::vector<engine::EncodedImage> encode(const TraceArguments& args, engine::ImageFit fit,
                                         engine::Session& session, const engine::PruneOptions& options,
                                         const std::vector<engine::Image>& pictures,
                                         const std::vector<engine::Image>& frames) {
  const auto n_pictures = static_cast<int32_t>(pictures.size());
  const int32_t n_images = n_pictures + (frames.empty() ? 0 : 1);
  std::vector<engine::EncodedImage> images;
  for (int32_t i = 0; i < n_pictures; ++i) {
    const engine::TowerRequest request = session.tower_request(options, n_images, i);
    images.push_back(session.encode(pictures[static_cast<std::size_t>(i)], fit, request));
  }
  if (frames.empty()) return images;
  const engine::TowerRequest request = session.tower_request(options, n_images, n_pictures);
  images.push_back(session.encode_video(frames, request, args.video.max_tokens));
  return images;
}

int trace(const TraceArguments& args) {
  WINNOW_CHECK(args.ids_path.empty() != args.prompt.empty(), InvalidArgument, "cli.trace",
               "expected either --ids FILE or -p TEXT");
  WINNOW_CHECK(args.ids_path.empty() || args.image_token >= 0, InvalidArgument, "cli.trace",
               "--ids needs --image-token ID");
  args.prune.check();
  const std::vector<prune::PlacedUse> cascade = prune::parse_cascade(args.prune.method);
  const bool drops = std::any_of(cascade.begin(), cascade.end(), [](const prune::PlacedUse& placed) {
    const prune::MethodUse& use = placed.use;
    return !use.method->info().keeps_all && prune::selects_from_signals(use.method->stage(use.params));
  });
  const bool sees = !args.images.paths.empty() || args.video.is_given();
  WINNOW_CHECK(args.signals.empty() || (drops && sees), InvalidArgument, "cli.trace",
               "--signals needs a picture and a method that selects tokens, got {} pictures and --prune {}",
               args.images.paths.size(), args.prune.method);
  check_writable(args.out);
  check_writable(args.signals);
  auto model_options = args.model.model_options();
  model_options.all_blocks = true;
  const std::vector<engine::Image> pictures = args.images.load();
  const std::vector<engine::Image> frames = args.video.load(args.images.max_pixels);
  const auto fit = engine::parse_image_fit(args.images.fit);
  const auto model = engine::Model::load(model_options);
  engine::Session session(model, args.model.session_options());
  engine::PruneOptions options = args.prune.options(*model);
  options.question = args.prompt;

  const std::vector<int32_t> image_tokens = tokens_of(args, *model, options, pictures, frames);

  record::TensorFile file;
  if (!args.signals.empty()) {
    const int32_t n_visual = std::accumulate(image_tokens.begin(), image_tokens.end(), 0);
    const std::vector<prune::Step> steps =
        prune::expand_steps(options.steps, n_visual, model->llama().n_layer);
    const auto n_selecting = std::count_if(
        steps.begin(), steps.end(), [](const prune::Step& step) { return step.layer >= prune::kAfterTower; });
    session.set_selection_observer([&, single = n_selecting == 1 && pictures.size() == 1 && frames.empty() &&
                                                !model->tiling().cuts()](const engine::Selection& selection) {
      write_signals(args, selection, model->clip().n_layer, single);
    });
  }
  session.set_observer([&](std::string_view name, std::span<const int64_t> shape,
                           std::span<const float> values) { add_unique(file, name, shape, values); });
  const engine::Prompt prompt = make_prompt(args, *model, image_tokens, file);
  const std::vector<engine::EncodedImage> images = encode(args, fit, session, options, pictures, frames);
  std::vector<const engine::EncodedImage*> refs;
  for (const auto& image : images) refs.push_back(&image);
  const engine::PrefillResult prefill = session.prefill(prompt, refs, options, args.n_greedy, true);
  session.set_observer({});
  add_steps(file, prefill, image_tokens);
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
  if (!prefill.schedule.empty()) fmt::print("visual tokens: {}\n", schedule_text(prefill));
  return 0;
}

}  // namespace

void add_trace(CLI::App& app, Action& action) {
  auto args = std::make_shared<TraceArguments>();
  CLI::App& command =
      *app.add_subcommand("trace", "Write every named tensor of one forward pass as safetensors");
  args->images.add_to(command);
  args->video.add_to(command);
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
