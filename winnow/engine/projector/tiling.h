#pragma once

// How a model reads pictures larger than its tower's input: what an mmproj file says about tiles, and the
// token behind each row of them.

#include <string>
#include <vector>

#include "winnow/engine/gguf.h"
#include "winnow/engine/image_tiles.h"
#include "winnow/engine/weights.h"

namespace winnow::engine {

/// LLaVA-NeXT's and LLaVA-OneVision's tiles (image_tiles.h, token_layout.h); none in a LLaVA-1.5 file.
struct Tiling {
  std::vector<PixelSize> resolutions{};  ///< to choose from; empty: no tiles
  /// LLaVA-OneVision's "anyres_max_N" (Li et al. 2024, arXiv 2408.03326): about N tiles' tokens are left of
  /// more, and of several pictures in a prompt none is cut. 0: neither.
  int32_t max_tiles = 0;
  std::string newline_name = "v.image_newline";  ///< the tensor; "model.image_newline" in older files

  bool cuts() const { return !resolutions.empty(); }
  /// Whether the pictures of a prompt with n_images of them are read whole by a model that cuts others.
  bool reads_whole(int32_t n_images) const { return cuts() && max_tiles > 0 && n_images > 1; }
};

/// Keys clip.vision.image_grid_pinpoints (width, height, width, ...), clip.vision.mm_patch_merge_type and
/// clip.vision.image_aspect_ratio. Throws Corrupt for resolutions that are no multiples of the input and for
/// "anyres_max_N" without a count, Unsupported for tiles that are merged otherwise than "spatial_unpad".
Tiling read_tiling(const GgufFile& file, int32_t tile_px);
/// The newline token [n_embd], if there are tiles.
std::vector<TensorSpec> tiling_tensors(const Tiling& tiling, int32_t n_embd);

}  // namespace winnow::engine
