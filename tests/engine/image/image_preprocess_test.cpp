#include <cmath>
#include <cstdio>

#include "tests/engine/image/image_fixtures.h"

namespace winnow::engine {
namespace {

constexpr std::array<float, 3> kClipMean{0.48145466f, 0.4578275f, 0.40821073f};
constexpr std::array<float, 3> kClipStd{0.26862954f, 0.26130258f, 0.27577711f};

ImageSpec clip_spec(int32_t size_px, ImageFit fit) { return {size_px, kClipMean, kClipStd, fit}; }

TEST(ResizeBicubic, EqualsPillowToTheBit) {
  for (const auto& [name, expected] : pillow("resized").tensors) {
    SCOPED_TRACE(name);
    int width = 0, height = 0, out_width = 0, out_height = 0;
    ASSERT_EQ(std::sscanf(name.c_str(), "%dx%d_to_%dx%d", &width, &height, &out_width, &out_height), 4);
    expect_same(resize_bicubic(picture(width, height), out_width, out_height), expected);
  }
  EXPECT_GE(pillow("resized").tensors.size(), 10u);
}

TEST(ResizeBicubic, BadSizes) {
  expect_error(ErrorCode::InvalidArgument, "empty image", [] { resize_bicubic({}, 3, 3); });
  expect_error(ErrorCode::InvalidArgument, "got 0x3", [] { resize_bicubic(picture(2, 2), 0, 3); });
  expect_error(ErrorCode::InvalidArgument, "got 3x-1", [] { resize_bicubic(picture(2, 2), 3, -1); });
}

// Back from normalised floats to the 8-bit picture.
Image as_image(const Pixels& pixels) {
  Image image{pixels.size.width, pixels.size.height, {}};
  const size_t n = pixels.values.size() / 3;
  for (size_t i = 0; i < n; ++i) {
    for (size_t c = 0; c < 3; ++c) {
      const float value = (pixels.values[c * n + i] * kClipStd[c] + kClipMean[c]) * 255.0f;
      image.rgb.push_back(static_cast<uint8_t>(std::lround(value)));
    }
  }
  return image;
}

TEST(Preprocess, BothFitsEqualPillowToTheBit) {
  size_t n = 0;
  for (const auto& [name, expected] : pillow("fitted").tensors) {
    SCOPED_TRACE(name);
    int width = 0, height = 0;
    const bool is_crop = name.starts_with("crop");
    ASSERT_EQ(std::sscanf(name.c_str(), is_crop ? "crop_%dx%d" : "pad_%dx%d", &width, &height), 2);
    const ImageSpec spec = clip_spec(28, is_crop ? ImageFit::Crop : ImageFit::Pad);
    expect_same(as_image(preprocess(picture(width, height), spec)), expected);
    ++n;
  }
  EXPECT_EQ(n, 16u);
}

class Golden : public testing::TestWithParam<std::string> {};

TEST_P(Golden, EqualsTheHuggingFaceProcessor) {
  const std::string path = std::string(WINNOW_TEST_DATA) + "/llava15/" + GetParam();
  const Image image = load_image(path + ".png");
  const record::TensorFile file = record::read_safetensors(path + ".safetensors");
  const record::Tensor& expected = file.at("pixel_values");
  const Pixels pixels = preprocess(image, clip_spec(84, ImageFit::Crop));
  ASSERT_EQ(expected.shape, (std::vector<int64_t>{1, 3, 84, 84}));
  ASSERT_EQ(pixels.values.size(), expected.f32.size());
  float worst = 0.0f;
  for (size_t i = 0; i < expected.f32.size(); ++i) {
    worst = std::max(worst, std::abs(pixels.values[i] - expected.f32[i]));
  }
  EXPECT_LE(worst, 1e-6f);
}

INSTANTIATE_TEST_SUITE_P(Oracle, Golden, testing::Values("resize", "exact"),
                         [](const auto& test) { return test.param; });

TEST(Preprocess, MapOfACrop) {
  const ImageMap map = preprocess(picture(200, 100), clip_spec(50, ImageFit::Crop)).map;
  EXPECT_DOUBLE_EQ(map.scale_x, 2.0);
  EXPECT_DOUBLE_EQ(map.scale_y, 2.0);
  EXPECT_DOUBLE_EQ(map.left, 50.0);  // of the resized 100 columns 25..74 are kept
  EXPECT_DOUBLE_EQ(map.top, 0.0);
}

TEST(Preprocess, MapOfAPaddedPicture) {
  const ImageMap map = preprocess(picture(100, 200), clip_spec(50, ImageFit::Pad)).map;
  EXPECT_DOUBLE_EQ(map.scale_x, 4.0);
  EXPECT_DOUBLE_EQ(map.scale_y, 4.0);
  EXPECT_DOUBLE_EQ(map.left, -50.0);
  EXPECT_DOUBLE_EQ(map.top, 0.0);
}

// Building the padded or the whole resized picture would take terabytes here.
TEST(Preprocess, LongestPictures) {
  for (const auto& [width, height] : {std::pair{1, 1'000'000}, std::pair{1'000'000, 1}}) {
    const Image image{width, height, std::vector<uint8_t>(3'000'000, 77)};
    const Image cropped = as_image(preprocess(image, clip_spec(336, ImageFit::Crop)));
    EXPECT_EQ(cropped.rgb, std::vector<uint8_t>(336 * 336 * 3, 77));
    EXPECT_EQ(preprocess(image, clip_spec(336, ImageFit::Pad)).values.size(), 336u * 336u * 3u);
  }
}

TEST(Preprocess, BadArguments) {
  ImageSpec spec = clip_spec(28, ImageFit::Pad);
  expect_error(ErrorCode::InvalidArgument, "empty image", [&] { preprocess({}, spec); });
  expect_error(ErrorCode::InvalidArgument, "bad input size", [] { preprocess(picture(2, 2), {}); });
  spec.std[1] = 0.0f;
  expect_error(ErrorCode::InvalidArgument, "bad standard deviation",
               [&] { preprocess(picture(2, 2), spec); });
  EXPECT_EQ(parse_image_fit("crop"), ImageFit::Crop);
  EXPECT_EQ(parse_image_fit("pad"), ImageFit::Pad);
  expect_error(ErrorCode::InvalidArgument, "'Pad', expected crop or pad", [] { parse_image_fit("Pad"); });
}

}  // namespace
}  // namespace winnow::engine
