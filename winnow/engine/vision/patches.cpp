#include "winnow/engine/vision/patches.h"

#include <algorithm>

#include "winnow/base/error.h"
#include "winnow/engine/vision/windows.h"

namespace winnow::engine {

std::vector<float> cut_patches(const ClipConfig& config, const Pixels& pixels) {
  const int32_t patch = config.patch_size_px;
  const prune::Grid grid = config.grid();
  const int64_t width = int64_t{grid.cols} * patch;
  const int64_t height = int64_t{grid.rows} * patch;
  WINNOW_ASSERT(std::ssize(pixels.values) >= 3 * width * height);
  std::vector<float> out;
  out.reserve(static_cast<std::size_t>(grid.size()) * 3 * patch * patch);
  for (const int32_t token : tower_order(config)) {
    const int32_t top = token / grid.cols * patch;
    const int32_t left = token % grid.cols * patch;
    for (int32_t row = 0; row < 3 * patch; ++row) {
      const int64_t channel = row / patch;
      const int64_t start = (channel * pixels.size.height + top + row % patch) * pixels.size.width + left;
      out.insert(out.end(), pixels.values.begin() + start, pixels.values.begin() + start + patch);
    }
  }
  return out;
}

std::vector<float> interleave_frames(const ClipConfig& config, std::span<const std::vector<float>> frames) {
  WINNOW_ASSERT(!frames.empty());
  const int64_t plane = int64_t{config.patch_size_px} * config.patch_size_px;
  const int64_t n = std::ssize(frames.front());
  std::vector<float> out;
  out.reserve(static_cast<std::size_t>(n * config.n_frame));
  for (int64_t channel = 0; channel < n; channel += plane) {
    for (int32_t frame = 0; frame < config.n_frame; ++frame) {
      const std::vector<float>& from = frames[std::min(static_cast<std::size_t>(frame), frames.size() - 1)];
      out.insert(out.end(), from.begin() + channel, from.begin() + channel + plane);
    }
  }
  return out;
}

}  // namespace winnow::engine
