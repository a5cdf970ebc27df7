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
    const std::vector<PatchShare> shares = layout.shares_of(cell);
    ASSERT_EQ(shares.size(), 1U);
    EXPECT_EQ(shares[0].tile, 0);
    EXPECT_EQ(shares[0].patch, cell);
    EXPECT_EQ(shares[0].weight, 1.0F);
  }
}

/// Resolutions of 384 px tiles up to 6 x 6, as LLaVA-OneVision's are published.
std::vector<PixelSize> up_to_6_x_6() {
  std::vector<PixelSize> sizes;
  for (int32_t rows = 1; rows <= 6; ++rows) {
    for (int32_t cols = 1; cols <= 6; ++cols) sizes.push_back({cols * 384, rows * 384});
  }
  return sizes;
}

/// By hand, for 1920 x 1080: 3 x 5 tiles keep all of its pixels, 81 x 135 tokens; 1080 * 135 / 1920 =
/// 75.9, so 75 rows are picture and (81 - 75) // 2 = 3 go on each side. sqrt(75 * 135 / (9 * 27^2)) = 1.242:
/// 75 // 1.242 = 60 rows, 135 // 1.242 = 108 columns, and 729 + 60 * 108 + 60 = 7269. 1024 x 899
/// is transformers' own integration test: 10 inputs, and 6567 ids of which 16 are text. The others from a
/// transcription of its LlavaOnevisionProcessor in Python.
TEST(TokenLayout, CountsOfLlavaOneVision) {
  const Expected cases[] = {
      {{1920, 1080}, 60, 108, 7269}, {{28, 28}, 27, 27, 1485},     {{384, 384}, 27, 27, 1485},
      {{640, 480}, 40, 54, 2929},    {{480, 640}, 54, 40, 2943},   {{1024, 899}, 71, 81, 6551},
      {{1000, 1}, 1, 81, 811},       {{1, 1000}, 81, 1, 891},      {{1152, 1152}, 81, 81, 7371},
      {{1153, 1153}, 81, 81, 7371},  {{4000, 3000}, 70, 93, 7309}, {{2304, 2304}, 81, 81, 7371},
      {{2304, 384}, 27, 162, 5130},  {{384, 2304}, 162, 27, 5265}, {{300, 2000}, 162, 25, 4941},
      {{2000, 300}, 25, 162, 4804},  {{5000, 5000}, 81, 81, 7371}, {{770, 390}, 42, 81, 4173},
  };
  const std::vector<PixelSize> sizes = up_to_6_x_6();
  for (const Expected& expected : cases) {
    const TokenLayout layout = tiled_layout({27, 27}, choose_canvas(expected.picture, sizes, 384), 9);
    expect_layout(layout, expected);
    for (const int32_t cell : layout.cells) {
      if (layout.tile_of(cell) < 0) continue;
      float sum = 0.0F;
      for (const PatchShare& share : layout.shares_of(cell)) {
        ASSERT_LT(share.tile, std::ssize(layout.tiles));
        ASSERT_LT(share.patch, 729);
        sum += share.weight;
      }
      ASSERT_NEAR(sum, 1.0F, 1e-6F);
    }
  }
}

/// 3 x 3 tiles of 2 x 2 tokens, 6 x 6 of them, to sqrt(36 / (2 * 4)) = 2.12: 2 x 2. Tokens are read at 1 and
/// 4: exactly on patches of the outer tiles.
TEST(TokenLayout, ShrunkByHand) {
  const TokenLayout layout = tiled_layout({2, 2}, {{90, 90}, {90, 90}, {90, 90}, 0, 0, 30}, 2);
  EXPECT_TRUE(layout.shrunk);
  EXPECT_EQ(layout.grid.rows, 2 + 2);
  EXPECT_EQ(layout.grid.cols, 2 + 1);
  EXPECT_EQ(layout.n(), 4 + 2 * 3);
  const std::pair<int32_t, int32_t> expected[] = {{1, 3}, {3, 2}, {7, 1}, {9, 0}};  // tile, patch
  for (int32_t i = 0; i < 4; ++i) {
    const int32_t cell = (2 + i / 2) * 3 + i % 2;
    const std::vector<PatchShare> shares = layout.shares_of(cell);
    ASSERT_EQ(shares.size(), 1U);
    EXPECT_EQ(std::pair(shares[0].tile, shares[0].patch), expected[i]);
    EXPECT_EQ(layout.tile_of(cell), expected[i].first);
  }
  EXPECT_EQ(layout.tiles[2].grid.size(), 0) << "no token has its centre in the middle tiles";
  EXPECT_EQ(layout.tile_of(2 * 3 + 2), -1) << "a newline";
}

