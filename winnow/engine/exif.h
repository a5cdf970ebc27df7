#pragma once

#include <cstdint>
#include <span>

namespace winnow::engine {

/// Orientation (tag 0x0112 of IFD0) of an EXIF block: a TIFF header with or without "Exif\0\0" before it.
/// 1 = upright, also for a block that is missing, broken or says something outside 1..8. Never throws.
int32_t exif_orientation(std::span<const uint8_t> exif);

}  // namespace winnow::engine
