#pragma once

// The file of `winnow bench --json`: what was measured, configuration by configuration.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "winnow/base/quantile.h"

namespace winnow::report {

/// What is counted only where Winnow itself ran.
struct OwnCosts {
  double visual_before = 0.0, visual_after = 0.0, visual_average = 0.0;  ///< tokens; mean over the layers
  double prefill_flops = 0.0, tower_flops = 0.0;
  double kv_bytes = 0.0, kv_bytes_unpruned = 0.0;
  double realised = 0.0, ideal_flops = 0.0, ideal_tokens = 0.0;  ///< speed-ups of the prefill
  double amdahl_ceiling = 0.0;  ///< speed-up to the first token if the decoder took no time
};

/// Several sessions at once.
struct LoadPoint {
  int64_t n_sessions = 0, n_threads_per_session = 0;
  double answers_per_s = 0.0;
  double first_token_ms = 0.0, first_token_p90_ms = 0.0, answer_ms = 0.0, answer_p90_ms = 0.0;
  double kv_bytes = 0.0, peak_rss_bytes = 0.0;
};

struct BenchConfiguration {
  std::string name;
  double prompt_tokens = 0.0;  ///< unpruned
  std::map<std::string, double>
      stage_ms;  ///< medians: image, tower, projector, select, gather, prefill, decode
  Spread first_token_ms;
  double first_token_speedup = 0.0;
  double decode_tokens_per_s = 0.0;
  std::optional<OwnCosts> own;
  std::vector<LoadPoint> load;
};

struct BenchFile {
  std::string winnow, model, backend;
  int64_t n_threads = 0, n_repetitions = 0, n_warmup = 0, n_decode = 0;
  double peak_rss_bytes = 0.0;
  std::vector<BenchConfiguration> configurations;  ///< the unpruned one first
};

/// Throws NotFound, Io, Corrupt (file, configuration and field).
BenchFile read_bench(const std::string& path);

}  // namespace winnow::report
