#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "winnow/engine/gguf.h"
#include "winnow/engine/graph.h"
#include "winnow/engine/image.h"
#include "winnow/engine/weights.h"
#include "winnow/prune/signals.h"

namespace winnow::engine {

/// CLIP vision transformer (Radford et al. 2021, arXiv 2103.00020), read from an mmproj file's clip.vision.*
/// keys.
struct ClipConfig {
  int32_t image_size_px = 0;
  int32_t patch_size_px = 0;
  int32_t n_embd = 0;
  int32_t n_ff = 0;
  int32_t n_head = 0;
  int32_t n_layer = 0;  ///< blocks to run; the projector reads the output of the last of them
  int32_t n_layer_stored = 0;
  int32_t n_layer_run =
      0;  ///< n_layer, or all stored ones for a trace: the features stay those of block n_layer - 1
  float eps = 1e-5f;
  bool use_gelu = false;     ///< exact GELU instead of CLIP's quick GELU
  bool ffn_swapped = false;  ///< oldest files call the two feed-forward matrices by each other's names
  std::array<float, 3> mean{};
  std::array<float, 3> std{};

  prune::Grid grid() const { return {image_size_px / patch_size_px, image_size_px / patch_size_px}; }
  int32_t n_patch() const { return grid().size(); }
};

/// Which block's output the projector reads, from: `feature_blocks` (number of blocks to run, > 0 when the
/// user says so), else the key clip.vision.feature_layer, else the stored count. LLaVA reads the second-last
/// block: legacy files drop the last block and count one fewer; complete files store all. Every published
/// CLIP tower has an even number of blocks, so an odd count is a legacy file (run all) and an even one is
/// complete (run all but the last). Throws NotFound, Corrupt, Unsupported.
ClipConfig read_clip_config(const GgufFile& file, int32_t feature_blocks = 0);
std::vector<TensorSpec> clip_tensors(const ClipConfig& config);

/// What a method asked for, block by block.
struct TowerRequest {
  std::vector<prune::Need> needs;  ///< tower signals only
};

/// One filled request; rows as prune::Signals says.
struct TowerSignal {
  prune::Need need;
  int64_t rows = 0;
  std::vector<float> values;  // [rows, n_patch] or, for keys, [n_patch, n_embd]
};

struct TowerOutput {
  std::vector<float> features;  // [n_patch, n_embd], without [CLS]
  std::vector<TowerSignal> signals;
};

/// pixels [3, size, size] -> features; requested attention rows are computed beside the fused attention.
TowerOutput run_clip(const ClipConfig& config, const Weights& weights, const Pixels& pixels,
                     const TowerRequest& request, const Execution& execution);

}  // namespace winnow::engine
