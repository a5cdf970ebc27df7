#pragma once

// What one answer takes, measured: the protocol of `winnow bench` (docs/performance.md) for programs.
// Configurations take turns, so that a machine that becomes slower does so for all of them. FLOPs are
// counted, everything else is measured.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "winnow/base/quantile.h"
#include "winnow/engine/image.h"
#include "winnow/engine/session.h"
#include "winnow/record/result_row.h"

namespace winnow::sweep {

struct LatencyOptions {
  engine::SessionOptions session;
  std::string prompt_template;
  std::string prompt = "What is in this picture? Answer with one short sentence.";
  engine::ImageFit fit = engine::ImageFit::Pad;
  int32_t n_decode = 4;  ///< tokens behind the first
  int32_t n_repetitions = 9;
  int32_t n_warmup = 1;
};

/// One configuration and how its session attends.
struct LatencyCase {
  std::string name;
  engine::PruneOptions prune;
  engine::FlashAttention flash = engine::FlashAttention::Auto;
};

/// Medians over the repetitions, milliseconds.
struct Latency {
  std::string name;
  record::StageTimes ms;  ///< of each stage by itself
  Spread first_token_ms;  ///< of the whole: image to first token
  int32_t n_text = 0, n_visual_before = 0, n_visual_after = 0;
  double n_visual_average = 0.0;  ///< mean over the layers
  int64_t kv_bytes = 0;
  double encode_flops = 0.0;   ///< tower and projector
  double prefill_flops = 0.0;  ///< decoder
};

/// A picture with structure, for when none is given: what is in it does not change what it takes.
engine::Image default_picture(const engine::Model& model);

/// One answer: from the decoded picture to the last token.
struct TimedAnswer {
  record::StageTimes ms;
  engine::PrefillResult prefill;
  int64_t kv_bytes_allocated = 0;  ///< right after the prefill
  double encode_flops = 0.0;       ///< tower and projector
  double prefill_flops = 0.0;      ///< decoder
};

/// n_decode greedy tokens behind the first. Begins with an empty session. Throws what the session throws.
TimedAnswer time_answer(engine::Session& session, const engine::Image& picture, engine::ImageFit fit,
                        const engine::Prompt& prompt, const engine::PruneOptions& prune, int32_t n_decode);

/// In the order of the cases. Throws what sessions throw, InvalidArgument for no repetitions.
std::vector<Latency> measure(const std::shared_ptr<const engine::Model>& model, const engine::Image& picture,
                             std::span<const LatencyCase> cases, const LatencyOptions& options);

}  // namespace winnow::sweep
