#include "winnow/engine/image_tiles.h"

#include <algorithm>
#include <cmath>

#include "winnow/base/error.h"

namespace winnow::engine {
namespace {

/// The picture as large as it fits into a resolution; the shorter side is rounded up.
PixelSize fit_into(PixelSize picture, PixelSize canvas) {
  const double scale_x = static_cast<double>(canvas.width) / picture.width;
  const double scale_y = static_cast<double>(canvas.height) / picture.height;
  if (scale_x < scale_y) {
    const auto height = static_cast<int32_t>(std::ceil(picture.height * scale_x));
    return {canvas.width, std::min(height, canvas.height)};
  }
  const auto width = static_cast<int32_t>(std::ceil(picture.width * scale_y));
  return {std::min(width, canvas.width), canvas.height};
}

Image empty_image(int32_t width, int32_t height) {
  return {width, height, std::vector<uint8_t>(static_cast<std::size_t>(width) * height * 3, 0)};
}

/// Copies `from` to (left, top) of `to`, as far as it lies inside.
void paste(const Image& from, int32_t left, int32_t top, Image& to) {
  const int32_t first = std::max(0, -left);
  const int32_t last = std::min(from.width, to.width - left);
  if (first >= last) return;
  for (int32_t y = std::max(0, -top); y < std::min(from.height, to.height - top); ++y) {
    const auto row = from.rgb.begin() + (static_cast<std::ptrdiff_t>(y) * from.width + first) * 3;
    std::copy_n(row, static_cast<std::ptrdiff_t>(last - first) * 3,
                to.rgb.begin() + (static_cast<std::ptrdiff_t>(y + top) * to.width + first + left) * 3);
  }
}

}  // namespace

TileCanvas choose_canvas(PixelSize picture, std::span<const PixelSize> resolutions, int32_t tile_px) {
  WINNOW_CHECK(picture.width > 0 && picture.height > 0, InvalidArgument, "engine.choose_canvas",
               "empty image, got {}x{}", picture.width, picture.height);
  WINNOW_ASSERT(!resolutions.empty());
  const int64_t n_picture = int64_t{picture.width} * picture.height;
  PixelSize best;
  int64_t best_kept = 0;
  int64_t least_spare = INT64_MAX;
  for (const PixelSize& size : resolutions) {
    const double scale = std::min(static_cast<double>(size.width) / picture.width,
                                  static_cast<double>(size.height) / picture.height);
    const auto width = static_cast<int64_t>(picture.width * scale);
    const auto height = static_cast<int64_t>(picture.height * scale);
    const int64_t kept = std::min(width * height, n_picture);
    const int64_t spare = int64_t{size.width} * size.height - kept;
    if (kept < best_kept || (kept == best_kept && spare >= least_spare)) continue;
    best = size;
    best_kept = kept;
    least_spare = spare;
  }
  const PixelSize fitted = fit_into(picture, best);
  return {picture, best, fitted, (best.width - fitted.width) / 2, (best.height - fitted.height) / 2, tile_px};
}

std::vector<Pixels> cut_tiles(const Image& image, const TileCanvas& canvas, const ImageSpec& spec) {
  WINNOW_CHECK(canvas.picture == (PixelSize{image.width, image.height}) && canvas.tile_px == spec.size_px,
               InvalidArgument, "engine.cut_tiles", "got a picture of {}x{}, expected the canvas's {}x{}",
               image.width, image.height, canvas.picture.width, canvas.picture.height);
  const int32_t size = spec.size_px;
  std::vector<Pixels> tiles;
  tiles.push_back(squeeze(image, {size, size}, spec));
  const Image fitted = resize_bicubic(image, canvas.fitted.width, canvas.fitted.height);
  const double scale_x = static_cast<double>(image.width) / fitted.width;
  const double scale_y = static_cast<double>(image.height) / fitted.height;
  for (int32_t row = 0; row < canvas.rows(); ++row) {
    for (int32_t col = 0; col < canvas.cols(); ++col) {
      const int32_t left = canvas.left - col * size;
      const int32_t top = canvas.top - row * size;
      Image tile = empty_image(size, size);
      paste(fitted, left, top, tile);
      tiles.push_back(
          {normalise(tile, spec), {size, size}, {-left * scale_x, -top * scale_y, scale_x, scale_y}});
    }
  }
  return tiles;
}

}  // namespace winnow::engine
