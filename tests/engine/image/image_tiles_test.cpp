// Pictures cut into tiles. The expected numbers are those of a transcription of transformers'
// select_best_resolution and get_patch_output_size in Python.

#include "winnow/engine/image_tiles.h"

#include <string>

#include "tests/engine/image/image_fixtures.h"

namespace winnow::engine {
namespace {

constexpr std::array<float, 3> kMean{0.5f, 0.25f, 0.125f};
constexpr std::array<float, 3> kStd{0.5f, 1.0f, 2.0f};

/// Of the published models, in their order.
const std::vector<PixelSize> kPublished = {{672, 336}, {336, 672}, {672, 672}, {336, 1008}, {1008, 336}};
const std::vector<PixelSize> kSmall = {{112, 56}, {56, 112}, {112, 112}, {56, 168}, {168, 56}};

ImageSpec spec(int32_t size_px) { return {size_px, kMean, kStd, ImageFit::Pad}; }

struct Expected {
  PixelSize picture, canvas, fitted;
};

void expect_canvas(const std::vector<PixelSize>& resolutions, int32_t tile_px, const Expected& expected) {
  const TileCanvas canvas = choose_canvas(expected.picture, resolutions, tile_px);
  const std::string what =
      std::to_string(expected.picture.width) + "x" + std::to_string(expected.picture.height);
  EXPECT_EQ(canvas.picture, expected.picture) << what;
  EXPECT_EQ(canvas.size, expected.canvas) << what;
  EXPECT_EQ(canvas.fitted, expected.fitted) << what;
  EXPECT_EQ(canvas.left, (expected.canvas.width - expected.fitted.width) / 2) << what;
  EXPECT_EQ(canvas.top, (expected.canvas.height - expected.fitted.height) / 2) << what;
  EXPECT_EQ(canvas.rows() * tile_px, expected.canvas.height) << what;
  EXPECT_EQ(canvas.cols() * tile_px, expected.canvas.width) << what;
}

TEST(ChooseCanvas, OfThePublishedModels) {
  const Expected cases[] = {
      {{1000, 1}, {1008, 336}, {1008, 2}},     {{1, 1000}, {336, 1008}, {2, 1008}},
      {{28, 28}, {672, 336}, {336, 336}},      {{4000, 3000}, {672, 672}, {672, 505}},
      {{640, 480}, {672, 672}, {672, 504}},    {{480, 640}, {672, 672}, {504, 672}},
      {{336, 336}, {672, 336}, {336, 336}},    {{672, 672}, {672, 672}, {672, 672}},
      {{673, 671}, {672, 672}, {672, 671}},    {{1920, 1080}, {672, 672}, {672, 378}},
      {{333, 1000}, {336, 1008}, {336, 1008}}, {{500, 375}, {672, 672}, {672, 505}},
      {{1008, 336}, {1008, 336}, {1008, 336}}, {{100, 301}, {672, 336}, {112, 336}},
      {{2, 3}, {672, 336}, {224, 336}},
  };
  for (const Expected& expected : cases) expect_canvas(kPublished, 336, expected);
}

TEST(ChooseCanvas, PicturesThinnerThanAPixelGetTheSmallestCanvas) {
  expect_canvas(kSmall, 56, {{1000, 1}, {112, 56}, {112, 1}});
  expect_canvas(kSmall, 56, {{1, 1000}, {112, 56}, {1, 56}});
  expect_canvas(kSmall, 56, {{150, 90}, {112, 112}, {112, 68}});
}

TEST(ChooseCanvas, EmptyPicture) {
  expect_error(ErrorCode::InvalidArgument, "empty image, got 0x5", [] { choose_canvas({0, 5}, kSmall, 56); });
}

/// 8-bit value of a pixel in normalised values [3, size, size].
int32_t value_of(const Pixels& pixels, int32_t x, int32_t y, int32_t c) {
  const auto at = static_cast<size_t>((c * pixels.size.height + y) * pixels.size.width + x);
  const auto channel = static_cast<size_t>(c);
  return static_cast<int32_t>(std::lround((pixels.values[at] * kStd[channel] + kMean[channel]) * 255.0f));
}

TEST(CutTiles, TheSquareAndTheFittedPictureOnBlack) {
  for (const auto& [width, height] : {std::pair{150, 90}, {31, 200}, {1, 1000}, {1000, 1}, {56, 112}}) {
    SCOPED_TRACE(std::to_string(width) + "x" + std::to_string(height));
    const Image image = picture(width, height);
    const TileCanvas canvas = choose_canvas({width, height}, kSmall, 56);
    const std::vector<Pixels> tiles = cut_tiles(image, canvas, spec(56));
    ASSERT_EQ(std::ssize(tiles), 1 + canvas.rows() * canvas.cols());
    EXPECT_EQ(tiles[0].values, normalise(resize_bicubic(image, 56, 56), spec(56)));
    const Image fitted = resize_bicubic(image, canvas.fitted.width, canvas.fitted.height);
    for (int32_t y = 0; y < canvas.size.height; ++y) {
      for (int32_t x = 0; x < canvas.size.width; ++x) {
        const Pixels& tile = tiles[static_cast<size_t>(1 + y / 56 * canvas.cols() + x / 56)];
        const int32_t from_x = x - canvas.left, from_y = y - canvas.top;
        const bool inside = from_x >= 0 && from_y >= 0 && from_x < fitted.width && from_y < fitted.height;
        for (int32_t c = 0; c < 3; ++c) {
          const auto at = static_cast<size_t>((from_y * fitted.width + from_x) * 3 + c);
          ASSERT_EQ(value_of(tile, x % 56, y % 56, c), inside ? fitted.rgb[at] : 0) << x << ", " << y;
        }
      }
    }
  }
}

TEST(CutTiles, MapsSayWhereATileCameFrom) {
  const TileCanvas canvas = choose_canvas({150, 90}, kSmall, 56);  // 112 x 68 pixels from row 22 on
  const std::vector<Pixels> tiles = cut_tiles(picture(150, 90), canvas, spec(56));
  EXPECT_DOUBLE_EQ(tiles[0].map.scale_x, 150.0 / 56);
  EXPECT_DOUBLE_EQ(tiles[0].map.scale_y, 90.0 / 56);
  EXPECT_DOUBLE_EQ(tiles[0].map.left, 0.0);
  const ImageMap& last = tiles[4].map;
  EXPECT_DOUBLE_EQ(last.scale_x, 150.0 / 112);
  EXPECT_DOUBLE_EQ(last.left + 56 * last.scale_x, 150.0) << "the right edge of the picture";
  EXPECT_DOUBLE_EQ(last.top, (56 - 22) * 90.0 / 68);
  EXPECT_DOUBLE_EQ(tiles[1].map.top, -22 * 90.0 / 68) << "above the picture";
}

TEST(CutTiles, AnotherPicture) {
  const TileCanvas canvas = choose_canvas({150, 90}, kSmall, 56);
  expect_error(ErrorCode::InvalidArgument, "got a picture of 90x150",
               [&] { cut_tiles(picture(90, 150), canvas, spec(56)); });
}

TEST(CutTiles, EqualsTheHuggingFaceProcessor) {
  const std::string folder = std::string(WINNOW_TEST_DATA) + "/llava_next/";
  const Image image = load_image(folder + "image.png");
  const record::TensorFile file = record::read_safetensors(folder + "results.safetensors");
  const std::vector<float>& expected = file.at("pixel_values").f32;
  const ImageSpec clip{
      56, {0.48145466f, 0.4578275f, 0.40821073f}, {0.26862954f, 0.26130258f, 0.27577711f}, ImageFit::Pad};
  std::vector<float> actual;
  for (const Pixels& tile : cut_tiles(image, choose_canvas({image.width, image.height}, kSmall, 56), clip)) {
    actual.insert(actual.end(), tile.values.begin(), tile.values.end());
  }
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) ASSERT_NEAR(actual[i], expected[i], 1e-6) << i;
}

}  // namespace
}  // namespace winnow::engine
