#include <cmath>

#include "winnow/base/error.h"
#include "winnow/engine/image.h"

namespace winnow::engine {
namespace {

// For each of n source pixels the index of the grid cell that shows its centre, or -1.
std::vector<int32_t> cells_of(int32_t n, double at, double scale, int32_t size_px, int32_t n_cell) {
  std::vector<int32_t> cells(static_cast<size_t>(n), -1);
  for (int32_t i = 0; i < n; ++i) {
    const double cell = std::floor((i + 0.5 - at) / scale * n_cell / size_px);
    if (cell >= 0.0 && cell < n_cell) cells[static_cast<size_t>(i)] = static_cast<int32_t>(cell);
  }
  return cells;
}

}  // namespace

Image draw_kept(const Image& image, const Pixels& pixels, int32_t rows, int32_t cols,
                std::span<const int32_t> kept) {
  constexpr const char* kWhere = "engine.draw_kept";
  constexpr int kDimPercent = 30;
  WINNOW_CHECK(rows > 0 && cols > 0 && pixels.size_px > 0, InvalidArgument, kWhere,
               "empty grid, got {}x{} patches on {} pixels", rows, cols, pixels.size_px);
  std::vector<bool> is_kept(static_cast<size_t>(rows) * static_cast<size_t>(cols), false);
  for (const int32_t token : kept) {
    WINNOW_CHECK(token >= 0 && static_cast<size_t>(token) < is_kept.size(), InvalidArgument, kWhere,
                 "kept token outside the grid, got {}, expected 0..{}", token, is_kept.size() - 1);
    is_kept[static_cast<size_t>(token)] = true;
  }

  const ImageMap& map = pixels.map;
  const std::vector<int32_t> col_of = cells_of(image.width, map.left, map.scale_x, pixels.size_px, cols);
  const std::vector<int32_t> row_of = cells_of(image.height, map.top, map.scale_y, pixels.size_px, rows);
  Image out = image;
  uint8_t* pixel = out.rgb.data();
  for (const int32_t row : row_of) {
    for (const int32_t col : col_of) {
      const bool keep =
          row >= 0 && col >= 0 &&
          is_kept[static_cast<size_t>(row) * static_cast<size_t>(cols) + static_cast<size_t>(col)];
      for (int c = 0; c < 3; ++c, ++pixel) {
        if (!keep) *pixel = static_cast<uint8_t>(*pixel * kDimPercent / 100);
      }
    }
  }
  return out;
}

}  // namespace winnow::engine
