#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "winnow/scenes/scene.h"

namespace winnow::scenes {

/// Draws a scene: RGB, row-major [kSide, kSide, 3]. The same bytes on every machine (no libm calls whose last
/// bit differs decide a pixel).
std::vector<uint8_t> render(const Scene& scene);

/// The same picture as a PNG file in memory; the same bytes on every machine. Throws InvalidArgument.
std::vector<uint8_t> encode_png(std::span<const uint8_t> rgb, int32_t width, int32_t height);

}  // namespace winnow::scenes
