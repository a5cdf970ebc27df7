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

/// For each pixel of the picture whether a kept patch shows its centre: adds to `bright` [height, width].
void add_kept(const Image& image, const KeptPatches& input, std::vector<bool>& bright) {
  constexpr const char* kWhere = "engine.draw_kept";
  WINNOW_CHECK(input.rows > 0 && input.cols > 0 && input.size.width > 0 && input.size.height > 0,
               InvalidArgument, kWhere, "empty grid, got {}x{} patches on {}x{} pixels", input.rows,
               input.cols, input.size.width, input.size.height);
  std::vector<bool> is_kept(static_cast<size_t>(input.rows) * static_cast<size_t>(input.cols), false);
  for (const int32_t token : input.kept) {
    WINNOW_CHECK(token >= 0 && static_cast<size_t>(token) < is_kept.size(), InvalidArgument, kWhere,
                 "kept token outside the grid, got {}, expected 0..{}", token, is_kept.size() - 1);
    is_kept[static_cast<size_t>(token)] = true;
  }
  const ImageMap& map = input.map;
  const std::vector<int32_t> col_of =
      cells_of(image.width, map.left, map.scale_x, input.size.width, input.cols);
  const std::vector<int32_t> row_of =
      cells_of(image.height, map.top, map.scale_y, input.size.height, input.rows);
  size_t pixel = 0;
  for (const int32_t row : row_of) {
    for (const int32_t col : col_of) {
      const bool kept =
          row >= 0 && col >= 0 &&
          is_kept[static_cast<size_t>(row) * static_cast<size_t>(input.cols) + static_cast<size_t>(col)];
      if (kept) bright[pixel] = true;
      ++pixel;
    }
  }
}

}  // namespace

Image draw_kept(const Image& image, std::span<const KeptPatches> inputs) {
  constexpr int kDimPercent = 30;
  std::vector<bool> bright(static_cast<size_t>(image.width) * static_cast<size_t>(image.height), false);
  for (const KeptPatches& input : inputs) add_kept(image, input, bright);
  Image out = image;
  for (size_t i = 0; i < out.rgb.size(); ++i) {
    if (!bright[i / 3]) out.rgb[i] = static_cast<uint8_t>(out.rgb[i] * kDimPercent / 100);
  }
  return out;
}

}  // namespace winnow::engine
