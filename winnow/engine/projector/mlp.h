#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "winnow/engine/gguf.h"
#include "winnow/engine/graph.h"
#include "winnow/engine/projector/patch_merge.h"
#include "winnow/engine/weights.h"

namespace winnow::engine {

/// LLaVA-1.5's projector (Liu et al. 2023, arXiv 2310.03744): Linear, GELU, Linear, for each patch or, if the
/// model merges patches, for each group of them.
struct MlpConfig {
  PatchMerge merge;
  int64_t n_in = 0;
  int32_t n_hidden = 0;
  int32_t n_out = 0;
};

/// n_in follows from the tower's width and the merging; the other two come from the stored shapes. Throws
/// Corrupt, Unsupported.
MlpConfig read_mlp_config(const GgufFile& file, int32_t d_tower, prune::Grid patches);
std::vector<TensorSpec> mlp_tensors(const MlpConfig& config);

/// features [n_patch, d_tower] -> [n_visual, n_out]
std::vector<float> run_mlp(const MlpConfig& config, const Weights& weights, std::span<const float> features,
                           const Execution& execution);

}  // namespace winnow::engine
