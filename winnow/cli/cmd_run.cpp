// winnow run: an answer to a question about pictures, with what pruning saved.

#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "winnow/base/error.h"
#include "winnow/base/process.h"
#include "winnow/cli/arguments.h"
#include "winnow/cli/command.h"
#include "winnow/cli/schedule.h"
#include "winnow/cli/video.h"
#include "winnow/engine/generate.h"
#include "winnow/engine/kept_patches.h"

namespace winnow::cli {
namespace {

using nlohmann::ordered_json;

struct RunArguments {
  ModelArguments model;
  PruneArguments prune;
  ImageArguments images;
  VideoArguments video;
  std::vector<std::string> prompts;
  std::string prompt_template;
  engine::GenerateOptions generate;
  std::string show_kept;
  bool json = false;
};

/// One conversation about the pictures and the video of the command line.
class Conversation {
 public:
  /// Loads the model and encodes pictures and video. Throws Error.
  explicit Conversation(const RunArguments& args);
  /// Asks a question; the answer is streamed to stdout unless JSON is wanted. The record of the turn:
  /// docs/run-json.md.
  ordered_json ask(const std::string& question);
  /// Draws the tokens that the last turn left of the first picture, or of the video.
  void write_kept() const;

 private:
  ordered_json record(const std::string& question, const engine::Generation& answer) const;
  double sum_of(double engine::EncodedImage::*part) const;

  const RunArguments& args_;
  engine::Image kept_canvas() const;

