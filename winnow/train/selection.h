#pragma once

// Pruning while training: the registry's methods choose visual tokens behind the projector, as at inference.

#include <torch/torch.h>

#include <cstdint>
#include <span>
#include <vector>

#include "winnow/prune/method.h"
#include "winnow/train/model.h"

namespace winnow::train {

/// Throws Unsupported for methods whose signals a training does not have: those of the decoder, and of other
/// tower blocks than the one behind the features.
void check_trainable(const prune::MethodUse& use);

/// One plan for each picture. projected [pictures * n_visual, n_embd]; share: of the tokens that stay.
std::vector<prune::Plan> select_tokens(const prune::MethodUse& use, double share, const ModelShape& shape,
                                       const Model::TowerOut& tower, const torch::Tensor& projected,
                                       uint64_t seed);

/// Output tokens of all plans in a row, [sum n_out, n_embd]; merged tokens are weighted sums and pass
/// gradients on.
torch::Tensor apply_plans(const torch::Tensor& projected, std::span<const prune::Plan> plans,
                          int64_t n_visual);

}  // namespace winnow::train
