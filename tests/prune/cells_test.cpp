#include "winnow/prune/cells.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "winnow/base/error.h"

namespace winnow::prune {
namespace {

/// How often each token of the grid lies in a cell.
std::vector<int> coverage(const Grid& grid, const std::vector<Cell>& cells) {
  std::vector<int> count(static_cast<std::size_t>(grid.size()), 0);
  for (const Cell& cell : cells) {
    for (int32_t row = cell.row_begin; row < cell.row_end; ++row) {
      for (int32_t col = cell.col_begin; col < cell.col_end; ++col)
        ++count[static_cast<std::size_t>(row * grid.cols + col)];
    }
  }
  return count;
}

/// Cells per band of rows.
std::vector<int> band_sizes(const std::vector<Cell>& cells) {
  std::map<int32_t, int> sizes;
  for (const Cell& cell : cells) ++sizes[cell.row_begin];
  std::vector<int> result;
  for (const auto& [row, size] : sizes) result.push_back(size);
  return result;
}

TEST(EvenCellsTest, EveryCountCoversEveryTokenOnce) {
  for (const Grid grid :
       {Grid{6, 6}, Grid{5, 7}, Grid{7, 5}, Grid{1, 9}, Grid{9, 1}, Grid{2, 40}, Grid{1, 1}, Grid{12, 12}}) {
    for (int32_t count = 1; count <= grid.size(); ++count) {
      const std::vector<Cell> cells = even_cells(grid, count);
      ASSERT_EQ(cells.size(), static_cast<std::size_t>(count)) << grid.rows << "x" << grid.cols;
      for (const int times : coverage(grid, cells))
        ASSERT_EQ(times, 1) << grid.rows << "x" << grid.cols << ", " << count;
      std::vector<int32_t> centres;
      for (const Cell& cell : cells) centres.push_back(cell.centre(grid.cols));
      ASSERT_TRUE(std::is_sorted(centres.begin(), centres.end()))
          << grid.rows << "x" << grid.cols << ", " << count;
    }
  }
  EXPECT_THROW(even_cells({2, 2}, 0), Error);
  EXPECT_THROW(even_cells({2, 2}, 5), Error);
}

TEST(EvenCellsTest, PublishedBudgetsOfLlava) {
  // 24x24 tokens: 144 = 12 x 12 squares, 64 = 8 x 8, 192 = 12 x 16 (3:4 as 16 x 12, the fewer bands win the
  // tie).
  EXPECT_EQ(band_sizes(even_cells({24, 24}, 144)), std::vector<int>(12, 12));
  EXPECT_EQ(band_sizes(even_cells({24, 24}, 64)), std::vector<int>(8, 8));
  EXPECT_EQ(band_sizes(even_cells({24, 24}, 192)), std::vector<int>(12, 16));
  // 128 = 8 x 16 would be cells of 3 x 1.5; eleven bands of 11 or 12 are squarer. 58 = 2 x 29 likewise.
  EXPECT_EQ(band_sizes(even_cells({24, 24}, 128)),
            (std::vector<int>{11, 12, 11, 12, 12, 11, 12, 12, 11, 12, 12}));
  EXPECT_EQ(band_sizes(even_cells({24, 24}, 58)), (std::vector<int>{7, 7, 7, 8, 7, 7, 7, 8}));
}

TEST(EvenCellsTest, BandsNeverHoldMoreCellsThanColumns) {
  for (const int size : band_sizes(even_cells({40, 2}, 79))) EXPECT_LE(size, 2);
}

TEST(WindowCellsTest, EdgeWindowsAreSmaller) {
  const std::vector<Cell> cells = window_cells({5, 4}, {2, 3});
  ASSERT_EQ(cells.size(), 6U);
  EXPECT_EQ(window_count({5, 4}, {2, 3}), 6);
  EXPECT_EQ(cells[1].col_begin, 3);
  EXPECT_EQ(cells[1].col_end, 4);
  EXPECT_EQ(cells[5].row_begin, 4);
  EXPECT_EQ(cells[5].row_end, 5);
  for (const int times : coverage({5, 4}, cells)) EXPECT_EQ(times, 1);
  EXPECT_EQ(window_count({24, 24}, {2, 2}), 144);
  EXPECT_EQ(window_count({24, 24}, {5, 5}), 25);
  EXPECT_EQ(window_count({2, 2}, {4096, 4096}), 1);
}

TEST(CellTest, CentreRoundsToTheTopLeft) {
  EXPECT_EQ((Cell{0, 2, 0, 2}).centre(24), 0);
  EXPECT_EQ((Cell{0, 3, 3, 6}).centre(24), 24 + 4);
  EXPECT_EQ((Cell{2, 6, 1, 2}).centre(10), 31);
}

}  // namespace
}  // namespace winnow::prune
