#pragma once

// One decoder per file format, for image.cpp only.

#include <cstdint>
#include <span>

#include "winnow/base/error.h"
#include "winnow/engine/image.h"

namespace winnow::engine {

inline constexpr const char* kDecodeImage = "engine.decode_image";

struct DecodedImage {
  Image image;              // as stored, not yet turned upright
  int32_t orientation = 1;  // EXIF, 1..8
};

// All throw Error as decode_image does. The bytes already begin with the format's magic.
DecodedImage decode_bmp(std::span<const uint8_t> bytes, const ImageLimits& limits);
DecodedImage decode_gif(std::span<const uint8_t> bytes, const ImageLimits& limits);
DecodedImage decode_jpeg(std::span<const uint8_t> bytes, const ImageLimits& limits);
DecodedImage decode_png(std::span<const uint8_t> bytes, const ImageLimits& limits);
DecodedImage decode_webp(std::span<const uint8_t> bytes, const ImageLimits& limits);

/// All frames, each as it is seen.
std::vector<Image> decode_gif_frames(std::span<const uint8_t> bytes, const ImageLimits& limits);

/// Checks a header's size against zero and the limits, then allocates. Throws Corrupt, InvalidArgument.
Image new_image(const char* format, int64_t width, int64_t height, const ImageLimits& limits);

[[noreturn]] inline void fail_truncated(const char* format, size_t n_bytes) {
  fail(ErrorCode::Corrupt, kDecodeImage, "truncated {} image: the file ends early, got {} bytes", format,
       n_bytes);
}

}  // namespace winnow::engine
