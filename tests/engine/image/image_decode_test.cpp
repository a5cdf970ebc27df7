#include <filesystem>

#include "tests/engine/image/image_fixtures.h"
#include "winnow/engine/exif.h"

namespace winnow::engine {
namespace {

class Decode : public testing::TestWithParam<std::string> {};

TEST_P(Decode, EqualsPillow) {
  expect_same(load_image(image_path(GetParam())), pillow("decoded").at(GetParam()));
}

std::vector<std::string> fixture_names() {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : pillow("decoded").tensors) names.push_back(name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Fixtures, Decode, testing::ValuesIn(fixture_names()), [](const auto& test) {
  std::string name = test.param;
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
});

TEST(DecodeImage, CoversEveryFixture) {
  size_t n = 0;
  for (const auto& entry : std::filesystem::directory_iterator(image_path(""))) {
    const std::string name = entry.path().filename();
    if (name.ends_with(".safetensors") || name == "README.md") continue;
    EXPECT_TRUE(pillow("decoded").tensors.contains(name)) << name;
    ++n;
  }
  EXPECT_EQ(n, pillow("decoded").tensors.size());
}

// Lossless files show the generated picture itself, so a mistake in the stored goldens would be seen as well.
TEST(DecodeImage, LosslessFilesShowThePicture) {
  for (const char* name : {"rgb8.png", "rgb8_interlaced.png", "rgb16.png", "lossless.webp", "rgb24.bmp"}) {
    EXPECT_EQ(load_image(image_path(name)).rgb, picture(13, 9).rgb) << name;
  }
}

TEST(DecodeImage, IgnoresTheFileName) {
  const std::string copy = testing::TempDir() + "winnow_really_a_png.jpg";
  std::filesystem::copy_file(image_path("rgb8.png"), copy, std::filesystem::copy_options::overwrite_existing);
  EXPECT_EQ(load_image(copy).rgb, picture(13, 9).rgb);
  std::filesystem::remove(copy);
}

TEST(SavePng, ReadsBackTheSame) {
  const std::string path = testing::TempDir() + "winnow_saved.png";
  const Image image = picture(31, 17);
  save_png(image, path);
  const Image read = load_image(path);
  EXPECT_EQ(read.width, 31);
  EXPECT_EQ(read.height, 17);
  EXPECT_EQ(read.rgb, image.rgb);
  std::filesystem::remove(path);
}

TEST(SavePng, SaysWhatItCannotWrite) {
  const std::string path = "/nonexistent/folder/out.png";
  expect_error(ErrorCode::Io, path, [&] { save_png(picture(2, 2), path); });
  expect_error(ErrorCode::Io, "/dev/full", [] { save_png(picture(200, 200), "/dev/full"); });
  expect_error(ErrorCode::InvalidArgument, "2x2", [] { save_png({2, 2, {1, 2, 3}}, "unused.png"); });
}

std::vector<uint8_t> tiff(bool big_endian, uint16_t tag, uint16_t type, uint32_t count, uint16_t value) {
  std::vector<uint8_t> bytes;
  const auto put = [&](uint32_t number, int n) {
    for (int i = 0; i < n; ++i)
      bytes.push_back(static_cast<uint8_t>(number >> 8 * (big_endian ? n - 1 - i : i)));
  };
  bytes.assign(2, big_endian ? 'M' : 'I');
  put(42, 2);
  put(8, 4);
  put(1, 2);
  put(tag, 2);
  put(type, 2);
  put(count, 4);
  put(value, 2);
  put(0, 2);
  put(0, 4);
  return bytes;
}

TEST(ExifOrientation, BothByteOrdersAndPrefix) {
  for (uint16_t value = 1; value <= 8; ++value) {
    for (const bool big_endian : {false, true}) {
      std::vector<uint8_t> block = tiff(big_endian, 0x0112, 3, 1, value);
      EXPECT_EQ(exif_orientation(block), value);
      const std::string prefix("Exif\0\0", 6);
      block.insert(block.begin(), prefix.begin(), prefix.end());
      EXPECT_EQ(exif_orientation(block), value);
    }
  }
}

TEST(ExifOrientation, BrokenBlocksAreUpright) {
  EXPECT_EQ(exif_orientation({}), 1);
  for (const uint16_t value : std::initializer_list<uint16_t>{0, 9, 65535})
    EXPECT_EQ(exif_orientation(tiff(true, 0x0112, 3, 1, value)), 1);
  EXPECT_EQ(exif_orientation(tiff(true, 0x0110, 3, 1, 6)), 1);
  EXPECT_EQ(exif_orientation(tiff(true, 0x0112, 4, 1, 6)), 1);
  EXPECT_EQ(exif_orientation(tiff(true, 0x0112, 3, 2, 6)), 1);
  const std::vector<uint8_t> whole = tiff(false, 0x0112, 3, 1, 6);
  for (size_t n = 0; n < 22; ++n) EXPECT_EQ(exif_orientation(std::span(whole).first(n)), 1) << n;
  for (size_t i = 4; i < 8; ++i) {  // the IFD's place
    std::vector<uint8_t> block = whole;
    block[i] = 0xFF;
    EXPECT_EQ(exif_orientation(block), 1);
  }
}

}  // namespace
}  // namespace winnow::engine
