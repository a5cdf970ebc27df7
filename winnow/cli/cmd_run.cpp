// winnow run: an answer to a question about pictures, with what pruning saved.

#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "winnow/base/error.h"
#include "winnow/base/process.h"
#include "winnow/cli/arguments.h"
#include "winnow/cli/command.h"
#include "winnow/engine/generate.h"

namespace winnow::cli {
namespace {

using nlohmann::ordered_json;

struct RunArguments {
  ModelArguments model;
  PruneArguments prune;
  ImageArguments images;
  std::vector<std::string> prompts;
  std::string prompt_template;
  engine::GenerateOptions generate;
  std::string show_kept;
  bool json = false;
};

/// Everything one turn measured.
struct Turn {
  std::string question;
  engine::PrefillResult prefill;
  engine::Generation answer;
};

double sum_of(const std::vector<engine::EncodedImage>& images, double engine::EncodedImage::*part) {
  double total = 0.0;
  for (const engine::EncodedImage& image : images) total += image.*part;
  return total;
}

ordered_json schedule_json(const engine::PruneOptions& options, const engine::PrefillResult& prefill) {
  ordered_json steps = ordered_json::array();
  for (std::size_t i = 0; i < options.steps.size(); ++i) {
    const prune::Step& step = options.steps[i];
    ordered_json kept = ordered_json::array();
    for (const engine::StepResult& result : prefill.steps) {
      if (result.layer == step.layer && result.method == step.use.method->info().name) {
        kept.push_back(result.plan.n_out());
      }
    }
    steps.push_back({{"method", step.use.to_string()},
                     {"stage", step.layer < 0 ? "after_tower" : "before_layer"},
                     {"layer", step.layer < 0 ? ordered_json(nullptr) : ordered_json(step.layer)},
                     {"budget", step.budget.to_string()},
                     {"budget_mode", prune::budget_mode_name(step.budget.mode)},
                     {"kept_per_image", kept}});
  }
  return steps;
}

/// The record of the last turn; docs/run-json.md names every field.
ordered_json turn_json(const RunArguments& args, const engine::PruneOptions& options,
                       const engine::Session& session, const std::vector<engine::EncodedImage>& images,
                       double load_ms, const Turn& turn) {
  const double image_ms = load_ms + sum_of(images, &engine::EncodedImage::preprocess_ms);
  const double tower_ms = sum_of(images, &engine::EncodedImage::tower_ms);
  const double projector_ms = sum_of(images, &engine::EncodedImage::projector_ms);
  const engine::PrefillResult& p = turn.prefill;
  const double ttft = image_ms + tower_ms + projector_ms + p.select_ms + p.gather_ms + p.prefill_ms +
                      turn.answer.first_token_ms;
  return {
      {"answer", turn.answer.text},
      {"question", turn.question},
      {"method", options.steps.empty() ? "none" : options.steps.front().use.method->info().name},
      {"schedule", schedule_json(options, p)},
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
        {"decode", turn.answer.decode_ms}}},
      {"ttft_ms", ttft},
      {"decode_tokens", turn.answer.n_decoded},
      {"decode_tokens_per_s", turn.answer.tokens_per_s()},
      {"ended", turn.answer.ended},
      {"kv_bytes", p.kv_bytes},
      {"kv_bytes_unpruned", p.kv_bytes_unpruned},
      {"kv_bytes_allocated", session.cache().bytes_allocated()},
      {"peak_rss_bytes", peak_rss_bytes()},
      {"model_load_ms", session.model().load_ms()},
      {"seed", args.prune.seed},
      {"threads", session.n_threads()},
      {"backend", backend_text(session.model())},
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

/// Draws the tokens that the last step left of image 0.
void write_kept(const RunArguments& args, const std::vector<engine::Image>& pictures,
                const std::vector<engine::EncodedImage>& images, const engine::PrefillResult& prefill) {
  std::vector<int32_t> kept(static_cast<std::size_t>(images.front().grid.size()));
  for (std::size_t i = 0; i < kept.size(); ++i) kept[i] = static_cast<int32_t>(i);
  for (const engine::StepResult& step : prefill.steps) {
    if (step.image != 0) continue;
    WINNOW_CHECK(step.plan.is_selection(), InvalidArgument, "cli.run",
                 "--show-kept: {} merges tokens, there are no kept patches to draw", step.method);
    kept = step.kept;
  }
  const prune::Grid grid = images.front().grid;
  engine::save_png(engine::draw_kept(pictures.front(), images.front().pixels, grid.rows, grid.cols, kept),
                   args.show_kept);
}

Turn run_turn(const RunArguments& args, const engine::PruneOptions& options, engine::Session& session,
              const engine::PromptTemplate& form, const std::string& question,
              const std::vector<const engine::EncodedImage*>& images, bool first) {
  Turn turn{question, {}, {}};
  const auto n_images = static_cast<int32_t>(images.size());
  const engine::Prompt prompt =
      engine::make_turn(form, question, n_images, first, session.model().tokenizer());
  turn.prefill = session.prefill(prompt, images, options, args.generate.max_tokens);
  for (const std::string& note : turn.prefill.notes) fmt::print(stderr, "winnow: note: {}\n", note);
  const auto stream = [&](std::string_view text) {
    if (!args.json) {
      fmt::print("{}", text);
      std::fflush(stdout);
    }
    return true;
  };
  turn.answer = engine::generate(session, std::move(turn.prefill.logits), args.generate, stream);
  if (!args.json) fmt::print("\n");
  return turn;
}

int run(const RunArguments& args) {
  WINNOW_CHECK(!args.prompts.empty(), InvalidArgument, "cli.run", "no question, expected -p TEXT");
  WINNOW_CHECK(args.show_kept.empty() || !args.images.paths.empty(), InvalidArgument, "cli.run",
               "--show-kept needs an --image to draw on");
  args.prune.check();
  engine::Stopwatch watch;
  const auto model_options = args.model.model_options();
  const std::vector<engine::Image> pictures = args.images.load();
  const double load_ms = watch.lap();
  const auto fit = engine::parse_image_fit(args.images.fit);
  const auto model = engine::Model::load(model_options);
  engine::Session session(model, args.model.session_options());
  const engine::PruneOptions options = args.prune.options(model->llama().n_layer);
  const auto form = engine::choose_template(args.prompt_template, model->text_file(), model->tokenizer());

  const engine::TowerRequest request = engine::Session::tower_request(options);
  std::vector<engine::EncodedImage> images;
  std::vector<const engine::EncodedImage*> image_refs;
  for (const engine::Image& picture : pictures) images.push_back(session.encode(picture, fit, request));
  for (const engine::EncodedImage& image : images) image_refs.push_back(&image);

  ordered_json turns = ordered_json::array();
  for (std::size_t i = 0; i < args.prompts.size(); ++i) {
    const bool first = i == 0;
    const Turn turn = run_turn(args, options, session, form, args.prompts[i],
                               first ? image_refs : std::vector<const engine::EncodedImage*>{}, first);
    if (first && !args.show_kept.empty()) write_kept(args, pictures, images, turn.prefill);
    turns.push_back(turn_json(args, options, session, first ? images : std::vector<engine::EncodedImage>{},
                              first ? load_ms : 0.0, turn));
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
      *app.add_subcommand("run", "Answer a question about pictures, with visual tokens pruned");
  args->images.add_to(command);
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
  command.add_option(
      "--template", args->prompt_template,
      "vicuna_v1, llava_llama_2, mistral_instruct, plain, or a text with {image} and {prompt}");
  command.add_option("--show-kept", args->show_kept, "Write the picture with dropped patches dimmed (PNG)");
  command.add_flag("--json", args->json, "Print one JSON object instead of text");
  args->model.add_to(command);
  command.callback([args, &action] {
    args->generate.sampling.seed = static_cast<uint32_t>(args->prune.seed);
    action = [args] { return run(*args); };
  });
}

}  // namespace winnow::cli
