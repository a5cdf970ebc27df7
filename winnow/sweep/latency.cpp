#include "winnow/sweep/latency.h"

#include <algorithm>
#include <map>
#include <utility>

#include "winnow/base/error.h"
#include "winnow/base/progress.h"
#include "winnow/base/rng.h"
#include "winnow/engine/flops.h"
#include "winnow/engine/generate.h"
#include "winnow/engine/stopwatch.h"

namespace winnow::sweep {
namespace {

/// Visual tokens of each layer plus the text -> FLOPs of the decoder's prefill.
double count_flops(const engine::LlamaConfig& llama, const engine::PrefillResult& prefill) {
  std::vector<int32_t> tokens(static_cast<std::size_t>(llama.n_layer),
                              prefill.n_visual_before + prefill.n_text);
  for (const engine::StepResult& step : prefill.steps) {
    if (step.layer == prune::kBeforeTower) continue;  // n_visual_before is of the smaller picture
    const int32_t change = step.plan.n_out() - step.n_before;
    for (int32_t il = std::max(step.layer, 0); il < llama.n_layer; ++il)
      tokens[static_cast<std::size_t>(il)] += change;
  }
  return engine::decoder_prefill_flops(llama, tokens);
}

double median_of(const std::vector<record::StageTimes>& runs, double record::StageTimes::*part) {
  std::vector<double> values;
  for (const record::StageTimes& run : runs) values.push_back(run.*part);
  return spread_of(std::move(values)).median;
}

/// Sessions that differ in how they attend, and the prompt.
class Clock {
 public:
  Clock(std::shared_ptr<const engine::Model> model, const LatencyOptions& options)
      : model_(std::move(model)), options_(options) {
    const auto form =
        engine::choose_template(options.prompt_template, model_->text_file(), model_->tokenizer());
    prompt_ = engine::make_turn(form, options.prompt, 1, true, model_->tokenizer());
  }

  /// One answer; counts go to `latency`.
  record::StageTimes run(const LatencyCase& one, const engine::Image& picture, Latency& latency) {
    engine::PruneOptions prune = one.prune;
    prune.question = options_.prompt;
    const TimedAnswer answer =
        time_answer(session_of(one.flash), picture, options_.fit, prompt_, prune, options_.n_decode);
    latency.n_text = answer.prefill.n_text;
    latency.n_visual_before = answer.prefill.n_visual_before;
    latency.n_visual_after = answer.prefill.n_visual_after;
    latency.n_visual_average = answer.prefill.n_visual_average;
    latency.kv_bytes = answer.prefill.kv_bytes;
    latency.encode_flops = answer.encode_flops;
    latency.prefill_flops = answer.prefill_flops;
    return answer.ms;
  }

 private:
  engine::Session& session_of(engine::FlashAttention flash) {
    std::unique_ptr<engine::Session>& session = sessions_[flash];
    if (session == nullptr) {
      engine::SessionOptions options = options_.session;
      options.flash = flash;
      session = std::make_unique<engine::Session>(model_, options);
    }
    return *session;
  }

  std::shared_ptr<const engine::Model> model_;
  const LatencyOptions& options_;
  engine::Prompt prompt_;
  std::map<engine::FlashAttention, std::unique_ptr<engine::Session>> sessions_;
};

void take_medians(const std::vector<record::StageTimes>& runs, Latency& out) {
  for (auto part : {&record::StageTimes::image, &record::StageTimes::tower, &record::StageTimes::projector,
                    &record::StageTimes::select, &record::StageTimes::gather, &record::StageTimes::prefill,
                    &record::StageTimes::decode})
    out.ms.*part = median_of(runs, part);
  std::vector<double> first;
  for (const record::StageTimes& run : runs) first.push_back(run.first_token());
  out.first_token_ms = spread_of(std::move(first));
}

}  // namespace

engine::Image default_picture(const engine::Model& model) {
  engine::Image image;
  // Of a model that cuts pictures into tiles 2 x 2 of them.
  image.width = image.height = model.clip().image_size_px * (model.tiling().cuts() ? 4 : 3) / 2;
  image.rgb.resize(static_cast<std::size_t>(image.width) * image.height * 3);
  Rng rng(1);
  for (std::size_t i = 0; i < image.rgb.size(); ++i)
    image.rgb[i] = static_cast<uint8_t>((i / 24 % 97) + rng.below(64));
  return image;
}

TimedAnswer time_answer(engine::Session& session, const engine::Image& picture, engine::ImageFit fit,
                        const engine::Prompt& prompt, const engine::PruneOptions& prune, int32_t n_decode) {
  session.clear();
  const engine::EncodedImage image = session.encode(picture, fit, session.tower_request(prune));
  TimedAnswer out;
  out.prefill = session.prefill(prompt, {&image}, prune, n_decode);
  out.ms = {image.preprocess_ms,
            image.tower_ms,
            image.projector_ms,
            out.prefill.select_ms,
            out.prefill.gather_ms,
            out.prefill.prefill_ms,
            0.0};
  out.kv_bytes_allocated = session.cache().bytes_allocated();
  std::vector<float> logits = out.prefill.logits;
  engine::Sampler greedy({});
  const engine::Stopwatch watch;
  for (int32_t i = 0; i < n_decode; ++i) logits = session.decode(greedy.pick(logits));
  out.ms.decode = watch.ms();
  const engine::Model& model = session.model();
  out.prefill_flops = count_flops(model.llama(), out.prefill);
  out.encode_flops = image.n_tile() * engine::tower_flops(model.clip(), image.tower_rows) +
                     engine::projector_flops(model.mlp(), image.n_projected());
  return out;
}

std::vector<Latency> measure(const std::shared_ptr<const engine::Model>& model, const engine::Image& picture,
                             std::span<const LatencyCase> cases, const LatencyOptions& options) {
  WINNOW_CHECK(options.n_repetitions >= 1 && options.n_warmup >= 0, InvalidArgument, "sweep.latency",
               "repetitions, got {} after {} for warm-up, expected 1 or more after 0 or more",
               options.n_repetitions, options.n_warmup);
  Clock clock(model, options);
  const std::size_t n = cases.size();
  std::vector<Latency> out(n);
  std::vector<std::vector<record::StageTimes>> runs(n);
  const int32_t n_rounds = options.n_warmup + options.n_repetitions;
  Progress progress("measuring", static_cast<int64_t>(n) * n_rounds);
  for (int32_t round = 0; round < n_rounds; ++round) {
    for (std::size_t i = 0; i < n; ++i) {
      const std::size_t c = (i + static_cast<std::size_t>(round)) % n;
      const record::StageTimes t = clock.run(cases[c], picture, out[c]);
      if (round >= options.n_warmup) runs[c].push_back(t);
      progress.step();
    }
  }
  for (std::size_t c = 0; c < n; ++c) {
    out[c].name = cases[c].name;
    take_medians(runs[c], out[c]);
  }
  return out;
}

}  // namespace winnow::sweep
