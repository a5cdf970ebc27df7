#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "winnow/engine/gguf.h"
#include "winnow/prune/signals.h"

namespace winnow::engine {

/// Groups of side x side neighbouring patches that become one visual token each. The model was trained with
/// it, unlike a prune::Method, which drops or merges tokens of a model trained with all of them.
///   merging  features side by side, as Qwen2-VL's PatchMerger (Wang et al. 2024, arXiv 2409.12191) does
///            before its MLP (the norm of each patch in front of it is MlpConfig's)
///   pooling  their mean, as DeCo (Yao et al. 2024, arXiv 2405.20985) does
/// Groups are in raster order, and so are the patches inside a group.
struct PatchMerge {
  prune::Grid patches;    ///< as the tower leaves them
  int32_t side = 1;       ///< of a group, in patches; 1: every patch is a visual token
  bool mean = false;      ///< pooling
  bool by_group = false;  ///< the tower leaves the patches group after group, not in raster order

  /// Layout of the visual tokens.
  prune::Grid grid() const { return {patches.rows / side, patches.cols / side}; }
  /// Width of what the projector reads, of features of width d.
  int64_t width(int64_t d) const { return mean ? d : d * side * side; }
};

/// Indices of the patches in raster order, one square of side x side after the other. [n_patch]
std::vector<int32_t> patches_by_group(prune::Grid patches, int32_t side);

/// Keys clip.vision.spatial_merge_size (merging, llama.cpp's name) and winnow.projector.pool_size (pooling);
/// absent or 1: none. Throws Corrupt for a size that does not divide the grid, or when both are above 1.
PatchMerge read_patch_merge(const GgufFile& file, prune::Grid patches);

/// features [n_patch, d] -> what the projector reads [n_visual, width(d)]
std::vector<float> merge_patches(const PatchMerge& merge, std::span<const float> features);

/// Mean over each group: values [rows, n_patch, width] -> [rows, n_visual, width].
std::vector<float> group_means(const PatchMerge& merge, std::span<const float> values, int64_t width);

}  // namespace winnow::engine