  std::vector<engine::Image> pictures_;
  std::vector<engine::Image> frames_;  ///< of the video
  double load_ms_ = 0.0;
  std::shared_ptr<const engine::Model> model_;
  std::unique_ptr<engine::Session> session_;
  engine::PruneOptions options_;
  engine::PromptTemplate form_;
  std::vector<engine::EncodedImage> images_;  ///< new in this turn, the video last
  engine::PrefillResult prefill_;             ///< of the last turn
  int32_t n_turns_ = 0;
};

Conversation::Conversation(const RunArguments& args) : args_(args) {
  const auto model_options = args.model.model_options();
  const auto fit = engine::parse_image_fit(args.images.fit);
  const engine::Stopwatch watch;
  pictures_ = args.images.load();
  frames_ = args.video.load(args.images.max_pixels);
  load_ms_ = watch.ms();
  model_ = engine::Model::load(model_options);
  session_ = std::make_unique<engine::Session>(model_, args.model.session_options());
  options_ = args.prune.options(*model_);
  form_ = engine::choose_template(args.prompt_template, model_->text_file(), model_->tokenizer());
  const auto n_pictures = static_cast<int32_t>(pictures_.size());
  const int32_t n_images = n_pictures + (frames_.empty() ? 0 : 1);
  for (int32_t i = 0; i < n_pictures; ++i) {
    const engine::TowerRequest request = session_->tower_request(options_, n_images, i);
    images_.push_back(session_->encode(pictures_[static_cast<std::size_t>(i)], fit, request));
  }
  if (frames_.empty()) return;
  const engine::TowerRequest request = session_->tower_request(options_, n_images, n_pictures);
  images_.push_back(session_->encode_video(frames_, request, args.video.max_tokens));
  if (!args.json) fmt::print(stderr, "winnow: {}\n", video_text(frames_, images_.back().layout));
}

ordered_json Conversation::ask(const std::string& question) {
  std::vector<const engine::EncodedImage*> images;
  for (const engine::EncodedImage& image : images_) images.push_back(&image);
  const engine::Prompt prompt = engine::make_turn(form_, question, static_cast<int32_t>(images.size()),
                                                  n_turns_ == 0, model_->tokenizer());
  options_.question = question;
  prefill_ = session_->prefill(prompt, images, options_, args_.generate.max_tokens);
  for (const std::string& note : prefill_.notes) fmt::print(stderr, "winnow: note: {}\n", note);
  const bool resized = !prefill_.schedule.empty() && prefill_.schedule[0].layer == prune::kBeforeTower;
  if (!args_.json && (prefill_.schedule.size() > 1 || resized)) {
    fmt::print(stderr, "winnow: visual tokens: {}\n", schedule_text(prefill_));
  }
  if (n_turns_ == 0 && !args_.show_kept.empty()) write_kept();
  const auto stream = [&](std::string_view text) {
    if (!args_.json) {
      fmt::print("{}", text);
      std::fflush(stdout);
    }
    return true;
  };
  const auto answer = engine::generate(*session_, prefill_.logits, args_.generate, stream);
  if (!args_.json) {
    fmt::print("\n");
    std::fflush(stdout);  // before the line about it on stderr
  }
  ordered_json turn = record(question, answer);
  ++n_turns_;
  load_ms_ = 0.0;
  images_.clear();
  return turn;
}

double Conversation::sum_of(double engine::EncodedImage::*part) const {
  double total = 0.0;
  for (const engine::EncodedImage& image : images_) total += image.*part;
  return total;
}

ordered_json Conversation::record(const std::string& question, const engine::Generation& answer) const {
  const double image_ms = load_ms_ + sum_of(&engine::EncodedImage::preprocess_ms);
  const double tower_ms = sum_of(&engine::EncodedImage::tower_ms);
  const double projector_ms = sum_of(&engine::EncodedImage::projector_ms);
  const engine::PrefillResult& p = prefill_;
  const double ttft =
      image_ms + tower_ms + projector_ms + p.select_ms + p.gather_ms + p.prefill_ms + answer.first_token_ms;
  return {
      {"answer", answer.text},
      {"question", question},
      {"method", options_.steps.empty() ? "none" : options_.steps.front().use.method->info().name},
      {"schedule", schedule_json(prefill_)},
      {"visual_tokens",
       {{"before", p.n_visual_before}, {"after", p.n_visual_after}, {"layer_average", p.n_visual_average}}},
      {"text_tokens", p.n_text},
      {"stage_ms",
       {{"image", image_ms},
        {"tower", tower_ms},
        {"projector", projector_ms},
        {"select", p.select_ms},
        {"gather", p.gather_ms},
        {"prefill", p.prefill_ms},
        {"decode", answer.decode_ms}}},
      {"ttft_ms", ttft},
      {"decode_tokens", answer.n_decoded},
      {"decode_tokens_per_s", answer.tokens_per_s()},
      {"ended", answer.ended},
      {"kv_bytes", p.kv_bytes},
      {"kv_bytes_unpruned", p.kv_bytes_unpruned},
      {"kv_bytes_allocated", session_->cache().bytes_allocated()},
      {"peak_rss_bytes", peak_rss_bytes()},
      {"model_load_ms", model_->load_ms()},
      {"seed", args_.prune.seed},
      {"threads", session_->n_threads()},
      {"backend", backend_text(*model_)},
      {"notes", p.notes},
  };
}

/// One line for people: what was kept and what it cost.
void print_summary(const ordered_json& j) {
  const auto& tokens = j["visual_tokens"];
  const auto& ms = j["stage_ms"];
  const double saved =
      j["kv_bytes_unpruned"].get<double>() > 0.0
          ? 100.0 - 100.0 * j["kv_bytes"].get<double>() / j["kv_bytes_unpruned"].get<double>()
          : 0.0;
  fmt::print(
      stderr,
      "[{}: {} of {} visual tokens; first token {:.0f} ms = image {:.1f} + tower {:.1f} + projector {:.1f} + "
      "selection {:.2f} + prefill {:.1f}; {:.1f} tokens/s; KV {:.2f} MB, {:.0f} % saved]\n",
      j["method"].get<std::string>(), tokens["after"].get<int>(), tokens["before"].get<int>(),
      j["ttft_ms"].get<double>(), ms["image"].get<double>(), ms["tower"].get<double>(),
      ms["projector"].get<double>(), ms["select"].get<double>(), ms["prefill"].get<double>(),
      j["decode_tokens_per_s"].get<double>(), j["kv_bytes"].get<double>() / 1e6, saved);
}

/// What kept tokens are drawn on: the first picture, or of the video the first frames of its steps, one below
/// the other.
engine::Image Conversation::kept_canvas() const {
  if (!pictures_.empty()) return pictures_.front();
  engine::Image strip{frames_.front().width, 0, {}};
  const auto n_frame = static_cast<std::size_t>(model_->clip().n_frame);
  for (std::size_t i = 0; i < frames_.size(); i += n_frame) {
    strip.height += frames_[i].height;
    strip.rgb.insert(strip.rgb.end(), frames_[i].rgb.begin(), frames_[i].rgb.end());
  }
  return strip;
}

void Conversation::write_kept() const {
  auto kept = engine::kept_patches(images_.front(), 0, prefill_);
  WINNOW_CHECK(kept.has_value(), InvalidArgument, "cli.run",
               "--show-kept: {} merges tokens, there are no kept patches to draw", args_.prune.method);
  for (std::size_t step = 0; pictures_.empty() && step < kept->size(); ++step) {
    (*kept)[step].map.top += static_cast<double>(step) * frames_.front().height;
  }
  engine::save_png(engine::draw_kept(kept_canvas(), *kept), args_.show_kept);
}

int run(const RunArguments& args) {
  WINNOW_CHECK(!args.prompts.empty(), InvalidArgument, "cli.run", "no question, expected -p TEXT");
  WINNOW_CHECK(args.show_kept.empty() || !args.images.paths.empty() || args.video.is_given(), InvalidArgument,
               "cli.run", "--show-kept needs an --image or a --video to draw on");
  args.prune.check();
  check_writable(args.show_kept);
  Conversation conversation(args);
  ordered_json turns = ordered_json::array();
  for (const std::string& question : args.prompts) {
    turns.push_back(conversation.ask(question));
    if (!args.json) print_summary(turns.back());
  }
  if (args.json) {
    ordered_json out = turns.front();
    if (turns.size() > 1) out["turns"] = turns;
    fmt::print("{}\n", out.dump(2, ' ', false, ordered_json::error_handler_t::replace));
  }
  return 0;
}

}  // namespace

void add_run(CLI::App& app, Action& action) {
  auto args = std::make_shared<RunArguments>();
  CLI::App& command =
      *app.add_subcommand("run", "Answer a question about pictures or a video, with visual tokens pruned");
  args->images.add_to(command);
  args->video.add_to(command);
  command
      .add_option("-p,--prompt", args->prompts,
                  "Question; several times for several turns of one conversation")
      ->allow_extra_args(false);
  args->prune.add_to(command);
  command.add_option("--max-tokens", args->generate.max_tokens, "Longest answer")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command.add_option("--temp", args->generate.sampling.temperature, "0: greedy")->capture_default_str();
  command.add_option("--top-p", args->generate.sampling.top_p, "Nucleus sampling, 1: off")
      ->capture_default_str();
  command.add_option("--top-k", args->generate.sampling.top_k, "0: off")->capture_default_str();
  command.add_option("--template", args->prompt_template,
                     "vicuna_v1, llava_llama_2, mistral_instruct, qwen2_vl, llava_onevision, plain, or a "
                     "text with {image} and {prompt}");
  command.add_option("--show-kept", args->show_kept,
                     "Write the picture with dropped patches dimmed (PNG); a video as a strip");
  command.add_flag("--json", args->json, "Print one JSON object instead of text");
  args->model.add_to(command);
  command.callback([args, &action] {
    args->generate.sampling.seed = static_cast<uint32_t>(args->prune.seed);
    action = [args] { return run(*args); };
  });
}

}  // namespace winnow::cli
