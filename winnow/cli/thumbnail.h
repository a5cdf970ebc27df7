#pragma once

#include "winnow/report/pictures.h"

namespace winnow::cli {

/// The picture as a PNG of at most 336 x 336 pixels, base64 in a data URL. Throws what decoding throws.
report::Thumbnail make_thumbnail(const eval::ItemImage& image);

}  // namespace winnow::cli
