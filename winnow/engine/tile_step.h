#pragma once

// A pruning step after the tower on a picture that was cut into tiles: the method selects from each tile by
// itself, as authors do, and the selections become one plan of the picture. The temporal steps of a video are
// such tiles.

#include <cstdint>
#include <functional>
#include <vector>

#include "winnow/engine/sequence.h"
#include "winnow/prune/schedule.h"

namespace winnow::engine {

/// True when the step selects tile by tile. Such a step drops newlines, unless more is to be kept than there
/// are other tokens.
bool is_tilewise(const prune::Step& step, const EncodedImage& image);

/// step_quotas() of images that may be cut into tiles: where the method's parameters fix a count, it is that
/// of each tile.
std::vector<int32_t> picture_quotas(const prune::Step& step, const std::vector<ImageRun>& images,
                                    std::span<const int32_t> image_tokens, int32_t n_layer);

/// What the method was asked of one tile, and its answer.
using TileObserver = std::function<void(int32_t tile, int32_t n_keep, const std::vector<int32_t>& tokens,
                                        const prune::Signals& signals, const prune::Plan& plan)>;

/// What random methods draw from: a stream for each tile of each image.
struct TileDraws {
  uint64_t seed = 0;
  int32_t image = 0;  ///< its number in the prompt
};

/// The plan of a picture's tokens that are left. whole: their signals, the picture's [CLS] tokens among them;
/// input run.count + t of the plan is the [CLS] token of tile t. Outputs ascend, or stand in the
/// method's own order, tile after tile or by its groups (Method::tile_group). Throws as
/// run_method().
prune::Plan plan_by_tile(const prune::Step& step, const ImageRun& run, const prune::Signals& whole,
                         int32_t n_keep, const TileDraws& draws, const TileObserver& observer);

}  // namespace winnow::engine
