#include <png.h>

#include "winnow/base/error.h"
#include "winnow/scenes/render.h"

namespace winnow::scenes {

std::vector<uint8_t> encode_png(std::span<const uint8_t> rgb, int32_t width, int32_t height) {
  constexpr const char* kWhere = "scenes.encode_png";
  constexpr int32_t kMaxSide = 1 << 14;  // keeps every product below inside 32 bits
  WINNOW_CHECK(width > 0 && height > 0 && width <= kMaxSide && height <= kMaxSide, InvalidArgument, kWhere,
               "bad picture size, got {} x {}, expected 1 to {} each", width, height, kMaxSide);
  const std::size_t n_bytes =
      std::size_t{3} * static_cast<std::size_t>(width) * static_cast<std::size_t>(height);
  WINNOW_CHECK(rgb.size() == n_bytes, InvalidArgument, kWhere, "wrong number of bytes, got {}, expected {}",
               rgb.size(), n_bytes);

  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(width);
  image.height = static_cast<png_uint_32>(height);
  image.format = PNG_FORMAT_RGB;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
  std::vector<uint8_t> file(size);
  const int is_written =
      png_image_write_to_memory(&image, file.data(), &size, 0, rgb.data(), 3 * width, nullptr);
  if (is_written == 0) {
    const std::string message = image.message;
    png_image_free(&image);
    fail(ErrorCode::Io, kWhere, "libpng refused the picture, got '{}'", message);
  }
  file.resize(size);
  return file;
}

}  // namespace winnow::scenes
