#pragma once

// The visual tokens of one picture in the order in which the decoder reads them, also of one that was cut
// into tiles (image_tiles.h), and of a video.

#include <cstdint>
#include <span>
#include <vector>

#include "winnow/engine/image_tiles.h"
#include "winnow/engine/projector/bilinear.h"
#include "winnow/prune/signals.h"

namespace winnow::engine {

/// What the decoder reads of one tile: a rectangle of tokens, of a shrunk picture those with their centres in
/// the tile.
struct TileTokens {
  prune::Grid grid;  ///< of the rectangle; nothing (0 rows or columns) where the tile is padding
  int32_t row = 0;   ///< of its first token on the layout's grid
  int32_t col = 0;

  bool holds(int32_t layout_row, int32_t layout_col) const {
    return layout_row >= row && layout_row < row + grid.rows && layout_col >= col &&
           layout_col < col + grid.cols;
  }
};

/// A patch that a token is made of. patch: its row among those of its tile as projected, raster order.
struct PatchShare {
  int32_t tile = 0;
  int32_t patch = 0;
  float weight = 1.0F;
};

/// One grid for all tokens of a picture, so that every token has a row and a column. LLaVA-1.5: the patches
/// of the one input. LLaVA-NeXT: the whole picture's patches, and below them the tiles side by side as they
/// lie on the canvas, without its padding, a newline token behind each of their rows. LLaVA-OneVision: the
/// same, but of many tiles the tokens are shrunk to fewer, or the whole picture alone and one newline. A
/// video: its temporal steps one below the other, each of them a tile.
struct TokenLayout {
  prune::Grid grid;
  std::vector<int32_t> cells{};     // [n] of each token; empty: every cell has one, in raster order
  std::vector<TileTokens> tiles{};  ///< the whole picture first; of a video its steps
  prune::Grid tile{};               ///< tokens of a tile as projected
  prune::Grid arrangement{};        ///< of the tiles of a picture behind the first; {0, 0}: there are none
  int32_t n_step = 1;               ///< temporal steps of a video
  std::vector<AxisTaps> rows{};     ///< what each row of tokens below the whole picture reads of the canvas
  std::vector<AxisTaps> cols{};
  bool shrunk = false;  ///< tokens of the tiles are mixtures of patches

  int32_t n() const { return cells.empty() ? grid.size() : static_cast<int32_t>(cells.size()); }
  /// Made of tiles or of a video's steps, or of one and a newline.
  bool is_tiled() const { return tiles.size() > 1 || !cells.empty(); }
  /// Index in `tiles` of the tile that a cell belongs to; -1: a newline.
  int32_t tile_of(int32_t cell) const;
  /// The patches of a cell's token, which is no newline; the weights' sum is 1.
  std::vector<PatchShare> shares_of(int32_t cell) const;
};

/// One input without newlines.
TokenLayout single_layout(const prune::Grid& grid);

/// n_step inputs of the same grid, one after the other in time.
TokenLayout video_layout(const prune::Grid& step, int32_t n_step);

/// Padding is taken off as transformers' unpad_image does: by the picture's shape, in whole tokens, the same
/// on both sides. tile: tokens of each tile as projected. max_tiles > 0: where the rest is more than 1.1^2
/// times the tokens of so many tiles, it is interpolated to about those, as transformers'
/// LlavaOnevisionModel.pack_image_features does.
TokenLayout tiled_layout(const prune::Grid& tile, const TileCanvas& canvas, int32_t max_tiles = 0);

/// The whole picture alone, one newline behind it: of LLaVA-OneVision where a prompt has several.
TokenLayout whole_layout(const prune::Grid& tile);

/// Values of the tiles in the order of the layout, mixed as the tokens are: tiles [n_tile][rows, tile.size(),
/// width] -> [rows, n, width]. newline: [width] of each newline token; empty: zeros.
std::vector<float> pack_tiles(const TokenLayout& layout, const std::vector<std::vector<float>>& tiles,
                              int64_t rows, int64_t width, std::span<const float> newline = {});

}  // namespace winnow::engine
