#pragma once

#include <array>
#include <cstdint>

#include "winnow/engine/image.h"

namespace winnow::engine {

/// One axis of a resize whose source may be the picture inside a wider padded one and of whose output only a
/// part is wanted. All in pixels.
struct ResampleAxis {
  int64_t source_len = 0;  ///< padding included
  int64_t image_at = 0;    ///< where the picture begins in the source
  int64_t output_len = 0;  ///< of the whole resized picture
  int64_t crop_at = 0;     ///< first wanted output pixel
  int32_t crop_len = 0;
};

/// What padding with `background`, PIL's resize(BICUBIC) and crop would give, to the bit, without building
/// the padded or the whole resized picture: work and memory follow the picture and the wanted part only.
/// image [height, width, 3] -> [y.crop_len, x.crop_len, 3]. The picture and the crop must lie inside.
Image resample_bicubic(const Image& image, const ResampleAxis& x, const ResampleAxis& y,
                       std::array<uint8_t, 3> background);

}  // namespace winnow::engine
