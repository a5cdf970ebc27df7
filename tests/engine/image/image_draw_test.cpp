#include "tests/engine/image/image_fixtures.h"

namespace winnow::engine {
namespace {

Image white(int32_t width, int32_t height) {
  return {width, height, std::vector<uint8_t>(static_cast<size_t>(width * height) * 3, 200)};
}

uint8_t at(const Image& image, int32_t x, int32_t y) {
  return image.rgb[static_cast<size_t>(y * image.width + x) * 3];
}

Pixels pixels_of(const Image& image, ImageFit fit) { return preprocess(image, {28, {}, {1, 1, 1}, fit}); }

Image draw(const Image& image, const Pixels& pixels, int32_t rows, int32_t cols, std::vector<int32_t> kept) {
  const KeptPatches input{pixels.map, pixels.size, rows, cols, std::move(kept)};
  return draw_kept(image, {&input, 1});
}

TEST(DrawKept, SquarePictureShowsExactlyTheKeptPatches) {
  const Image image = white(40, 40);
  const std::vector<int32_t> kept{0, 7};  // of 4 x 4: the top left patch, and row 1, column 3
  const Image drawn = draw(image, pixels_of(image, ImageFit::Crop), 4, 4, kept);
  for (int32_t y = 0; y < 40; ++y) {
    for (int32_t x = 0; x < 40; ++x) {
      const bool is_kept = (x < 10 && y < 10) || (x >= 30 && y >= 10 && y < 20);
      ASSERT_EQ(at(drawn, x, y), is_kept ? 200 : 60) << x << ", " << y;
    }
  }
}

TEST(DrawKept, OutsideTheCropIsDimmedWhateverIsKept) {
  const Image image = white(80, 40);
  const std::vector<int32_t> all{0, 1, 2, 3};
  const Image drawn = draw(image, pixels_of(image, ImageFit::Crop), 2, 2, all);
  for (int32_t x = 0; x < 80; ++x) EXPECT_EQ(at(drawn, x, 20), x >= 20 && x < 60 ? 200 : 60) << x;
}

TEST(DrawKept, PaddedPictureUsesTheMiddleOfTheGrid) {
  const Image image = white(40, 20);  // rows 1 and 2 of 4 show it, 0 and 3 are padding
  const std::vector<int32_t> kept{0, 4, 14};
  const Image drawn = draw(image, pixels_of(image, ImageFit::Pad), 4, 4, kept);
  for (int32_t y = 0; y < 20; ++y) {
    for (int32_t x = 0; x < 40; ++x)
      EXPECT_EQ(at(drawn, x, y), x < 10 && y < 10 ? 200 : 60) << x << ", " << y;
  }
}

TEST(DrawKept, APixelBelongsToThePatchOfItsCentre) {
  const Image image = white(10, 10);  // patches end at 3.33 and 6.67: pixel 3 is mostly the second patch's
  const Image drawn = draw(image, pixels_of(image, ImageFit::Crop), 3, 3, {0});
  for (int32_t x = 0; x < 10; ++x) EXPECT_EQ(at(drawn, x, 0), x < 3 ? 200 : 60) << x;
}

TEST(DrawKept, NothingAndEverything) {
  const Image image = picture(33, 33);
  const Pixels pixels = pixels_of(image, ImageFit::Pad);
  EXPECT_EQ(draw(image, pixels, 1, 1, {0}).rgb, image.rgb);
  const Image none = draw(image, pixels, 3, 3, {});
  for (size_t i = 0; i < image.rgb.size(); ++i) ASSERT_EQ(none.rgb[i], image.rgb[i] * 30 / 100);
}

/// Two inputs: the whole picture in 1 x 2 patches, and its lower half, magnified, in 2 x 2.
TEST(DrawKept, APlaceIsBrightIfOneOfTheInputsKeepsIt) {
  const Image image = white(28, 28);
  const KeptPatches whole{{0.0, 0.0, 1.0, 1.0}, {28, 28}, 1, 2, {0}};
  const KeptPatches half{{0.0, 14.0, 1.0, 0.5}, {28, 28}, 2, 2, {1}};
  const Image drawn = draw_kept(image, std::vector<KeptPatches>{whole, half});
  for (int32_t y = 0; y < 28; ++y) {
    for (int32_t x = 0; x < 28; ++x) {
      const bool bright = x < 14 || (y >= 14 && y < 21);
      ASSERT_EQ(at(drawn, x, y), bright ? 200 : 60) << x << ", " << y;
    }
  }
}

TEST(DrawKept, BadIndices) {
  const Image image = white(8, 8);
  const Pixels pixels = pixels_of(image, ImageFit::Pad);
  for (const int32_t index : {-1, 4}) {
    expect_error(ErrorCode::InvalidArgument, "outside the grid", [&] { draw(image, pixels, 2, 2, {index}); });
  }
  expect_error(ErrorCode::InvalidArgument, "empty grid", [&] { draw(image, pixels, 0, 2, {}); });
}

}  // namespace
}  // namespace winnow::engine
