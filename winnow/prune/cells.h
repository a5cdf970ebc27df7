#pragma once

// Division of a token grid into cells, shared by the methods that pool (mean of a cell), by grid (centre of a
// cell) and by bilinear (a sample at the centre of each cell).

#include <cstdint>
#include <vector>

#include "winnow/prune/params.h"
#include "winnow/prune/plan.h"
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

/// Cells in each band of rows of even_cells(grid, count), top to bottom.
std::vector<int32_t> even_bands(const Grid& grid, int32_t count);

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

/// One output for each cell: the mean of its tokens at the position of its centre. grid: what the cells
/// divide.
Plan mean_plan(const std::vector<Cell>& cells, const Grid& grid);

}  // namespace winnow::prune
