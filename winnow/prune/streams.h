#pragma once

#include <cstdint>

namespace winnow::prune {

/// The stream of random numbers of an image in its prompt, and of each tile of one that is selected from tile
/// by tile; tile -1: all of the image.
constexpr uint64_t random_stream(int32_t image, int32_t tile = -1) {
  return static_cast<uint64_t>(image) + (static_cast<uint64_t>(tile < 0 ? 0 : tile) << 32);
}

}  // namespace winnow::prune
