#pragma once

// Latency under load: several sessions of one model answer at the same time.

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "winnow/engine/image.h"
#include "winnow/engine/prompt.h"
#include "winnow/engine/session.h"

namespace winnow::cli {

/// What every session is asked, again and again.
struct LoadRequest {
  std::string image_path;
  engine::ImageLimits limits;
  engine::ImageFit fit = engine::ImageFit::Pad;
  engine::Prompt prompt;
  int32_t n_decode = 0;  ///< tokens after the first
};

/// A closed loop: each session answers its requests one after the other.
struct LoadOptions {
  engine::SessionOptions session;  ///< n_threads: of all sessions together
  int32_t n_sessions = 1;
  int32_t n_repetitions = 1;  ///< measured requests of each session
  int32_t n_warmup = 0;       ///< before them, not counted; in each of the two passes
};

/// One configuration with one number of sessions.
struct LoadResult {
  int32_t n_sessions = 0;
  int32_t n_threads = 0;           ///< of each session
  double wall_ms = 0.0;            ///< while requests were answered
  std::vector<double> ttft_ms;     ///< [n_sessions * n_repetitions] from the request to the first logits
  std::vector<double> answer_ms;   ///< the same to the last token
  int64_t kv_bytes = 0;            ///< rows in the caches of all sessions after their prompts
  int64_t kv_bytes_allocated = 0;  ///< memory of these caches
  int64_t peak_rss_bytes = 0;      ///< of the process so far
};

/// Threads of each session when n_sessions share n_threads: equal parts, at least 1.
int32_t threads_per_session(int32_t n_threads, int32_t n_sessions);

/// Each configuration in turn, in two passes of which the second goes backwards, so that a machine that
/// becomes slower or faster does so for all of them; half of the repetitions in each. Sessions share the
/// model. Calls `step` after each pass of a configuration. Throws what a session throws, and Internal when
/// two answers to the same request differ.
std::vector<LoadResult> measure_load(const std::shared_ptr<const engine::Model>& model,
                                     const LoadRequest& request,
                                     std::span<const engine::PruneOptions> configurations,
                                     const LoadOptions& options, const std::function<void()>& step);

/// Fields of docs/bench-json.md, "Under load".
nlohmann::ordered_json load_json(const LoadResult& result);
/// One line for each configuration of a report and each number of sessions.
void print_load(const nlohmann::ordered_json& report);

}  // namespace winnow::cli
