#pragma once

// Division of a token grid into cells, shared by pooling (mean of a cell) and grid (centre of a cell).

#include <cstdint>
#include <vector>

#include "winnow/prune/params.h"
#include "winnow/prune/signals.h"

namespace winnow::prune {

/// Rows [row_begin, row_end) x columns [col_begin, col_end) of a grid; never empty.
struct Cell {
  int32_t row_begin = 0;
  int32_t row_end = 0;
  int32_t col_begin = 0;
  int32_t col_end = 0;

  /// Centre, rounded towards the top left: grid index of a grid with `cols` columns.
  int32_t centre(int32_t cols) const {
    return (row_begin + row_end - 1) / 2 * cols + (col_begin + col_end - 1) / 2;
  }
};

/// Exactly `count` cells, in raster order, that cover every token once; 1 <= count <= grid.size().
/// r x c cells when count = r * c with cells whose sides differ by at most 3:2 (the squarest such pair);
/// otherwise round(sqrt(count * rows / cols)) bands of rows that hold floor or ceil(count / bands) cells
/// each, spread evenly.
std::vector<Cell> even_cells(const Grid& grid, int32_t count);

/// Windows of a fixed size from the top left, in raster order; those at the right and bottom edge may be
/// smaller.
std::vector<Cell> window_cells(const Grid& grid, const Window& window);

/// Number of cells of window_cells.
int32_t window_count(const Grid& grid, const Window& window);

}  // namespace winnow::prune
