#include "winnow/prune/window_merge.h"

#include "winnow/base/error.h"
#include "winnow/prune/cells.h"
#include "winnow/prune/ops.h"

namespace winnow::prune {
namespace {

void check_input(const MatrixView& hidden, const Grid& grid, bool cls, const Window& window) {
  constexpr std::string_view kWhere = "prune.merge_windows";
  WINNOW_CHECK(grid.rows >= 1 && grid.cols >= 1 && hidden.cols >= 1 &&
                   hidden.rows == int64_t{grid.rows} * grid.cols + (cls ? 1 : 0),
               InvalidArgument, kWhere, "hidden states, got [{}, {}], expected {}{}x{} rows", hidden.rows,
               hidden.cols, cls ? "1 + " : "", grid.rows, grid.cols);
  WINNOW_CHECK(all_finite(hidden.all()), InvalidArgument, kWhere,
               "hidden states, got NaN or infinity, expected finite numbers");
  WINNOW_CHECK(window.rows >= 1 && window.cols >= 1 && int64_t{window.rows} * window.cols >= 2,
               InvalidArgument, kWhere, "window, got {}x{}, expected at least 2 patches", window.rows,
               window.cols);
}

/// Mean inner product over all pairs of different rows.
float mean_of_pairs(const MatrixView& unit, const std::vector<int32_t>& rows) {
  double sum = 0.0;
  for (std::size_t a = 0; a < rows.size(); ++a) {
    for (std::size_t b = a + 1; b < rows.size(); ++b) sum += dot(unit.row(rows[a]), unit.row(rows[b]));
  }
  const auto n = static_cast<double>(rows.size());
  return static_cast<float>(2.0 * sum / (n * (n - 1.0)));
}

/// Rows of each complete window, ascending.
std::vector<std::vector<int32_t>> complete_windows(const Grid& grid, const Window& window, int32_t first) {
  std::vector<std::vector<int32_t>> windows;
  for (const Cell& cell : window_cells(grid, window)) {
    if (cell.row_end - cell.row_begin < window.rows || cell.col_end - cell.col_begin < window.cols) continue;
    std::vector<int32_t>& rows = windows.emplace_back();
    for (int32_t row = cell.row_begin; row < cell.row_end; ++row) {
      for (int32_t col = cell.col_begin; col < cell.col_end; ++col)
        rows.push_back(first + row * grid.cols + col);
    }
  }
  return windows;
}

}  // namespace

Merge merge_windows(const MatrixView& hidden, const Grid& grid, bool cls, const WindowMergeOptions& options) {
  check_input(hidden, grid, cls, options.window);
  const std::vector<float> units = unit_rows(hidden);
  const auto windows = complete_windows(grid, options.window, cls ? 1 : 0);
  std::vector<float> scores;
  for (const std::vector<int32_t>& rows : windows) {
    scores.push_back(mean_of_pairs({units.data(), hidden.rows, hidden.cols}, rows));
  }

  Merge merge;
  merge.plan.scores.assign(hidden.rows, 0.0F);
  for (std::size_t i = 0; i < windows.size(); ++i) {
    for (const int32_t row : windows[i]) merge.plan.scores[row] = scores[i];
  }
  std::vector<bool> merged(hidden.rows, false);
  if (cls) {
    merge.plan.add_kept(0);
    merged[0] = true;
  }
  for (const int32_t i : best_first(scores, static_cast<int32_t>(scores.size()))) {
    if (scores[i] < options.threshold) break;
    const auto size = static_cast<float>(windows[i].size());
    merge.plan.add_merged(windows[i], std::vector<float>(windows[i].size(), 1.0F / size), windows[i].back());
    for (const int32_t row : windows[i]) merged[row] = true;
  }
  for (int32_t row = 0; row < hidden.rows; ++row) {
    if (!merged[row]) merge.plan.add_kept(row);
  }
  for (int32_t out = 0; out < merge.plan.n_out(); ++out) {
    merge.sizes.push_back(static_cast<float>(merge.plan.sources(out).size()));
  }
  return merge;
}

}  // namespace winnow::prune
