#pragma once

// Pictures that are read in about their own size, Qwen2-VL's "naive dynamic resolution" (Wang et al. 2024,
// arXiv 2409.12191).

#include <cstdint>

#include "winnow/engine/image.h"

namespace winnow::engine {

/// Pixels that the tower reads of a picture.
struct PixelRange {
  int64_t min = 0;
  int64_t max = 0;
};

/// The size that is read: both sides multiples of `factor`, the shape about that of the picture, the area
/// within the range as far as multiples allow. Equal to transformers' smart_resize (Qwen2VLImageProcessor).
/// Throws InvalidArgument for an empty picture and for one more than 200 times as long as wide.
PixelSize smart_resize(PixelSize picture, int32_t factor, PixelRange range);

}  // namespace winnow::engine
