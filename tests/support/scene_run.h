#pragma once

// Runs a model over questions about procedural scenes, with several pruning configurations at once, and
// counts right answers. For the built-in model's tests and its accuracy tables (bench/scenes_accuracy.cpp).

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tests/support/scene_score.h"
#include "winnow/engine/session.h"
#include "winnow/scenes/benchmark.h"

namespace winnow::testing {

/// Which pictures the model is shown with a question.
enum class Shown : uint8_t {
  Own,
  None,   ///< the blind baseline: a prompt without pictures
  Other,  ///< as many pictures, of other questions of the benchmark
};

struct Configuration {
  std::string name;
  engine::PruneOptions prune;  ///< its seed is not used: each question draws one
  Shown shown = Shown::Own;
};
/// "METHOD[@KEEP][+layer=K][+position=POLICY]" for a decoder of n_layer layers. Throws InvalidArgument,
/// NotFound.
Configuration parse_configuration(const std::string& text, int32_t n_layer);

/// What one configuration answered to one question.
struct Outcome {
  std::string answer;
  Verdict verdict;
  bool circular = false;  ///< right in every rotation of the options (where they are asked)
};

struct SceneRunOptions {
  uint64_t seed = 0;        ///< of methods that draw; every question has a stream of its own
  int32_t n_workers = 1;    ///< threads, each with a session of one thread
  int32_t max_tokens = 24;  ///< a box is the longest answer
  bool circular = false;    ///< ask multiple-choice questions in all rotations
};

/// Greedy answers, [items, configurations] row-major. Every picture is encoded once for all configurations;
/// the result does not depend on n_workers. Throws what the engine throws, and InvalidArgument when
/// Shown::Other finds too few pictures.
std::vector<Outcome> answer_items(const std::shared_ptr<const engine::Model>& model,
                                  std::span<const scenes::BenchmarkItem> items,
                                  std::span<const Configuration> configurations,
                                  const SceneRunOptions& options);

struct Tally {
  int32_t n = 0;
  int32_t right = 0;
  int32_t n_circular = 0;  ///< right in every rotation
  int32_t n_boxes = 0;     ///< answers that hold a box (Ground)
  double iou_sum = 0.0;    ///< over them; all others count 0

  void add(const Outcome& outcome);
  Share share() const { return {right, n}; }
  double mean_iou() const { return n > 0 ? iou_sum / n : 0.0; }
};
struct BenchmarkScore {
  std::vector<Tally> all;                            // [configurations]
  std::map<scenes::Task, std::vector<Tally>> tasks;  // [configurations] each
};
/// Adds up what answer_items() returned for the items.
BenchmarkScore add_up(std::span<const scenes::BenchmarkItem> items, std::span<const Outcome> outcomes);

}  // namespace winnow::testing
