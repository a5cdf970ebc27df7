#include "winnow/engine/projector/token_layout.h"

#include <algorithm>
#include <cmath>

#include "winnow/base/error.h"

namespace winnow::engine {
namespace {

/// Rows and columns of padding on each side of the picture, in tokens.
struct Padding {
  int32_t rows = 0;
  int32_t cols = 0;
};

/// Python's int(round(x, 7)) for x >= 0.
int32_t whole_tokens(double x) { return static_cast<int32_t>(std::floor(x + 0.5e-7)); }

/// transformers, unpad_image.
Padding padding_of(PixelSize picture, const prune::Grid& tokens) {
  const double shape = static_cast<double>(picture.width) / picture.height;
  if (shape > static_cast<double>(tokens.cols) / tokens.rows) {
    const double scale = static_cast<double>(tokens.cols) / picture.width;
    return {(tokens.rows - whole_tokens(picture.height * scale)) / 2, 0};
  }
  const double scale = static_cast<double>(tokens.rows) / picture.height;
  return {0, (tokens.cols - whole_tokens(picture.width * scale)) / 2};
}

/// Part of tile `index` of one axis inside [padding, padding + n): how much of the tile's front is not, and
/// the length.
struct Part {
  int32_t skip = 0;
  int32_t first = 0;  ///< from the picture's first row or column on
  int32_t n = 0;
};

Part part_of(int32_t index, int32_t tile, int32_t padding, int32_t n) {
  const int32_t from = std::clamp(index * tile, padding, padding + n);
  const int32_t to = std::clamp((index + 1) * tile, padding, padding + n);
  return {from - index * tile, from - padding, to - from};
}

}  // namespace

int32_t TokenLayout::tile_of(int32_t cell) const {
  for (std::size_t t = 0; t < tiles.size(); ++t) {
    if (tiles[t].holds(cell / grid.cols, cell % grid.cols)) return static_cast<int32_t>(t);
  }
  return -1;
}

int32_t TokenLayout::patch_of(int32_t cell) const {
  const int32_t index = tile_of(cell);
  WINNOW_ASSERT(index >= 0);
  const TileTokens& t = tiles[static_cast<std::size_t>(index)];
  return (cell / grid.cols - t.row + t.skip_rows) * tile.cols + cell % grid.cols - t.col + t.skip_cols;
}

TokenLayout single_layout(const prune::Grid& grid) { return {grid, {}, {{.grid = grid}}, grid, {}}; }

TokenLayout video_layout(const prune::Grid& step, int32_t n_step) {
  TokenLayout layout{{n_step * step.rows, step.cols}, {}, {}, step, {}, n_step};
  for (int32_t i = 0; i < n_step; ++i) layout.tiles.push_back({.grid = step, .row = i * step.rows});
  return layout;
}

TokenLayout tiled_layout(const prune::Grid& tile, const TileCanvas& canvas) {
  const prune::Grid whole{canvas.rows() * tile.rows, canvas.cols() * tile.cols};
  const Padding padding = padding_of(canvas.picture, whole);
  const prune::Grid seen{whole.rows - 2 * padding.rows, whole.cols - 2 * padding.cols};
  TokenLayout layout = single_layout(tile);
  layout.arrangement = {canvas.rows(), canvas.cols()};
  layout.grid = {tile.rows + seen.rows, std::max(tile.cols, seen.cols + 1)};
  for (int32_t row = 0; row < canvas.rows(); ++row) {
    for (int32_t col = 0; col < canvas.cols(); ++col) {
      const Part y = part_of(row, tile.rows, padding.rows, seen.rows);
      const Part x = part_of(col, tile.cols, padding.cols, seen.cols);
      layout.tiles.push_back({{y.n, x.n}, tile.rows + y.first, x.first, y.skip, x.skip});
    }
  }
  const auto add_row = [&](int32_t row, int32_t n) {
    for (int32_t col = 0; col < n; ++col) layout.cells.push_back(row * layout.grid.cols + col);
  };
  for (int32_t row = 0; row < tile.rows; ++row) add_row(row, tile.cols);
  for (int32_t row = 0; row < seen.rows; ++row) add_row(tile.rows + row, seen.cols + 1);  // and the newline
  return layout;
}

std::vector<float> pack_tiles(const TokenLayout& layout, const std::vector<std::vector<float>>& tiles,
                              int64_t rows, int64_t width, std::span<const float> newline) {
  const auto n = static_cast<std::size_t>(layout.n());
  std::vector<float> out(static_cast<std::size_t>(rows * width) * n, 0.0F);
  for (std::size_t token = 0; token < n; ++token) {
    const int32_t cell = layout.cells.empty() ? static_cast<int32_t>(token) : layout.cells[token];
    const int32_t tile = layout.tile_of(cell);
    const int64_t patch = tile < 0 ? 0 : layout.patch_of(cell);
    for (int64_t r = 0; r < rows; ++r) {
      const auto to = out.begin() + (r * layout.n() + static_cast<int64_t>(token)) * width;
      if (tile < 0) {
        std::copy(newline.begin(), newline.end(), to);
        continue;
      }
      const std::vector<float>& values = tiles[static_cast<std::size_t>(tile)];
      std::copy_n(values.begin() + (r * layout.tile.size() + patch) * width, width, to);
    }
  }
  return out;
}

}  // namespace winnow::engine
