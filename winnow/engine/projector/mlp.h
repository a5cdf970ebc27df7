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
/// model merges patches, for each group of them. Qwen2-VL's PatchMerger (Wang et al. 2024, arXiv 2409.12191)
/// is the same of 2 x 2 patches, with a LayerNorm of each patch in front; Qwen2.5-VL's has an RMSNorm there.
struct MlpConfig {
  PatchMerge merge;
  int64_t n_in = 0;
  int32_t n_hidden = 0;
  int32_t n_out = 0;
  float norm_eps = 0.0F;  ///< > 0: v.post_ln stands in front
  bool rms_norm = false;  ///< and is an RMSNorm

  /// Width of one patch in front of the merging.
  int64_t d_patch() const { return merge.mean ? n_in : n_in / (int64_t{merge.side} * merge.side); }
};

/// n_in follows from the tower's width and the merging; the other two come from the stored shapes. Throws
/// NotFound, Corrupt, Unsupported.
MlpConfig read_mlp_config(const GgufFile& file, int32_t d_tower, prune::Grid patches);
std::vector<TensorSpec> mlp_tensors(const MlpConfig& config);

/// features [n_patch, d_tower] -> [n_visual, n_out]
std::vector<float> run_mlp(const MlpConfig& config, const Weights& weights, std::span<const float> features,
                           const Execution& execution);

}  // namespace winnow::engine
