#pragma once

// Asks a model the questions of benchmarks under several configurations. A picture goes through the tower
// once for all of them, so the times in the rows are no latency measurement: winnow bench is.

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "winnow/engine/session.h"
#include "winnow/eval/benchmark.h"
#include "winnow/record/result_row.h"
#include "winnow/record/run_header.h"
#include "winnow/sweep/configuration.h"

namespace winnow::sweep {

/// A benchmark and all questions of the run, those of other shards included.
struct Questions {
  const eval::Benchmark* benchmark = nullptr;
  std::vector<eval::Item> items;
};

struct SweepOptions {
  eval::Convention convention = eval::Convention::Llava;
  engine::SessionOptions session;  ///< n_threads: of all jobs together
  int32_t n_jobs = 1;              ///< questions answered at once, each by a session of its own
  std::string prompt_template;
  engine::ImageFit fit = engine::ImageFit::Pad;
  engine::ImageLimits limits;
  int32_t max_tokens = 0;     ///< of an answer; 0: as the convention says
  uint64_t seed = 0;          ///< of methods that draw; every question has its own, made of this and its id
  bool keep_indices = false;  ///< rows with the indices of kept tokens
  record::Shard shard;        ///< groups of questions are dealt out in turn
};

/// Answers every question of the shard under every configuration, except the rows that `is_done`. Rows are
/// handed to `take` in the order benchmarks, questions, configurations, whatever n_jobs is, by one thread at
/// a time. A question that fails becomes a row with its error. Throws what loading sessions and templates
/// throws, Unsupported for a configuration that the model cannot run, and what `take` throws (then no further
/// row is handed over).
void sweep(const std::shared_ptr<const engine::Model>& model, std::span<const Questions> questions,
           std::span<const Configuration> configurations, const SweepOptions& options,
           const std::function<bool(const std::string& benchmark, int64_t index, const std::string& config)>&
               is_done,
           const std::function<void(const record::ResultRow&)>& take);

/// SHA-256 over ids, groups, prompts and true answers of the questions.
std::string digest_of(const Questions& questions, eval::Convention convention);

/// Seed of one question's methods.
uint64_t question_seed(uint64_t seed, const std::string& question_id);

}  // namespace winnow::sweep
