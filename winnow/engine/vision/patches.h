#pragma once

#include <span>
#include <vector>

#include "winnow/engine/vision/clip.h"

namespace winnow::engine {

/// Patches of a tower's input in the order in which the tower reads them, so that its embedding is one matrix
/// product: [3, height, width] -> [n_patch, 3 * patch * patch]. The size is that of config.grid().
std::vector<float> cut_patches(const ClipConfig& config, const Pixels& pixels);

/// Of several frames with the frames of every channel side by side, as transformers' Qwen2-VL processor gives
/// them: [<= n_frame][n_patch, 3 * patch * patch] -> [n_patch, 3 * n_frame * patch * patch]. The last frame
/// is repeated where there are fewer than the tower reads.
std::vector<float> interleave_frames(const ClipConfig& config, std::span<const std::vector<float>> frames);

}  // namespace winnow::engine
