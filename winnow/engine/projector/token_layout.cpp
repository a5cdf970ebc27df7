#include "winnow/engine/projector/token_layout.h"

#include <algorithm>
#include <cmath>
#include <utility>

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

/// Python's a // b for a, b > 0.
int32_t floor_div(double a, double b) {
  const double quotient = (a - std::fmod(a, b)) / b;
  return static_cast<int32_t>(std::floor(quotient + 0.5));
}

/// transformers, LlavaOnevisionModel.pack_image_features.
prune::Grid shrunk(const prune::Grid& tokens, const prune::Grid& tile, int32_t max_tiles) {
  if (max_tiles == 0) return tokens;
  const double most = static_cast<double>(max_tiles) * tile.rows * tile.rows;
  const double ratio = std::sqrt(static_cast<double>(tokens.rows) * tokens.cols / most);
  if (ratio <= 1.1) return tokens;
  return {floor_div(tokens.rows, ratio), floor_div(tokens.cols, ratio)};
}

/// One axis of the canvas: its tokens from `padding` on, as many as are seen, become n.
struct Axis {
  int32_t padding = 0, n_seen = 0, n = 0;

  /// What each of them reads of the canvas.
  std::vector<AxisTaps> taps() const {
    std::vector<AxisTaps> out = bilinear_taps(n_seen, n);
    for (AxisTaps& tap : out) tap = {tap.low + padding, tap.high + padding, tap.weight};
    return out;
  }
  /// The tile that the centre of token i lies in.
  int32_t tile_of(int32_t i, int32_t side) const {
    const int64_t twice_n = int64_t{2} * n;
    return static_cast<int32_t>((twice_n * padding + (int64_t{2} * i + 1) * n_seen) / (twice_n * side));
  }
};

/// The tokens of one tile along an axis.
struct Part {
  int32_t first = 0;
  int32_t n = 0;
};

Part part_of(int32_t index, int32_t side, const Axis& axis) {
  Part part;
  for (int32_t i = 0; i < axis.n; ++i) {
    const int32_t tile = axis.tile_of(i, side);
    part.first += tile < index ? 1 : 0;
    part.n += tile == index ? 1 : 0;
  }
  return part;
}

}  // namespace

int32_t TokenLayout::tile_of(int32_t cell) const {
  for (std::size_t t = 0; t < tiles.size(); ++t) {
    if (tiles[t].holds(cell / grid.cols, cell % grid.cols)) return static_cast<int32_t>(t);
  }
  return -1;
}

std::vector<PatchShare> TokenLayout::shares_of(int32_t cell) const {
  const int32_t row = cell / grid.cols, col = cell % grid.cols;
  const int32_t index = tile_of(cell);
  WINNOW_ASSERT(index >= 0);
  if (index == 0 || rows.empty()) {  // the whole picture, or a video's step
    return {{index, (row - tiles[static_cast<std::size_t>(index)].row) * tile.cols + col, 1.0F}};
  }
  const AxisTaps& y = rows[static_cast<std::size_t>(row - tile.rows)];
  const AxisTaps& x = cols[static_cast<std::size_t>(col)];
  std::vector<PatchShare> shares;
  for (const auto& [canvas_row, of_row] : {std::pair{y.low, 1.0F - y.weight}, {y.high, y.weight}}) {
    for (const auto& [canvas_col, of_col] : {std::pair{x.low, 1.0F - x.weight}, {x.high, x.weight}}) {
      const float weight = of_row * of_col;
      if (weight == 0.0F) continue;
      const int32_t of_tile = 1 + canvas_row / tile.rows * arrangement.cols + canvas_col / tile.cols;
      shares.push_back({of_tile, canvas_row % tile.rows * tile.cols + canvas_col % tile.cols, weight});
    }
  }
  return shares;
}

TokenLayout single_layout(const prune::Grid& grid) {
  TokenLayout layout;
  layout.grid = layout.tile = grid;
  layout.tiles.push_back({.grid = grid});
  return layout;
}

TokenLayout whole_layout(const prune::Grid& tile) {
  TokenLayout layout = single_layout(tile);
  layout.grid.cols = tile.cols + 1;
  for (int32_t i = 0; i < tile.size(); ++i) {
    layout.cells.push_back(i / tile.cols * layout.grid.cols + i % tile.cols);
  }
  layout.cells.push_back(layout.grid.size() - 1);
  return layout;
}

TokenLayout video_layout(const prune::Grid& step, int32_t n_step) {
  TokenLayout layout;
  layout.grid = {n_step * step.rows, step.cols};
  layout.tile = step;
  layout.n_step = n_step;
  for (int32_t i = 0; i < n_step; ++i) layout.tiles.push_back({.grid = step, .row = i * step.rows});
  return layout;
}

TokenLayout tiled_layout(const prune::Grid& tile, const TileCanvas& canvas, int32_t max_tiles) {
  const prune::Grid whole{canvas.rows() * tile.rows, canvas.cols() * tile.cols};
  const Padding padding = padding_of(canvas.picture, whole);
  const prune::Grid seen{whole.rows - 2 * padding.rows, whole.cols - 2 * padding.cols};
  const prune::Grid left = shrunk(seen, tile, max_tiles);
  const Axis y{padding.rows, seen.rows, left.rows}, x{padding.cols, seen.cols, left.cols};
  TokenLayout layout = single_layout(tile);
  layout.arrangement = {canvas.rows(), canvas.cols()};
  layout.grid = {tile.rows + left.rows, std::max(tile.cols, left.cols + 1)};
  layout.rows = y.taps();
  layout.cols = x.taps();
  layout.shrunk = left.size() != seen.size();
  for (int32_t row = 0; row < canvas.rows(); ++row) {
    for (int32_t col = 0; col < canvas.cols(); ++col) {
      const Part rows = part_of(row, tile.rows, y), cols = part_of(col, tile.cols, x);
      layout.tiles.push_back({{rows.n, cols.n}, tile.rows + rows.first, cols.first});
    }
  }
  const auto add_row = [&](int32_t row, int32_t n) {
    for (int32_t col = 0; col < n; ++col) layout.cells.push_back(row * layout.grid.cols + col);
  };
  for (int32_t row = 0; row < tile.rows; ++row) add_row(row, tile.cols);
  for (int32_t row = 0; row < left.rows; ++row) add_row(tile.rows + row, left.cols + 1);  // and the newline
  return layout;
}

std::vector<float> pack_tiles(const TokenLayout& layout, const std::vector<std::vector<float>>& tiles,
                              int64_t rows, int64_t width, std::span<const float> newline) {
  const auto n = static_cast<std::size_t>(layout.n());
  std::vector<float> out(static_cast<std::size_t>(rows * width) * n, 0.0F);
  for (std::size_t token = 0; token < n; ++token) {
    const int32_t cell = layout.cells.empty() ? static_cast<int32_t>(token) : layout.cells[token];
    const bool is_newline = layout.tile_of(cell) < 0;
    const std::vector<PatchShare> shares = is_newline ? std::vector<PatchShare>() : layout.shares_of(cell);
    for (int64_t r = 0; r < rows; ++r) {
      const auto to = out.begin() + (r * layout.n() + static_cast<int64_t>(token)) * width;
      if (is_newline) std::copy(newline.begin(), newline.end(), to);
      for (const PatchShare& share : shares) {
        const std::vector<float>& values = tiles[static_cast<std::size_t>(share.tile)];
        const auto from = values.begin() + (r * layout.tile.size() + share.patch) * width;
        for (int64_t c = 0; c < width; ++c) to[c] += share.weight * from[c];
      }
    }
  }
  return out;
}

}  // namespace winnow::engine
