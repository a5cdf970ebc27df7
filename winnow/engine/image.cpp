#include "winnow/engine/image.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <utility>

#include "winnow/engine/image_formats.h"
#include "winnow/engine/image_frames.h"

namespace winnow::engine {
namespace {

using namespace std::string_view_literals;

struct Format {
  const char* name;
  std::string_view magic;
  size_t magic_at;
  DecodedImage (*decode)(std::span<const uint8_t>, const ImageLimits&);
};

constexpr Format kFormats[] = {
    {"JPEG", "\xFF\xD8\xFF"sv, 0, decode_jpeg}, {"PNG", "\x89PNG\r\n\x1A\n"sv, 0, decode_png},
    {"GIF", "GIF87a"sv, 0, decode_gif},         {"GIF", "GIF89a"sv, 0, decode_gif},
    {"WebP", "WEBP"sv, 8, decode_webp},         {"BMP", "BM"sv, 0, decode_bmp},
};

bool has_bytes(std::span<const uint8_t> bytes, size_t at, std::string_view expected) {
  if (bytes.size() < at + expected.size()) return false;
  return std::equal(expected.begin(), expected.end(), bytes.begin() + static_cast<std::ptrdiff_t>(at),
                    [](char a, uint8_t b) { return static_cast<uint8_t>(a) == b; });
}

const Format* find_format(std::span<const uint8_t> bytes) {
  for (const Format& format : kFormats) {
    if (!has_bytes(bytes, format.magic_at, format.magic)) continue;
    if (format.decode == decode_webp && !has_bytes(bytes, 0, "RIFF"sv)) continue;
    return &format;
  }
  return nullptr;
}

std::string first_bytes(std::span<const uint8_t> bytes) {
  std::string text;
  for (const uint8_t byte : bytes.first(std::min<size_t>(bytes.size(), 8)))
    text += fmt::format(" {:02x}", byte);
  return text;
}

// Where the pixel shown at (x, y) of the upright picture is stored; width and height as stored.
std::pair<int32_t, int32_t> stored_position(int32_t orientation, int32_t x, int32_t y, int32_t width,
                                            int32_t height) {
  switch (orientation) {
    case 2: return {width - 1 - x, y};
    case 3: return {width - 1 - x, height - 1 - y};
    case 4: return {x, height - 1 - y};
    case 5: return {y, x};
    case 6: return {y, height - 1 - x};
    case 7: return {width - 1 - y, height - 1 - x};
    case 8: return {width - 1 - y, x};
    default: return {x, y};
  }
}

Image turn_upright(Image stored, int32_t orientation) {
  if (orientation == 1) return stored;
  Image upright;
  const bool swapped = orientation >= 5;
  upright.width = swapped ? stored.height : stored.width;
  upright.height = swapped ? stored.width : stored.height;
  upright.rgb.resize(stored.rgb.size());
  auto out = upright.rgb.begin();
  for (int32_t y = 0; y < upright.height; ++y) {
    for (int32_t x = 0; x < upright.width; ++x) {
      const auto [sx, sy] = stored_position(orientation, x, y, stored.width, stored.height);
      const auto at = stored.rgb.begin() + (static_cast<int64_t>(sy) * stored.width + sx) * 3;
      out = std::copy(at, at + 3, out);
    }
  }
  return upright;
}

std::vector<uint8_t> read_file(const std::string& path, int64_t max_bytes) {
  constexpr const char* kWhere = "engine.load_image";
  std::error_code status;
  const auto type = std::filesystem::status(path, status).type();
  WINNOW_CHECK(type != std::filesystem::file_type::not_found, NotFound, kWhere, "no such file: '{}'", path);
  WINNOW_CHECK(type != std::filesystem::file_type::directory, Io, kWhere,
               "'{}' is a folder, expected an image file", path);
  std::ifstream file(path, std::ios::binary);
  WINNOW_CHECK(file.is_open(), Io, kWhere, "cannot open '{}' for reading", path);

  // In pieces, because pipes have no size to ask for.
  std::vector<uint8_t> bytes;
  constexpr size_t kPieceBytes = 1 << 16;
  while (file) {
    const size_t old_size = bytes.size();
    bytes.resize(old_size + kPieceBytes);
    file.read(reinterpret_cast<char*>(bytes.data() + old_size), static_cast<std::streamsize>(kPieceBytes));
    bytes.resize(old_size + static_cast<size_t>(file.gcount()));
    WINNOW_CHECK(std::cmp_less_equal(bytes.size(), max_bytes), InvalidArgument, kWhere,
                 "'{}' is too large, expected at most {} bytes", path, max_bytes);
  }
  WINNOW_CHECK(!file.bad(), Io, kWhere, "reading '{}' failed after {} bytes", path, bytes.size());
  return bytes;
}

}  // namespace

Image new_image(const char* format, int64_t width, int64_t height, const ImageLimits& limits) {
  WINNOW_CHECK(width > 0 && height > 0, Corrupt, kDecodeImage,
               "zero-sized {} image, got {}x{}, expected at least 1x1", format, width, height);
  WINNOW_CHECK(width <= limits.max_side_px && height <= limits.max_side_px, InvalidArgument, kDecodeImage,
               "{} image is too large, got {}x{}, expected at most {} pixels a side", format, width, height,
               limits.max_side_px);
  WINNOW_CHECK(width <= limits.max_pixels / height, InvalidArgument, kDecodeImage,
               "{} image is too large, got {}x{}, expected at most {} pixels", format, width, height,
               limits.max_pixels);
  Image image;
  image.width = static_cast<int32_t>(width);
  image.height = static_cast<int32_t>(height);
  image.rgb.resize(static_cast<size_t>(width * height * 3));
  return image;
}

namespace {

/// The format of the bytes, and whether they are an image at all.
const Format& check_format(std::span<const uint8_t> bytes, const ImageLimits& limits) {
  WINNOW_CHECK(!bytes.empty(), Corrupt, kDecodeImage, "empty file, expected an image");
  WINNOW_CHECK(std::cmp_less_equal(bytes.size(), limits.max_file_bytes), InvalidArgument, kDecodeImage,
               "image file is too large, got {} bytes, expected at most {}", bytes.size(),
               limits.max_file_bytes);
  const Format* format = find_format(bytes);
  WINNOW_CHECK(format != nullptr, Unsupported, kDecodeImage,
               "not an image, got first bytes{}, expected JPEG, PNG, BMP, GIF or WebP", first_bytes(bytes));
  return *format;
}

/// What `decode` makes of a file; the path becomes part of every message.
template <class Decode>
auto load(const std::string& path, const ImageLimits& limits, Decode decode) {
  const std::vector<uint8_t> bytes = read_file(path, limits.max_file_bytes);
  try {
    return decode(bytes, limits);
  } catch (const Error& error) {
    std::string_view text = error.what();
    const std::string prefix = fmt::format("[{}] ", kDecodeImage);
    if (text.starts_with(prefix)) text.remove_prefix(prefix.size());
    fail(error.code(), "engine.load_image", "'{}': {}", path, text);
  }
}

}  // namespace

Image decode_image(std::span<const uint8_t> bytes, const ImageLimits& limits) {
  DecodedImage decoded = check_format(bytes, limits).decode(bytes, limits);
  return turn_upright(std::move(decoded.image), decoded.orientation);
}

std::vector<Image> decode_animation(std::span<const uint8_t> bytes, const ImageLimits& limits) {
  if (check_format(bytes, limits).decode == decode_gif) return decode_gif_frames(bytes, limits);
  std::vector<Image> frames;
  frames.push_back(decode_image(bytes, limits));
  return frames;
}

Image load_image(const std::string& path, const ImageLimits& limits) {
  return load(path, limits, decode_image);
}

std::vector<Image> load_animation(const std::string& path, const ImageLimits& limits) {
  return load(path, limits, decode_animation);
}

}  // namespace winnow::engine
