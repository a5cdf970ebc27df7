#pragma once

#include <cstdint>
#include <vector>

#include "winnow/scenes/scene.h"

namespace winnow::scenes {

constexpr int32_t kFullCoverage = 4;  ///< 2 x 2 samples a pixel

/// Which pixels an object covers, and how much of each.
struct Mask {
  int32_t x0 = 0, y0 = 0;         ///< of its first pixel in the picture
  int32_t width = 0, height = 0;  ///< pixels
  std::vector<uint8_t> coverage;  ///< [height, width], 0 to kFullCoverage

  /// Tight around the covered pixels; empty if there is none.
  Box box() const;
};

/// The part of an object that lies in the picture. Depends on shape, place, radius and angle only.
Mask mask_of(const Object& object);

}  // namespace winnow::scenes
