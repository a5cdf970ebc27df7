#pragma once

// The frames of a video from files: winnow decodes pictures, other programs cut a film into them.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "winnow/engine/image.h"

namespace winnow::engine {

/// load_animation() of bytes in memory. Throws as decode_image().
std::vector<Image> decode_animation(std::span<const uint8_t> bytes, const ImageLimits& limits = {});

/// Indices of at most n_most of n frames, evenly spread: floor(i * n / n_most), as transformers' video
/// processors sample. Throws InvalidArgument for n_most below 1.
std::vector<int32_t> even_frames(int32_t n, int32_t n_most);

/// paths: pictures, one a frame; or one folder with nothing but them, in the order of their names (bytes, so
/// numbers need leading zeros; names that begin with a dot are passed over); or one animated GIF. Of more
/// than n_most frames even_frames() are read. Throws NotFound, Io, InvalidArgument for an empty folder, and
/// as load_image().
std::vector<Image> load_frames(const std::vector<std::string>& paths, int32_t n_most,
                               const ImageLimits& limits = {});

}  // namespace winnow::engine
