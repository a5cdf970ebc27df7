#pragma once

// How a model reads pictures larger than its tower's input: what an mmproj file says about tiles, and the
// token behind each row of them.

#include <string>
#include <vector>

#include "winnow/engine/gguf.h"
#include "winnow/engine/image_tiles.h"
#include "winnow/engine/weights.h"

namespace winnow::engine {

/// LLaVA-NeXT's tiles (image_tiles.h, token_layout.h); none in a LLaVA-1.5 file.
struct Tiling {
  std::vector<PixelSize> resolutions{};          ///< to choose from; empty: no tiles
  std::string newline_name = "v.image_newline";  ///< the tensor; "model.image_newline" in older files

  bool cuts() const { return !resolutions.empty(); }
};

/// Keys clip.vision.image_grid_pinpoints (width, height, width, ...) and clip.vision.mm_patch_merge_type.
/// Throws Corrupt for resolutions that are no multiples of the input, Unsupported for tiles that are merged
/// otherwise than "spatial_unpad".
Tiling read_tiling(const GgufFile& file, int32_t tile_px);
/// The newline token [n_embd], if there are tiles.
std::vector<TensorSpec> tiling_tensors(const Tiling& tiling, int32_t n_embd);

}  // namespace winnow::engine
