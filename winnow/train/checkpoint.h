#pragma once

#include <cstdint>
#include <string>

#include "winnow/train/parameters.h"
#include "winnow/train/shape.h"

namespace winnow::train {

/// Everything that a training needs to go on exactly: weights, moments and where it stands. Batches are drawn
/// from the seed and the step, so no generator's state is in it.
struct Checkpoint {
  std::string settings;  ///< JSON of shape, recipe, seed and workers: a training goes on only with equal
                         ///< ones, but for the length
  int64_t stage = 0;
  int64_t step = 0;  ///< steps done in the stage
  double seconds = 0.0;
  Parameters parameters;
  Parameters moments;
};

/// Writes beside the file and renames, so that a full disk or a kill leaves the older checkpoint whole.
/// Throws Io.
void write_checkpoint(const std::string& path, const Checkpoint& checkpoint);
/// Throws NotFound, Corrupt (not a checkpoint, cut short, changed since it was written).
Checkpoint read_checkpoint(const std::string& path);
/// Throws Corrupt when a weight is missing, or a weight or a moment has another shape than `shape` says.
/// `path` is for the message.
void check_weights(const std::string& path, const Checkpoint& checkpoint, const ModelShape& shape);

/// Writes bytes beside `path` and renames. Throws Io with what the system said.
void write_atomically(const std::string& path, const char* data, std::size_t n_bytes);

}  // namespace winnow::train
