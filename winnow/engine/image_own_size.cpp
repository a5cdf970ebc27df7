#include "winnow/engine/image_own_size.h"

#include <algorithm>
#include <cmath>

#include "winnow/base/error.h"

namespace winnow::engine {

PixelSize smart_resize(PixelSize picture, int32_t factor, PixelRange range) {
  constexpr const char* kWhere = "engine.smart_resize";
  constexpr int32_t kMaxRatio = 200;
  WINNOW_CHECK(picture.width > 0 && picture.height > 0, InvalidArgument, kWhere, "empty image, got {}x{}",
               picture.width, picture.height);
  WINNOW_ASSERT(factor > 0 && range.min >= 1 && range.max >= range.min);
  const double width = picture.width, height = picture.height;
  WINNOW_CHECK(std::max(width, height) <= kMaxRatio * std::min(width, height), InvalidArgument, kWhere,
               "a picture of {}x{} pixels, expected one at most {} times as long as wide", picture.width,
               picture.height, kMaxRatio);
  // std::nearbyint rounds halves to even, as Python's round() does.
  double n_col = std::nearbyint(width / factor), n_row = std::nearbyint(height / factor);
  const double area = n_col * n_row * factor * factor;
  if (area > static_cast<double>(range.max)) {
    const double beta = std::sqrt(height * width / static_cast<double>(range.max));
    n_row = std::max(1.0, std::floor(height / beta / factor));
    n_col = std::max(1.0, std::floor(width / beta / factor));
  } else if (area < static_cast<double>(range.min)) {
    const double beta = std::sqrt(static_cast<double>(range.min) / (height * width));
    n_row = std::ceil(height * beta / factor);
    n_col = std::ceil(width * beta / factor);
  }
  return {static_cast<int32_t>(n_col) * factor, static_cast<int32_t>(n_row) * factor};
}

}  // namespace winnow::engine
