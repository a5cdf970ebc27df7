#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "winnow/engine/session.h"

namespace winnow::engine {

struct GenerateOptions {
  int32_t max_tokens = 256;
  SamplingOptions sampling;
};

struct Generation {
  std::vector<int32_t> tokens;  ///< without the end token
  std::string text;             ///< leading blanks removed
  bool ended = false;           ///< by an end token, not by max_tokens or a full context
  double first_token_ms = 0.0;  ///< picking the first token from the prefill's logits
  double decode_ms = 0.0;       ///< all decode steps
  int32_t n_decoded = 0;        ///< decode steps run

  double tokens_per_s() const { return decode_ms > 0.0 ? 1000.0 * n_decoded / decode_ms : 0.0; }
};

/// Called with each new stretch of text; return false to stop.
using TextSink = std::function<bool(std::string_view)>;

/// Continues from a prefill's logits until an end token, max_tokens or a full context. Throws InvalidArgument
/// for max_tokens < 0.
Generation generate(Session& session, std::vector<float> logits, const GenerateOptions& options,
                    const TextSink& sink = {});

}  // namespace winnow::engine
