#pragma once

// The model's weights under their GGUF names, so that writing a file is a copy.

#include <torch/torch.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "winnow/train/shape.h"

namespace winnow::train {

/// What part of the model a weight belongs to; a training stage moves some of them.
enum class Part { Tower, TowerHead, Projector, Decoder };

/// How a weight is updated: whole matrices by Muon, everything else by AdamW.
enum class Update { Muon, Adam, AdamDecayed };

struct ParameterSpec {
  std::string name;
  std::vector<int64_t> shape;  ///< row-major
  Part part = Part::Decoder;
  Update update = Update::Adam;
  float init_std = 0.0F;  ///< normal; 0: the constant init_value
  float init_value = 0.0F;
};

/// Every weight of a model, in the order of the data's way. TowerHead: the labels' heads of the tower's
/// pre-training, which no model file holds.
std::vector<ParameterSpec> parameter_specs(const ModelShape& shape);

/// Numbers of outputs of the labels' heads.
struct DenseHeads {
  static constexpr int64_t kShape = 11, kColour = 9, kSize = 4, kGlyph = 37, kBox = 4;
  static constexpr int64_t kTotal = kShape + kColour + kSize + 2 * kGlyph + kBox;
  static constexpr int64_t kPairs = 80, kCount = 16;
};

using Parameters = std::map<std::string, torch::Tensor>;

/// Random start, equal for a seed whatever the order of the table. The rows of coordinate tokens in embedding
/// and head are smooth functions of the coordinate, so that neighbours start alike (coordinate_rows: token ->
/// 0..1).
Parameters initial_parameters(const ModelShape& shape, uint64_t seed,
                              const std::map<int32_t, float>& coordinate_rows);

/// Leaves with gradients of their own that share the weights' memory: one set for each worker.
Parameters leaves(const Parameters& parameters);

}  // namespace winnow::train
