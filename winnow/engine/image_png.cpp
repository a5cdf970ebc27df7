// PNG by libpng, colours untouched by gAMA and ICC chunks as in PIL.
// libpng's errors jump back into the small functions that call setjmp, whose frames hold plain data only;
// everything with a destructor lives in their caller.

#include <png.h>

#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <memory>

#include "winnow/engine/exif.h"
#include "winnow/engine/image_formats.h"

namespace winnow::engine {
namespace {

struct Source {
  const uint8_t* data;
  size_t n_bytes;
  size_t at;
  bool truncated;
  char message[160];
};

[[noreturn]] void on_error(png_structp png, png_const_charp message) {
  auto* source = static_cast<Source*>(png_get_error_ptr(png));
  std::snprintf(source->message, sizeof(source->message), "%s", message);
  png_longjmp(png, 1);
}

void on_warning(png_structp, png_const_charp) {}

void read_bytes(png_structp png, png_bytep out, size_t n) {
  auto* source = static_cast<Source*>(png_get_io_ptr(png));
  if (n > source->n_bytes - source->at) {
    source->truncated = true;
    png_error(png, "the file ends early");
  }
  std::memcpy(out, source->data + source->at, n);
  source->at += n;
}

class Reader {
 public:
  explicit Reader(Source* source) {
    png = png_create_read_struct(PNG_LIBPNG_VER_STRING, source, on_error, on_warning);
    if (png != nullptr) info = png_create_info_struct(png);
  }
  ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  png_structp png = nullptr;
  png_infop info = nullptr;
};

bool read_header(png_structp png, png_infop info, Source* source, const ImageLimits* limits) {
  if (setjmp(png_jmpbuf(png)) != 0) return false;
  png_set_read_fn(png, source, read_bytes);
  const auto max_side = static_cast<png_uint_32>(std::min<int64_t>(limits->max_side_px, PNG_UINT_31_MAX));
  png_set_user_limits(png, max_side, max_side);
  png_read_info(png, info);
  return true;
}

bool read_pixels(png_structp png, png_infop info, png_bytepp rows, size_t row_bytes) {
  if (setjmp(png_jmpbuf(png)) != 0) return false;
  png_set_strip_16(png);
  png_set_expand_gray_1_2_4_to_8(png);
  png_set_palette_to_rgb(png);
  png_set_gray_to_rgb(png);
  png_set_strip_alpha(png);
  png_set_interlace_handling(png);
  png_read_update_info(png, info);
  if (png_get_rowbytes(png, info) != row_bytes) png_error(png, "rows are not 8-bit RGB");
  png_read_image(png, rows);
  png_read_end(png, info);  // up to IEND; finds an eXIf chunk after the pixels too
  return true;
}

int32_t find_orientation(png_structp png, png_infop info) {
  png_uint_32 n_bytes = 0;
  png_bytep exif = nullptr;
  if (png_get_eXIf_1(png, info, &n_bytes, &exif) == 0 || exif == nullptr) return 1;
  return exif_orientation({exif, n_bytes});
}

[[noreturn]] void fail_png(const Source& source) {
  if (source.truncated) fail_truncated("PNG", source.n_bytes);
  fail(ErrorCode::Corrupt, kDecodeImage, "bad PNG image: {}", source.message);
}

uint32_t big_endian_32(const uint8_t* at) {
  return uint32_t{at[0]} << 24 | uint32_t{at[1]} << 16 | uint32_t{at[2]} << 8 | at[3];
}

}  // namespace

DecodedImage decode_png(std::span<const uint8_t> bytes, const ImageLimits& limits) {
  constexpr size_t kWidthAt = 16, kHeightAt = 20, kHeaderEnd = 24;
  if (bytes.size() < kHeaderEnd) fail_truncated("PNG", bytes.size());
  WINNOW_CHECK(std::memcmp(bytes.data() + 12, "IHDR", 4) == 0, Corrupt, kDecodeImage,
               "bad PNG image: the first chunk is not IHDR");
  DecodedImage decoded{new_image("PNG", big_endian_32(bytes.data() + kWidthAt),
                                 big_endian_32(bytes.data() + kHeightAt), limits),
                       1};
  Image& image = decoded.image;

  Source source{bytes.data(), bytes.size(), 0, false, {}};
  const Reader reader(&source);
  WINNOW_CHECK(reader.info != nullptr, OutOfMemory, kDecodeImage, "libpng could not be started");
  if (!read_header(reader.png, reader.info, &source, &limits)) fail_png(source);

  const size_t row_bytes = static_cast<size_t>(image.width) * 3;
  std::vector<png_bytep> rows(static_cast<size_t>(image.height));
  for (size_t y = 0; y < rows.size(); ++y) rows[y] = image.rgb.data() + y * row_bytes;
  if (!read_pixels(reader.png, reader.info, rows.data(), row_bytes)) fail_png(source);
  decoded.orientation = find_orientation(reader.png, reader.info);
  return decoded;
}

void save_png(const Image& image, const std::string& path) {
  constexpr const char* kWhere = "engine.save_png";
  WINNOW_CHECK(image.width > 0 && image.height > 0 &&
                   std::cmp_equal(image.rgb.size(), int64_t{3} * image.width * image.height),
               InvalidArgument, kWhere, "not a picture, got {}x{} with {} bytes", image.width, image.height,
               image.rgb.size());
  png_image png{};
  png.version = PNG_IMAGE_VERSION;
  png.width = static_cast<png_uint_32>(image.width);
  png.height = static_cast<png_uint_32>(image.height);
  png.format = PNG_FORMAT_RGB;

  struct CloseFile {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::unique_ptr<std::FILE, CloseFile> file(std::fopen(path.c_str(), "wb"));
  WINNOW_CHECK(file != nullptr, Io, kWhere, "cannot open '{}' for writing: {}", path, std::strerror(errno));
  const int row_bytes = image.width * 3;
  const bool written =
      png_image_write_to_stdio(&png, file.get(), 0, image.rgb.data(), row_bytes, nullptr) != 0;
  const bool closed = std::fclose(file.release()) == 0;
  WINNOW_CHECK(written && closed, Io, kWhere, "writing '{}' failed: {}", path,
               written ? std::strerror(errno) : png.message);
}

}  // namespace winnow::engine
