// GIF, first frame, by giflib. What the frame leaves open shows the transparent colour's palette entry, or
// entry 0, as PIL does.

#include <gif_lib.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>

#include "winnow/engine/image_formats.h"

namespace winnow::engine {
namespace {

struct Source {
  std::span<const uint8_t> bytes;
  size_t at = 0;
  bool ended = false;
};

int read_bytes(GifFileType* gif, GifByteType* out, int n) {
  auto& source = *static_cast<Source*>(gif->UserData);
  const size_t n_read = std::min(static_cast<size_t>(n), source.bytes.size() - source.at);
  std::memcpy(out, source.bytes.data() + source.at, n_read);
  source.at += n_read;
  if (n_read < static_cast<size_t>(n)) source.ended = true;
  return static_cast<int>(n_read);
}

struct Close {
  void operator()(GifFileType* gif) const { DGifCloseFile(gif, nullptr); }
};
using Gif = std::unique_ptr<GifFileType, Close>;

[[noreturn]] void fail_gif(const Source& source, int error) {
  if (source.ended) fail_truncated("GIF", source.bytes.size());
  const char* text = GifErrorString(error);
  fail(ErrorCode::Corrupt, kDecodeImage, "bad GIF image: {}", text != nullptr ? text : "unknown error");
}

// Reads up to the first frame's pixels; returns the index of the transparent colour if there is one.
std::optional<uint8_t> find_first_frame(GifFileType* gif, const Source& source) {
  std::optional<uint8_t> transparent;
  while (true) {
    GifRecordType type = UNDEFINED_RECORD_TYPE;
    if (DGifGetRecordType(gif, &type) != GIF_OK) fail_gif(source, gif->Error);
    WINNOW_CHECK(type != TERMINATE_RECORD_TYPE, Corrupt, kDecodeImage, "GIF file without a frame");
    if (type == IMAGE_DESC_RECORD_TYPE) {
      if (DGifGetImageDesc(gif) != GIF_OK) fail_gif(source, gif->Error);
      return transparent;
    }
    if (type != EXTENSION_RECORD_TYPE) continue;
    int code = 0;
    GifByteType* block = nullptr;  // [0] is its length
    if (DGifGetExtension(gif, &code, &block) != GIF_OK) fail_gif(source, gif->Error);
    while (block != nullptr) {
      GraphicsControlBlock control{};
      if (code == GRAPHICS_EXT_FUNC_CODE && DGifExtensionToGCB(block[0], block + 1, &control) == GIF_OK &&
          control.TransparentColor != NO_TRANSPARENT_COLOR) {
        transparent = static_cast<uint8_t>(control.TransparentColor);
      }
      if (DGifGetExtensionNext(gif, &block) != GIF_OK) fail_gif(source, gif->Error);
    }
  }
}

// A file without any palette is grey; entries a palette does not have are black.
void set_pixel(const ColorMapObject* palette, uint8_t index, uint8_t* rgb) {
  GifColorType color{index, index, index};
  if (palette != nullptr)
    color = index < palette->ColorCount ? palette->Colors[index] : GifColorType{0, 0, 0};
  rgb[0] = color.Red;
  rgb[1] = color.Green;
  rgb[2] = color.Blue;
}

void read_frame(GifFileType* gif, const Source& source, const ColorMapObject* palette, Image& image) {
  const GifImageDesc& frame = gif->Image;
  std::vector<GifPixelType> row(static_cast<size_t>(frame.Width));
  struct Pass {
    int first, step;
  };
  constexpr Pass kInterlaced[] = {{0, 8}, {4, 8}, {2, 4}, {1, 2}};
  constexpr Pass kPlain[] = {{0, 1}};
  const std::span<const Pass> passes = frame.Interlace ? std::span<const Pass>(kInterlaced) : kPlain;
  for (const Pass& pass : passes) {
    for (int y = pass.first; y < frame.Height; y += pass.step) {
      if (DGifGetLine(gif, row.data(), frame.Width) != GIF_OK) fail_gif(source, gif->Error);
      const int64_t first = static_cast<int64_t>(frame.Top + y) * image.width + frame.Left;
      for (int64_t x = 0; x < frame.Width; ++x) {
        set_pixel(palette, row[static_cast<size_t>(x)], image.rgb.data() + 3 * (first + x));
      }
    }
  }
}

// Walks the blocks after the first frame without decoding them; the file has to reach its end mark.
void check_complete(std::span<const uint8_t> bytes, size_t at) {
  const auto byte = [&](size_t i) -> size_t {
    if (i >= bytes.size()) fail_truncated("GIF", bytes.size());
    return bytes[i];
  };
  while (byte(at) != 0x3B) {
    if (byte(at) == 0x2C) {
      const size_t flags = byte(at + 9);
      const size_t palette_bytes = (flags & 0x80) != 0 ? size_t{3} << ((flags & 7) + 1) : 0;
      at += 10 + palette_bytes + 1;  // descriptor, palette, code size
    } else if (byte(at) == 0x21) {
      at += 2;  // introducer, label
    } else {
      return;  // trailing bytes that are no GIF block
    }
    while (byte(at) != 0) at += 1 + byte(at);
    at += 1;
  }
}

}  // namespace

DecodedImage decode_gif(std::span<const uint8_t> bytes, const ImageLimits& limits) {
  Source source{bytes, 0, false};
  int error = 0;
  const Gif gif(DGifOpen(&source, read_bytes, &error));
  if (gif == nullptr) fail_gif(source, error);
  const std::optional<uint8_t> transparent = find_first_frame(gif.get(), source);

  const GifImageDesc& frame = gif->Image;
  WINNOW_CHECK(frame.Width > 0 && frame.Height > 0, Corrupt, kDecodeImage, "zero-sized GIF frame, got {}x{}",
               frame.Width, frame.Height);
  DecodedImage decoded{new_image("GIF", std::max(gif->SWidth, frame.Left + frame.Width),
                                 std::max(gif->SHeight, frame.Top + frame.Height), limits),
                       1};
  Image& image = decoded.image;
  const ColorMapObject* palette = frame.ColorMap != nullptr ? frame.ColorMap : gif->SColorMap;
  for (size_t i = 0; i < image.rgb.size(); i += 3) set_pixel(palette, transparent.value_or(0), &image.rgb[i]);
  read_frame(gif.get(), source, palette, image);
  check_complete(bytes, source.at);
  return decoded;
}

}  // namespace winnow::engine