/// 2 x 2 tiles of 3 x 3 tokens, 6 x 6 to sqrt(36 / 9) = 2: 3 x 3, each the mean of 2 x 2 patches; that in the
/// middle has one of each tile, and its centre at their corner is the last one's.
TEST(TokenLayout, ShrunkAcrossTilesByHand) {
  const TokenLayout layout = tiled_layout({3, 3}, {{60, 60}, {60, 60}, {60, 60}, 0, 0, 30}, 1);
  ASSERT_EQ(layout.n(), 9 + 3 * 4);
  const std::vector<PatchShare> middle = layout.shares_of((3 + 1) * 4 + 1);
  ASSERT_EQ(middle.size(), 4U);
  constexpr int32_t kPatches[] = {8, 6, 2, 0};
  for (int32_t i = 0; i < 4; ++i) {
    EXPECT_EQ(middle[static_cast<std::size_t>(i)].tile, 1 + i);
    EXPECT_EQ(middle[static_cast<std::size_t>(i)].patch, kPatches[i]);
    EXPECT_EQ(middle[static_cast<std::size_t>(i)].weight, 0.25F);
  }
  EXPECT_EQ(layout.tile_of((3 + 1) * 4 + 1), 4);
  std::vector<Values> tiles(5, Values(9, 0.0F));
  for (std::size_t t = 1; t < 5; ++t) {
    for (std::size_t p = 0; p < 9; ++p) tiles[t][p] = static_cast<float>(10 * t + p);
  }
  const Values packed = pack_tiles(layout, tiles, 1, 1, Values{-1.0F});
  const Values expected = {12.0F, 17.5F, 23.0F, -1.0F, 23.5F, 29.0F,
                           34.5F, -1.0F, 35.0F, 40.5F, 46.0F, -1.0F};
  EXPECT_EQ(Values(packed.begin() + 9, packed.end()), expected);
}

TEST(TokenLayout, FewTokensAreNotShrunk) {
  // The limit is a ratio of 1.1 along each axis.
  const TokenLayout layout = tiled_layout({9, 9}, {{60, 60}, {60, 60}, {60, 60}, 0, 0, 15}, 14);
  EXPECT_EQ(layout.grid.rows, 9 + 36) << "16 tiles for 14: a ratio of 1.069";
  EXPECT_FALSE(layout.shrunk);
  EXPECT_TRUE(tiled_layout({9, 9}, {{60, 60}, {60, 60}, {60, 60}, 0, 0, 15}, 13).shrunk) << "1.109";
}

/// 800 x 20 px on 1 x 8 tiles of 5 x 5: one row of 40 tokens, for 25 a ratio of 1.26, leaves none of it,
/// where torch would refuse.
TEST(TokenLayout, ARowMayShrinkAway) {
  const TokenLayout layout = tiled_layout({5, 5}, {{800, 20}, {800, 100}, {800, 20}, 0, 40, 100}, 1);
  EXPECT_EQ(layout.n(), 25);
  EXPECT_TRUE(layout.shrunk);
  for (const int32_t cell : layout.cells) EXPECT_EQ(layout.tile_of(cell), 0);
}

TEST(TokenLayout, WholePictureAndOneNewline) {
  const TokenLayout layout = whole_layout({3, 5});
  EXPECT_EQ(layout.n(), 16);
  EXPECT_EQ(layout.tiles.size(), 1U);
  EXPECT_TRUE(layout.is_tiled()) << "there is a newline";
  for (int32_t token = 0; token < 15; ++token) {
    const int32_t cell = layout.cells[static_cast<std::size_t>(token)];
    EXPECT_EQ(layout.tile_of(cell), 0);
    EXPECT_EQ(layout.shares_of(cell)[0].patch, token);
  }
  EXPECT_EQ(layout.tile_of(layout.cells.back()), -1);
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
    EXPECT_EQ(layout.shares_of(cell).front().patch, cell % 6);
  }
  EXPECT_FALSE(video_layout({2, 3}, 1).is_tiled());
  EXPECT_EQ(pack_tiles(video_layout({1, 2}, 2), {{1, 2, 3, 4}, {5, 6, 7, 8}}, 2, 1),
            (std::vector<float>{1, 2, 5, 6, 3, 4, 7, 8}))
      << "rows of attention: the columns of both steps side by side";
}

}  // namespace
}  // namespace winnow::engine
