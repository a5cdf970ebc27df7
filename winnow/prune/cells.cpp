#include "winnow/prune/cells.h"

#include <algorithm>
#include <cmath>

#include "winnow/base/error.h"

namespace winnow::prune {
namespace {

constexpr double kMaxAspect = 1.5;

/// Where part `i` of `parts` begins when `length` is cut evenly.
int32_t boundary(int64_t i, int64_t length, int64_t parts) {
  return static_cast<int32_t>(i * length / parts);
}

/// Rows of cells of the squarest exact division into rows x columns, or 0 when none is square enough.
int32_t exact_bands(const Grid& grid, int32_t count) {
  int32_t best = 0;
  double best_aspect = kMaxAspect;
  for (int32_t bands = 1; bands <= std::min(grid.rows, count); ++bands) {
    if (count % bands != 0 || count / bands > grid.cols) continue;
    const double height = static_cast<double>(grid.rows) / bands;
    const double width = static_cast<double>(grid.cols) * bands / count;
    const double aspect = std::max(height / width, width / height);
    if (aspect > best_aspect || (best != 0 && aspect == best_aspect)) continue;
    best = bands;
    best_aspect = aspect;
  }
  return best;
}

int32_t uneven_bands(const Grid& grid, int32_t count) {
  const double square = std::sqrt(static_cast<double>(count) * grid.rows / grid.cols);
  const int32_t fewest = (count + grid.cols - 1) / grid.cols;  // a band holds at most one cell per column
  return std::clamp(static_cast<int32_t>(std::lround(square)), fewest, std::min(grid.rows, count));
}

int32_t divide_up(int32_t a, int32_t b) { return (a - 1) / b + 1; }

}  // namespace

std::vector<int32_t> even_bands(const Grid& grid, int32_t count) {
  WINNOW_ASSERT(count >= 1 && count <= grid.size());
  const int32_t exact = exact_bands(grid, count);
  const int32_t bands = exact > 0 ? exact : uneven_bands(grid, count);
  std::vector<int32_t> cells;
  for (int32_t band = 0; band < bands; ++band) {
    cells.push_back(boundary(band + 1, count, bands) - boundary(band, count, bands));
  }
  return cells;
}

std::vector<Cell> even_cells(const Grid& grid, int32_t count) {
  const std::vector<int32_t> columns_of = even_bands(grid, count);
  const auto bands = static_cast<int32_t>(columns_of.size());
  std::vector<Cell> cells;
  cells.reserve(static_cast<std::size_t>(count));
  for (int32_t band = 0; band < bands; ++band) {
    const int32_t columns = columns_of[static_cast<std::size_t>(band)];
    for (int32_t column = 0; column < columns; ++column) {
      cells.push_back({boundary(band, grid.rows, bands), boundary(band + 1, grid.rows, bands),
                       boundary(column, grid.cols, columns), boundary(column + 1, grid.cols, columns)});
    }
  }
  return cells;
}

std::vector<Cell> window_cells(const Grid& grid, const Window& window) {
  std::vector<Cell> cells;
  cells.reserve(static_cast<std::size_t>(window_count(grid, window)));
  for (int32_t row = 0; row < grid.rows; row += window.rows) {
    for (int32_t col = 0; col < grid.cols; col += window.cols) {
      cells.push_back(
          {row, std::min(row + window.rows, grid.rows), col, std::min(col + window.cols, grid.cols)});
    }
  }
  return cells;
}

int32_t window_count(const Grid& grid, const Window& window) {
  return divide_up(grid.rows, window.rows) * divide_up(grid.cols, window.cols);
}

Plan mean_plan(const std::vector<Cell>& cells, const Grid& grid) {
  Plan plan;
  std::vector<int32_t> sources;
  for (const Cell& cell : cells) {
    sources.clear();
    for (int32_t row = cell.row_begin; row < cell.row_end; ++row) {
      for (int32_t col = cell.col_begin; col < cell.col_end; ++col) sources.push_back(row * grid.cols + col);
    }
    const std::vector<float> weights(sources.size(), 1.0F / static_cast<float>(sources.size()));
    plan.add_merged(sources, weights, cell.centre(grid.cols));
  }
  return plan;
}

}  // namespace winnow::prune
