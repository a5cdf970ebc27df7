// GIF by giflib. What the first frame leaves open shows the transparent colour's palette entry, or entry 0,
// as PIL does; later frames are drawn over what their predecessors left.

#include <gif_lib.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>

#include "winnow/engine/image_formats.h"

namespace winnow::engine {
namespace {

struct GifBytes {
  std::span<const uint8_t> bytes;
  size_t at = 0;
  bool ended = false;
};

int read_bytes(GifFileType* gif, GifByteType* out, int n) {
  auto& source = *static_cast<GifBytes*>(gif->UserData);
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

[[noreturn]] void fail_gif(const GifBytes& source, int error) {
  if (source.ended) fail_truncated("GIF", source.bytes.size());
  const char* text = GifErrorString(error);
  fail(ErrorCode::Corrupt, kDecodeImage, "bad GIF image: {}", text != nullptr ? text : "unknown error");
}

// What stands in front of a frame about it.
struct Control {
  std::optional<uint8_t> transparent;  ///< index of this colour
  int disposal = DISPOSAL_UNSPECIFIED;
};

// Reads an extension; only graphics control says something about the frame behind it.
void read_extension(GifFileType* gif, const GifBytes& source, Control& control) {
  int code = 0;
  GifByteType* block = nullptr;  // [0] is its length
  if (DGifGetExtension(gif, &code, &block) != GIF_OK) fail_gif(source, gif->Error);
  while (block != nullptr) {
    GraphicsControlBlock said{};
    if (code == GRAPHICS_EXT_FUNC_CODE && DGifExtensionToGCB(block[0], block + 1, &said) == GIF_OK) {
      control.disposal = said.DisposalMode;
      if (said.TransparentColor != NO_TRANSPARENT_COLOR) {
        control.transparent = static_cast<uint8_t>(said.TransparentColor);
      }
    }
    if (DGifGetExtensionNext(gif, &block) != GIF_OK) fail_gif(source, gif->Error);
  }
}

// Reads up to the next frame's pixels; nothing at the end of the file.
std::optional<Control> find_frame(GifFileType* gif, const GifBytes& source) {
  Control found;
  while (true) {
    GifRecordType type = UNDEFINED_RECORD_TYPE;
    if (DGifGetRecordType(gif, &type) != GIF_OK) fail_gif(source, gif->Error);
    if (type == TERMINATE_RECORD_TYPE) return std::nullopt;
    if (type == IMAGE_DESC_RECORD_TYPE) {
      if (DGifGetImageDesc(gif) != GIF_OK) fail_gif(source, gif->Error);
      WINNOW_CHECK(gif->Image.Width > 0 && gif->Image.Height > 0, Corrupt, kDecodeImage,
                   "zero-sized GIF frame, got {}x{}", gif->Image.Width, gif->Image.Height);
      return found;
    }
    if (type == EXTENSION_RECORD_TYPE) read_extension(gif, source, found);
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

const ColorMapObject* palette_of(const GifFileType* gif) {
  return gif->Image.ColorMap != nullptr ? gif->Image.ColorMap : gif->SColorMap;
}

// Fills the frame's rectangle with one colour of the palette.
void fill_frame(const GifImageDesc& frame, const ColorMapObject* palette, uint8_t index, Image& image) {
  for (int y = frame.Top; y < frame.Top + frame.Height; ++y) {
    for (int x = frame.Left; x < frame.Left + frame.Width; ++x) {
      set_pixel(palette, index, image.rgb.data() + 3 * (static_cast<int64_t>(y) * image.width + x));
    }
  }
}

// Draws the frame over the image, but for pixels of index `clear`.
void read_frame(GifFileType* gif, const GifBytes& source, std::optional<uint8_t> clear, Image& image) {
  const GifImageDesc& frame = gif->Image;
  const ColorMapObject* palette = palette_of(gif);
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
        const uint8_t index = row[static_cast<size_t>(x)];
        if (index != clear) set_pixel(palette, index, image.rgb.data() + 3 * (first + x));
      }
    }
  }
}

// What the first frame is drawn on, and that frame.
Image read_first_frame(GifFileType* gif, const GifBytes& source, const Control& control,
                       const ImageLimits& limits) {
  const GifImageDesc& frame = gif->Image;
  Image image = new_image("GIF", std::max(gif->SWidth, frame.Left + frame.Width),
                          std::max(gif->SHeight, frame.Top + frame.Height), limits);
  for (size_t i = 0; i < image.rgb.size(); i += 3) {
    set_pixel(palette_of(gif), control.transparent.value_or(0), &image.rgb[i]);
  }
  read_frame(gif, source, std::nullopt, image);
  return image;
}

// A later frame over what the one before it left.
void read_next_frame(GifFileType* gif, const GifBytes& source, const Control& control, Image& image) {
  const GifImageDesc& frame = gif->Image;
  WINNOW_CHECK(frame.Left + frame.Width <= image.width && frame.Top + frame.Height <= image.height, Corrupt,
               kDecodeImage,
               "GIF frame of {}x{} pixels at ({}, {}), expected it inside the {}x{} of the picture",
               frame.Width, frame.Height, frame.Left, frame.Top, image.width, image.height);
  read_frame(gif, source, control.transparent, image);
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

Gif open_gif(GifBytes& source) {
  int error = 0;
  Gif gif(DGifOpen(&source, read_bytes, &error));
  if (gif == nullptr) fail_gif(source, error);
  return gif;
}

}  // namespace

DecodedImage decode_gif(std::span<const uint8_t> bytes, const ImageLimits& limits) {
  GifBytes source{bytes, 0, false};
  const Gif gif = open_gif(source);
  const std::optional<Control> control = find_frame(gif.get(), source);
  WINNOW_CHECK(control, Corrupt, kDecodeImage, "GIF file without a frame");
  DecodedImage decoded{read_first_frame(gif.get(), source, *control, limits), 1};
  check_complete(bytes, source.at);
  return decoded;
}

std::vector<Image> decode_gif_frames(std::span<const uint8_t> bytes, const ImageLimits& limits) {
  GifBytes source{bytes, 0, false};
  const Gif gif = open_gif(source);
  std::vector<Image> frames;
  Image left;  // by the frame before, on what the next one is drawn
  while (const std::optional<Control> control = find_frame(gif.get(), source)) {
    Image seen = left;
    if (frames.empty()) {
      seen = left = read_first_frame(gif.get(), source, *control, limits);
    } else {
      read_next_frame(gif.get(), source, *control, seen);
    }
    const int64_t n_pixel = (std::ssize(frames) + 1) * int64_t{seen.width} * seen.height;
    WINNOW_CHECK(n_pixel <= limits.max_animation_pixels, InvalidArgument, kDecodeImage,
                 "GIF animation is too large, got {} pixels in {} frames, expected at most {}", n_pixel,
                 frames.size() + 1, limits.max_animation_pixels);
    if (control->disposal != DISPOSE_PREVIOUS) left = seen;
    if (control->disposal == DISPOSE_BACKGROUND) {
      const auto background = static_cast<uint8_t>(gif->SBackGroundColor);
      fill_frame(gif->Image, palette_of(gif.get()), control->transparent.value_or(background), left);
    }
    frames.push_back(std::move(seen));
  }
  WINNOW_CHECK(!frames.empty(), Corrupt, kDecodeImage, "GIF file without a frame");
  return frames;
}

}  // namespace winnow::engine
