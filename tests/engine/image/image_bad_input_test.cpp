#include <cstring>

#include "tests/engine/image/image_fixtures.h"

namespace winnow::engine {
namespace {

using Bytes = std::vector<uint8_t>;

Bytes text_bytes(const std::string& text) { return {text.begin(), text.end()}; }

TEST(BadImage, NotAnImage) {
  expect_error(ErrorCode::Corrupt, "empty file", [] { decode_image({}); });
  for (const char* text :
       {"a", "hello, this is text", "<svg></svg>", "RIFF    WAVEfmt ", "GIF88a", "\x89PNX"}) {
    expect_error(ErrorCode::Unsupported, "not an image", [&] { decode_image(text_bytes(text)); });
  }
}

TEST(BadImage, FilesNameThePath) {
  const std::string missing = image_path("no_such_picture.png");
  expect_error(ErrorCode::NotFound, missing, [&] { load_image(missing); });
  expect_error(ErrorCode::Io, image_path(""), [] { load_image(image_path("")); });
  expect_error(ErrorCode::Unsupported, "[engine.load_image] '" + image_path("README.md") + "': not an image",
               [] { load_image(image_path("README.md")); });
  expect_error(ErrorCode::Corrupt, "empty file", [] { load_image("/dev/null"); });
  ImageLimits limits;
  limits.max_file_bytes = 100;
  expect_error(ErrorCode::InvalidArgument, "expected at most 100 bytes",
               [&] { load_image(image_path("rgb8.png"), limits); });
  expect_error(ErrorCode::InvalidArgument, "expected at most 100 bytes",
               [&] { load_image("/dev/zero", limits); });
}

class Truncated : public testing::TestWithParam<std::string> {};

TEST_P(Truncated, EveryCutIsAnError) {
  const Bytes whole = file_bytes(image_path(GetParam()));
  EXPECT_NO_THROW(decode_image(whole));
  for (size_t n = 16; n < whole.size(); ++n) {  // past the magic bytes
    SCOPED_TRACE(fmt::format("{} of {} bytes", n, whole.size()));
    expect_error(ErrorCode::Corrupt, "truncated", [&] { decode_image(std::span(whole).first(n)); });
  }
}

INSTANTIATE_TEST_SUITE_P(Fixtures, Truncated,
                         testing::Values("rgb8.png", "rgb16.png", "rgb8_interlaced.png", "palette8.png",
                                         "orientation6.png", "baseline_420.jpg", "progressive.jpg",
                                         "cmyk.jpg", "orientation6.jpg", "still_interlaced.gif",
                                         "animated.gif", "lossy.webp", "lossless.webp", "alpha.webp",
                                         "animated.webp", "rgb24.bmp", "palette8.bmp", "rgb565.bmp",
                                         "os2_palette4.bmp"),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::replace(name.begin(), name.end(), '.', '_');
                           return name;
                         });

TEST(BadImage, BytesAfterTheEndAreFine) {
  for (const char* name : {"rgb8.png", "baseline_420.jpg", "animated.gif", "lossy.webp", "rgb24.bmp"}) {
    Bytes bytes = file_bytes(image_path(name));
    bytes.insert(bytes.end(), 100, 0xAB);
    EXPECT_NO_THROW(decode_image(bytes)) << name;
  }
}

struct SizeField {
  std::string name;
  size_t width_at, height_at, n_bytes;
  bool big_endian;
};

size_t find_bytes(const Bytes& bytes, std::initializer_list<uint8_t> wanted) {
  const auto at = std::search(bytes.begin(), bytes.end(), wanted.begin(), wanted.end());
  EXPECT_NE(at, bytes.end());
  return static_cast<size_t>(at - bytes.begin());
}

// Where the header of a fixture says its size.
std::vector<SizeField> size_fields() {
  const size_t sof0 = find_bytes(file_bytes(image_path("baseline_420.jpg")), {0xFF, 0xC0});
  const size_t sof2 = find_bytes(file_bytes(image_path("progressive.jpg")), {0xFF, 0xC2});
  return {{"rgb8.png", 16, 20, 4, true},
          {"baseline_420.jpg", sof0 + 7, sof0 + 5, 2, true},
          {"progressive.jpg", sof2 + 7, sof2 + 5, 2, true},
          {"rgb24.bmp", 18, 22, 4, false}};
}

void put(Bytes& bytes, size_t at, const SizeField& field, uint32_t value) {
  for (size_t i = 0; i < field.n_bytes; ++i) {
    const size_t byte = field.big_endian ? field.n_bytes - 1 - i : i;
    bytes[at + i] = static_cast<uint8_t>(value >> 8 * byte);
  }
}

TEST(BadImage, ZeroSized) {
  for (const SizeField& field : size_fields()) {
    for (const size_t at : {field.width_at, field.height_at}) {
      Bytes bytes = file_bytes(image_path(field.name));
      put(bytes, at, field, 0);
      SCOPED_TRACE(field.name);
      expect_error(ErrorCode::Corrupt, "zero-sized", [&] { decode_image(bytes); });
    }
  }
  Bytes gif = file_bytes(image_path("still_interlaced.gif"));
  const size_t frame = find_bytes(gif, {0x2C, 0, 0, 0, 0});
  gif[frame + 5] = gif[frame + 6] = 0;
  expect_error(ErrorCode::Corrupt, "zero-sized", [&] { decode_image(gif); });
}

TEST(BadImage, GiganticHeaderIsRefusedBeforeAnythingIsAllocated) {
  for (const SizeField& field : size_fields()) {
    const uint32_t side = field.n_bytes == 2 ? 65500 : 100000;
    Bytes bytes = file_bytes(image_path(field.name));
    put(bytes, field.width_at, field, side);
    put(bytes, field.height_at, field, side);
    SCOPED_TRACE(field.name);
    expect_error(ErrorCode::InvalidArgument,
                 fmt::format("{}x{}, expected at most 100000000 pixels", side, side),
                 [&] { decode_image(bytes); });
  }
  Bytes png = file_bytes(image_path("rgb8.png"));
  put(png, 16, {"", 0, 0, 4, true}, 2'000'000);
  put(png, 20, {"", 0, 0, 4, true}, 1);
  expect_error(ErrorCode::InvalidArgument, "at most 1000000 pixels a side", [&] { decode_image(png); });
}

TEST(BadImage, LimitsAreTheCallers) {
  for (const char* name : {"rgb8.png", "baseline_420.jpg", "animated.gif", "lossy.webp", "rgb24.bmp"}) {
    const Bytes bytes = file_bytes(image_path(name));
    ImageLimits limits;
    limits.max_pixels = 13 * 9 - 1;
    expect_error(ErrorCode::InvalidArgument, "13x9, expected at most 116 pixels",
                 [&] { decode_image(bytes, limits); });
    limits.max_pixels = 13 * 9;
    EXPECT_NO_THROW(decode_image(bytes, limits)) << name;
  }
}

TEST(BadImage, DamagedData) {
  Bytes png = file_bytes(image_path("rgb8.png"));
  png[find_bytes(png, {'I', 'D', 'A', 'T'}) + 20] ^= 0x55;
  expect_error(ErrorCode::Corrupt, "bad PNG image", [&] { decode_image(png); });

  Bytes jpeg = file_bytes(image_path("baseline_420.jpg"));
  jpeg[find_bytes(jpeg, {0xFF, 0xC0}) + 4] = 12;  // bits a sample
  expect_error(ErrorCode::Unsupported, "JPEG", [&] { decode_image(jpeg); });

  Bytes gif = file_bytes(image_path("still_interlaced.gif"));
  gif[find_bytes(gif, {0x2C, 0, 0, 0, 0}) + 10] = 200;  // LZW code size
  expect_error(ErrorCode::Corrupt, "bad GIF image", [&] { decode_image(gif); });

  Bytes webp = file_bytes(image_path("lossless.webp"));
  std::memset(webp.data() + 25, 0xFF, 40);
  expect_error(ErrorCode::Corrupt, "bad WebP image", [&] { decode_image(webp); });

  Bytes bmp = file_bytes(image_path("palette8.bmp"));
  bmp[30] = 1;
  expect_error(ErrorCode::Unsupported, "run-length coded BMP", [&] { decode_image(bmp); });
  bmp[30] = 0;
  bmp[28] = 7;
  expect_error(ErrorCode::Unsupported, "7 bits a pixel", [&] { decode_image(bmp); });
  bmp[14] = 39;
  expect_error(ErrorCode::Corrupt, "bad BMP header size", [&] { decode_image(bmp); });
  Bytes masks = file_bytes(image_path("rgb565.bmp"));
  masks[55] = 0xF5;
  expect_error(ErrorCode::Corrupt, "bad BMP channel mask", [&] { decode_image(masks); });
}

}  // namespace
}  // namespace winnow::engine
