#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "winnow/train/optimizer.h"
#include "winnow/train/shape.h"

namespace winnow::train {

/// One part of a training: what it teaches, how long.
struct Stage {
  enum class Task { Pictures, Descriptions, Questions };
  std::string name;
  Task task = Task::Questions;
  int64_t steps = 0;
  int32_t samples = 16;     ///< pictures, or prompts with their questions, in a step over all workers
  double tower_rate = 0.0;  ///< of the peak rate; 0: the tower stands still and needs no gradient
  bool late = false;        ///< more questions of the kinds that are learned last
  bool needles = false;     ///< an eighth of the samples show two to ten pictures in a prompt each
};

struct Recipe {
  std::string name;
  std::vector<Stage> stages;
  double peak_rate = 2e-3;
  double tower_peak_rate = 2e-3;
  int32_t n_questions = 16;
  int64_t validate_every = 400;
  int64_t checkpoint_every = 200;
  int32_t validation_samples = 64;
};

/// "default": the built-in model. "text": the same with a stage before the pictures in which the decoder
/// answers from descriptions in words. "tune": projector and decoder of a finished model go on, for a variant
/// of it. "mini": a toy of the same code that runs in two minutes, for tests.
/// Throws InvalidArgument.
Recipe recipe_named(const std::string& name);
/// The shape that goes with it.
ModelShape shape_named(const std::string& name);

/// Learning rates of a step: a warm-up, a plateau, then straight down to 3 % over the last 35 % (the tower's
/// own stage has its own course, the question stages share one).
StepRates rates_at(const Recipe& recipe, int64_t stage, int64_t step);

}  // namespace winnow::train
