#pragma once

// The visual tokens of one picture in the order in which the decoder reads them, also of one that was cut
// into tiles (image_tiles.h), and of a video.

#include <cstdint>
#include <span>
#include <vector>

#include "winnow/engine/image_tiles.h"
#include "winnow/prune/signals.h"

namespace winnow::engine {

/// What the decoder reads of one tile: a rectangle of the tile's own grid.
struct TileTokens {
  prune::Grid grid;  ///< of the rectangle; nothing (0 rows or columns) where the tile is padding
  int32_t row = 0;   ///< of its first token on the layout's grid
  int32_t col = 0;
  int32_t skip_rows = 0;  ///< of the tile's own grid in front of the rectangle
  int32_t skip_cols = 0;

  bool holds(int32_t layout_row, int32_t layout_col) const {
    return layout_row >= row && layout_row < row + grid.rows && layout_col >= col &&
           layout_col < col + grid.cols;
  }
};

/// One grid for all tokens of a picture, so that every token has a row and a column. LLaVA-1.5: the patches
/// of the one input. LLaVA-NeXT: the whole picture's patches, and below them the tiles side by side as they
/// lie on the canvas, without its padding, a newline token behind each of their rows. A video: its temporal
/// steps one below the other, each of them a tile.
struct TokenLayout {
  prune::Grid grid;
  std::vector<int32_t> cells{};     // [n] of each token; empty: every cell has one, in raster order
  std::vector<TileTokens> tiles{};  ///< the whole picture first; of a video its steps
  prune::Grid tile{};               ///< tokens of a tile as projected
  prune::Grid arrangement{};        ///< of the tiles of a picture behind the first; {0, 0}: there are none
  int32_t n_step = 1;               ///< temporal steps of a video

  int32_t n() const { return cells.empty() ? grid.size() : static_cast<int32_t>(cells.size()); }
  bool is_tiled() const { return tiles.size() > 1; }
  /// Index in `tiles` of the tile that a cell belongs to; -1: a newline.
  int32_t tile_of(int32_t cell) const;
  /// Row of a cell's token among those of its tile as projected, raster order; the cell is no newline's.
  int32_t patch_of(int32_t cell) const;
};

/// One input without newlines.
TokenLayout single_layout(const prune::Grid& grid);

/// n_step inputs of the same grid, one after the other in time.
TokenLayout video_layout(const prune::Grid& step, int32_t n_step);

/// Padding is taken off as transformers' unpad_image does: by the picture's shape, in whole tokens, the same
/// on both sides. tile: tokens of each tile as projected.
TokenLayout tiled_layout(const prune::Grid& tile, const TileCanvas& canvas);

/// Values of the tiles in the order of the layout: tiles [n_tile][rows, tile.size(), width] -> [rows, n,
/// width]. newline: [width] of each newline token; empty: zeros.
std::vector<float> pack_tiles(const TokenLayout& layout, const std::vector<std::vector<float>>& tiles,
                              int64_t rows, int64_t width, std::span<const float> newline = {});

}  // namespace winnow::engine
