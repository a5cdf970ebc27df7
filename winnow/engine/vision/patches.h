#pragma once

#include <vector>

#include "winnow/engine/vision/clip.h"

namespace winnow::engine {

/// Patches of a tower's input in the order in which the tower reads them, so that its embedding is one matrix
/// product: [3, height, width] -> [n_patch, 3 * patch * patch]. The size is that of config.grid().
std::vector<float> cut_patches(const ClipConfig& config, const Pixels& pixels);

/// The same with every channel repeated for each frame, as transformers' Qwen2-VL processor gives them:
/// [n_patch, 3 * patch * patch] -> [n_patch, 3 * n_frame * patch * patch].
std::vector<float> repeat_frames(const ClipConfig& config, const std::vector<float>& patches);

}  // namespace winnow::engine
