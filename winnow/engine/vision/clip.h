#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "winnow/engine/gguf.h"
#include "winnow/engine/graph.h"
#include "winnow/engine/image.h"
#include "winnow/engine/image_own_size.h"
#include "winnow/engine/vision/clip_block.h"
#include "winnow/engine/weights.h"
#include "winnow/prune/method.h"
#include "winnow/prune/schedule.h"

namespace winnow::engine {

/// CLIP vision transformer (Radford et al. 2021, arXiv 2103.00020), or SigLIP's (Zhai et al. 2023, arXiv
/// 2303.15343), read from an mmproj file's clip.vision.* keys.
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
  bool has_next_block =
      false;            ///< queries and keys of block n_layer are stored: for signals, not for features
  bool has_cls = true;  ///< a [CLS] token stands before the patches
  bool siglip = false;  ///< no [CLS], no norm in front of the blocks, GELU in its tanh form
  float eps = 1e-5f;
  bool use_gelu = false;     ///< exact GELU instead of CLIP's quick GELU
  bool ffn_swapped = false;  ///< oldest files call the two feed-forward matrices by each other's names
  std::array<float, 3> mean{};
  std::array<float, 3> std{};

  // What Qwen2-VL's tower has instead (qwen2_vl.h):
  bool rotary = false;     ///< positions turn queries and keys; no table, no norm in front of the blocks
  int32_t group_side = 1;  ///< patches are read in squares of this side, one after the other
  int32_t n_frame = 1;     ///< frames to a patch, each with its own kernel; a picture's are all equal
  bool reads_video = false;
  PixelRange own_size{};  ///< a picture is read in about its own size; image_size_px is only typical
  prune::Grid fitted{};   ///< patches of the picture at hand; {0, 0}: image_size_px

  // And Qwen2.5-VL's (windows.h):
  bool rms_norm = false;    ///< RMSNorm instead of LayerNorm
  bool gated = false;       ///< SiLU of a gate instead of an activation between the two matrices
  int32_t window_side = 0;  ///< > 0: attention is in windows of that side, in groups
  int32_t full_every = 1;   ///< but in every block of that number

  bool takes_any_size() const { return own_size.max > 0; }
  bool is_windowed(int32_t il) const { return window_side > 0 && (il + 1) % full_every != 0; }
  ClipBlockShape block() const {
    return {"v", n_embd, n_ff, n_head, eps, use_gelu, ffn_swapped, siglip, rms_norm, gated};
  }
  prune::Grid grid() const {
    return fitted.rows > 0 ? fitted
                           : prune::Grid{image_size_px / patch_size_px, image_size_px / patch_size_px};
  }
  int32_t n_patch() const { return grid().size(); }
  /// Patches and [CLS].
  int32_t n_token() const { return n_patch() + (has_cls ? 1 : 0); }
  /// Of n rows in a trace: pictures of any size have no batch dimension.
  std::vector<int64_t> shape(int64_t n) const {
    return takes_any_size() ? std::vector<int64_t>{n, n_embd} : std::vector<int64_t>{1, n, n_embd};
  }
};

/// Which block's output the projector reads, from: `feature_blocks` (number of blocks to run, > 0 when the
/// user says so), else the key clip.vision.feature_layer, else the stored count. LLaVA reads the second-last
/// block: legacy files drop the last block and count one fewer; complete files store all. Every published
/// CLIP tower has an even number of blocks, so an odd count is a legacy file (run all) and an even one is
/// complete (run all but the last). Qwen2-VL and, unless told otherwise, SigLIP run all. Throws NotFound,
/// Corrupt, Unsupported.
ClipConfig read_clip_config(const GgufFile& file, int32_t feature_blocks = 0);
std::vector<TensorSpec> clip_tensors(const ClipConfig& config);

/// A use of a method that merges rows inside the tower (prune/tower_method.h).
struct TowerMerge {
  prune::MethodUse use;
  int32_t n_keep = prune::kMethodDecides;  ///< patches that shall remain
};

/// A step in front of the tower of a model that reads pictures in their own size: how much smaller this one
/// becomes follows from its own grid.
struct PictureStep {
  prune::Step step;
  int32_t n_images = 1;  ///< that share its budget
};

/// What methods asked for, of the picture, the tower and the projector.
struct TowerRequest {
  std::vector<prune::Need> needs;
  std::optional<TowerMerge> merge{};
  std::optional<prune::Grid> grid{};  ///< visual tokens of a smaller picture; absent: the model's own
  bool whole = false;  ///< not cut into tiles by a model that cuts pictures (Tiling::reads_whole)
  std::optional<PictureStep> picture{};

  bool wants(prune::Signal signal) const;
};

/// One filled request; rows as prune::Signals says.
struct TowerSignal {
  prune::Need need;
  int64_t rows = 0;
  std::vector<float> values;  // [rows, n]; keys [n, n_embd], ClipImage [n, n_joint]
};

/// Rows that the two halves of a block work on, [CLS] among them.
struct BlockRows {
  int32_t attention = 0;
  int32_t mlp = 0;
  int64_t pairs = 0;  ///< of a query and a key, where attention is in windows; 0: all
};

/// n tokens: the patches, or what their merging left. Patches are group after group (ClipConfig::group_side)
/// in raster order, however the tower's own rows lie; a trace shows those.
struct TowerOutput {
  std::vector<float> features;  // [n, n_embd], without [CLS]
  std::vector<float> cls;       // [1, n_embd] the same of [CLS], if ClsToken was asked for
  std::vector<TowerSignal> signals;
  std::optional<prune::Plan> merge;  ///< the features' patches, if rows were merged
  std::vector<BlockRows> rows;       ///< [n_layer_run]
};

/// The tower as it reads a smaller (or larger) square of n patches a side: everything but the position
/// embeddings is the same, and those are interpolated (position_grid.h).
ClipConfig with_side(ClipConfig config, int32_t n_patch_side);

/// pixels [3, size, size] -> features. frames: a picture alone, or those of one temporal step of a video, at
/// most n_frame; the last one is repeated. Attention that was asked for is computed beside the fused
/// attention; of the block behind the features (prune::kNextBlock) only norm, queries and keys are run.
/// Throws Unsupported for a block that is not there, for [CLS] in a tower without it, and for a signal of a
/// block behind which rows are merged.
TowerOutput run_clip(const ClipConfig& config, const Weights& weights, std::span<const Pixels> frames,
                     const TowerRequest& request, const Execution& execution);

/// The block that a request names; -1 for what is not of a block.
int32_t block_of(const prune::Need& need, const ClipConfig& config);
/// Why the tower cannot give a signal, as half a sentence; empty when it can.
std::string missing_tower_signal(const ClipConfig& config, const prune::Need& need);

}  // namespace winnow::engine
