// The order of a tiled picture's tokens, against transformers' way of putting them together written out
// plainly: tiles side by side, padding off, a newline behind each row.

#include "winnow/engine/projector/token_layout.h"

#include <gtest/gtest.h>

#include <string>

namespace winnow::engine {
namespace {

using Values = std::vector<float>;

/// Of the published models.
const std::vector<PixelSize> kPublished = {{672, 336}, {336, 672}, {672, 672}, {336, 1008}, {1008, 336}};
const std::vector<PixelSize> kSmall = {{112, 56}, {56, 112}, {112, 112}, {56, 168}, {168, 56}};

/// Rows and columns of tokens without padding, and all tokens of a picture, from a transcription of
/// transformers' unpad_image in Python.
struct Expected {
  PixelSize picture;
  int32_t rows, cols, n;
};

TokenLayout small_layout(PixelSize picture) {
  return tiled_layout({4, 4}, choose_canvas(picture, kSmall, 56));
}

void expect_layout(const TokenLayout& layout, const Expected& expected) {
  const std::string what =
      std::to_string(expected.picture.width) + "x" + std::to_string(expected.picture.height);
  EXPECT_EQ(layout.n(), expected.n) << what;
  EXPECT_EQ(layout.grid.rows, layout.tile.rows + expected.rows) << what;
  int32_t n_newline = 0, n_tile_token = 0;
  for (const int32_t cell : layout.cells) n_newline += layout.tile_of(cell) < 0 ? 1 : 0;
  for (const TileTokens& tile : layout.tiles) n_tile_token += tile.grid.size();
  EXPECT_EQ(n_newline, expected.rows) << what;
  EXPECT_EQ(n_tile_token, layout.tile.size() + expected.rows * expected.cols) << what;
}

TEST(TokenLayout, CountsOfThePublishedModels) {
  const Expected cases[] = {
      {{1000, 1}, 0, 72, 576},      {{1, 1000}, 72, 0, 648},     {{28, 28}, 24, 24, 1176},
      {{4000, 3000}, 36, 48, 2340}, {{640, 480}, 36, 48, 2340},  {{480, 640}, 48, 36, 2352},
      {{336, 336}, 24, 24, 1176},   {{672, 672}, 48, 48, 2928},  {{673, 671}, 48, 48, 2928},
      {{1920, 1080}, 28, 48, 1948}, {{333, 1000}, 72, 24, 2376}, {{500, 375}, 36, 48, 2340},
      {{1008, 336}, 24, 72, 2328},  {{100, 301}, 24, 8, 792},    {{2, 3}, 24, 16, 984},
  };
  for (const Expected& expected : cases) {
    expect_layout(tiled_layout({24, 24}, choose_canvas(expected.picture, kPublished, 336)), expected);
  }
}

TEST(TokenLayout, CountsOfASmallModel) {
  const Expected cases[] = {{{150, 90}, 4, 8, 52}, {{1000, 1}, 0, 8, 16},  {{1, 1000}, 4, 0, 20},
                            {{28, 28}, 4, 4, 36},  {{400, 300}, 6, 8, 70}, {{56, 168}, 12, 4, 76},
                            {{57, 170}, 12, 4, 76}};
  for (const Expected& expected : cases) expect_layout(small_layout(expected.picture), expected);
}

TEST(TokenLayout, ArrangementOfTheTiles) {
  const auto expect = [](PixelSize picture, int32_t rows, int32_t cols) {
    const TokenLayout layout = small_layout(picture);
    EXPECT_EQ(layout.arrangement.rows, rows);
    EXPECT_EQ(layout.arrangement.cols, cols);
    EXPECT_EQ(std::ssize(layout.tiles), 1 + rows * cols);
  };
  expect({150, 90}, 2, 2);
  expect({56, 168}, 3, 1);
  expect({168, 56}, 1, 3);
  EXPECT_EQ(single_layout({4, 4}).arrangement.size(), 0);
}

TEST(TokenLayout, OneInputIsItsGrid) {
  const TokenLayout layout = single_layout({3, 5});
  EXPECT_EQ(layout.n(), 15);
  EXPECT_FALSE(layout.is_tiled());
  for (int32_t cell = 0; cell < 15; ++cell) {
    EXPECT_EQ(layout.tile_of(cell), 0);
    EXPECT_EQ(layout.patch_of(cell), cell);
  }
}

/// Tile t's patch p has value 100 * t + p; newlines -1.
Values packed_plainly(PixelSize picture, const Expected& expected) {
  const TileCanvas canvas = choose_canvas(picture, kSmall, 56);
  Values out;
  for (int32_t p = 0; p < 16; ++p) out.push_back(static_cast<float>(p));
  const int32_t top = (canvas.rows() * 4 - expected.rows) / 2;
  const int32_t left = (canvas.cols() * 4 - expected.cols) / 2;
  for (int32_t row = top; row < top + expected.rows; ++row) {
    for (int32_t col = left; col < left + expected.cols; ++col) {
      const int32_t tile = 1 + row / 4 * canvas.cols() + col / 4;
      out.push_back(static_cast<float>(100 * tile + row % 4 * 4 + col % 4));
    }
    out.push_back(-1.0F);
  }
  return out;
}

std::vector<Values> numbered_tiles(const TokenLayout& layout, int32_t rows, int32_t width) {
  std::vector<Values> tiles(layout.tiles.size());
  for (std::size_t t = 0; t < tiles.size(); ++t) {
    for (int32_t i = 0; i < rows * 16 * width; ++i) {
      tiles[t].push_back(static_cast<float>(100 * t + static_cast<std::size_t>(i / width % 16)) +
                         0.25F * static_cast<float>(i % width) + 0.5F * static_cast<float>(i / width / 16));
    }
  }
  return tiles;
}

TEST(PackTiles, InTheOrderOfTheDecoder) {
  const Expected cases[] = {{{150, 90}, 4, 8, 52}, {{1000, 1}, 0, 8, 16},  {{1, 1000}, 4, 0, 20},
                            {{28, 28}, 4, 4, 36},  {{400, 300}, 6, 8, 70}, {{57, 170}, 12, 4, 76}};
  for (const Expected& expected : cases) {
    const TokenLayout layout = small_layout(expected.picture);
    const Values newline = {-1.0F};
    EXPECT_EQ(pack_tiles(layout, numbered_tiles(layout, 1, 1), 1, 1, newline),
              packed_plainly(expected.picture, expected));
  }
}

TEST(PackTiles, RowsAndWidths) {
  const TokenLayout layout = small_layout({150, 90});
  const Values plain = packed_plainly({150, 90}, {{150, 90}, 4, 8, 52});
  const Values wide = pack_tiles(layout, numbered_tiles(layout, 1, 2), 1, 2, Values{-1.0F, -2.0F});
  const Values heads = pack_tiles(layout, numbered_tiles(layout, 2, 1), 2, 1);
  for (std::size_t i = 0; i < plain.size(); ++i) {
    const bool newline = plain[i] < 0.0F;
    EXPECT_EQ(wide[2 * i], newline ? -1.0F : plain[i]);
    EXPECT_EQ(wide[2 * i + 1], newline ? -2.0F : plain[i] + 0.25F);
    EXPECT_EQ(heads[i], newline ? 0.0F : plain[i]) << "zeros for newlines when there is nothing else";
    EXPECT_EQ(heads[plain.size() + i], newline ? 0.0F : plain[i] + 0.5F);
  }
}

TEST(VideoLayout, StepsOneBelowTheOther) {
  const TokenLayout layout = video_layout({2, 3}, 4);
  EXPECT_EQ(layout.n(), 24);
  EXPECT_EQ(layout.grid.rows, 8);
  EXPECT_EQ(layout.grid.cols, 3);
  EXPECT_EQ(layout.n_step, 4);
  EXPECT_EQ(layout.arrangement.size(), 0) << "no tiles of a picture";
  EXPECT_TRUE(layout.is_tiled());
  for (int32_t cell = 0; cell < 24; ++cell) {
    EXPECT_EQ(layout.tile_of(cell), cell / 6);
    EXPECT_EQ(layout.patch_of(cell), cell % 6);
  }
  EXPECT_FALSE(video_layout({2, 3}, 1).is_tiled());
  EXPECT_EQ(pack_tiles(video_layout({1, 2}, 2), {{1, 2, 3, 4}, {5, 6, 7, 8}}, 2, 1),
            (std::vector<float>{1, 2, 5, 6, 3, 4, 7, 8}))
      << "rows of attention: the columns of both steps side by side";
}

}  // namespace
}  // namespace winnow::engine
