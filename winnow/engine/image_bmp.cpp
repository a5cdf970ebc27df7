// BMP: uncompressed 1, 4, 8, 16, 24 and 32 bits a pixel, with or without channel masks. Own code because the
// format is a header and rows, and the small public decoders read palette entries that the file does not
// have.

#include <array>
#include <bit>

#include "winnow/engine/image_formats.h"

namespace winnow::engine {
namespace {

constexpr uint32_t kUncompressed = 0, kRle8 = 1, kRle4 = 2, kBitFields = 3, kAlphaBitFields = 6;
constexpr size_t kFileHeaderBytes = 14, kOs2HeaderBytes = 12, kWindowsHeaderBytes = 40;

struct BmpHeader {
  int64_t width = 0, height = 0;
  bool top_down = false;
  uint32_t bits = 0, compression = 0;
  size_t pixels_at = 0, palette_at = 0, palette_entry_bytes = 4;
  size_t n_palette = 0;
  std::array<uint32_t, 3> masks{};  // red, green, blue
};

class BmpReader {
 public:
  explicit BmpReader(std::span<const uint8_t> bytes) : bytes_(bytes) {}
  uint32_t u16(size_t at) const { return byte(at) | byte(at + 1) << 8; }
  uint32_t u32(size_t at) const { return u16(at) | u16(at + 2) << 16; }
  uint32_t byte(size_t at) const {
    if (at >= bytes_.size()) fail_truncated("BMP", bytes_.size());
    return bytes_[at];
  }

 private:
  std::span<const uint8_t> bytes_;
};

void read_masks(const BmpReader& reader, BmpHeader& header) {
  if (header.compression == kUncompressed) {
    header.masks = header.bits == 16 ? std::array<uint32_t, 3>{0x7C00, 0x03E0, 0x001F}
                                     : std::array<uint32_t, 3>{0xFF0000, 0x00FF00, 0x0000FF};
    return;
  }
  for (size_t i = 0; i < 3; ++i) {
    const uint32_t mask = reader.u32(kFileHeaderBytes + kWindowsHeaderBytes + 4 * i);
    const uint32_t low = mask == 0 ? 0 : mask >> std::countr_zero(mask);
    WINNOW_CHECK(mask != 0 && (low & (low + 1)) == 0, Corrupt, kDecodeImage,
                 "bad BMP channel mask, got {:#x}, expected one run of bits", mask);
    header.masks[i] = mask;
  }
}

BmpHeader read_header(const BmpReader& reader) {
  BmpHeader header;
  header.pixels_at = reader.u32(10);
  const size_t info_bytes = reader.u32(14);
  const bool os2 = info_bytes == kOs2HeaderBytes;
  WINNOW_CHECK(os2 || (info_bytes >= kWindowsHeaderBytes && info_bytes <= 1024), Corrupt, kDecodeImage,
               "bad BMP header size, got {}, expected 12 or at least 40", info_bytes);
  size_t n_palette = 0;
  if (os2) {
    header.width = reader.u16(18);
    header.height = reader.u16(20);
    header.bits = reader.u16(24);
    header.palette_entry_bytes = 3;
  } else {
    const int64_t height = static_cast<int32_t>(reader.u32(22));
    header.width = static_cast<int32_t>(reader.u32(18));
    header.height = height < 0 ? -height : height;
    header.top_down = height < 0;
    header.bits = reader.u16(28);
    header.compression = reader.u32(30);
    n_palette = reader.u32(46);
  }
  WINNOW_CHECK(header.compression != kRle8 && header.compression != kRle4, Unsupported, kDecodeImage,
               "run-length coded BMP is not supported, expected an uncompressed one");
  const bool bit_fields = header.compression == kBitFields || header.compression == kAlphaBitFields;
  const bool known_bits = header.bits == 1 || header.bits == 4 || header.bits == 8 || header.bits == 16 ||
                          header.bits == 24 || header.bits == 32;
  WINNOW_CHECK(known_bits && (header.compression == kUncompressed ||
                              (bit_fields && (header.bits == 16 || header.bits == 32))),
               Unsupported, kDecodeImage, "unsupported BMP kind, got compression {} with {} bits a pixel",
               header.compression, header.bits);
  if (header.bits >= 16) read_masks(reader, header);

  const bool masks_follow = bit_fields && info_bytes == kWindowsHeaderBytes;
  const size_t mask_bytes = !masks_follow ? 0 : header.compression == kAlphaBitFields ? 16 : 12;
  header.palette_at = kFileHeaderBytes + info_bytes + mask_bytes;
  if (header.bits <= 8) {
    const size_t n_possible = size_t{1} << header.bits;
    header.n_palette = n_palette == 0 ? n_possible : std::min(n_palette, n_possible);
  }
  return header;
}

using Palette = std::array<std::array<uint8_t, 3>, 256>;

// Entries the file does not have stay black.
Palette read_palette(const BmpReader& reader, const BmpHeader& header) {
  Palette palette{};
  for (size_t i = 0; i < header.n_palette; ++i) {
    const size_t at = header.palette_at + i * header.palette_entry_bytes;
    if (at + 3 > header.pixels_at) break;
    for (size_t c = 0; c < 3; ++c) palette[i][c] = static_cast<uint8_t>(reader.byte(at + 2 - c));
  }
  return palette;
}

uint8_t masked_value(uint32_t pixel, uint32_t mask) {
  const int shift = std::countr_zero(mask);
  const uint64_t value = (pixel & mask) >> shift;
  return static_cast<uint8_t>(value * 255 / (mask >> shift));
}

void decode_row(std::span<const uint8_t> row, const BmpHeader& header, const Palette& palette,
                std::span<uint8_t> out) {
  const BmpReader reader(row);
  for (size_t x = 0; 3 * x < out.size(); ++x) {
    std::array<uint8_t, 3> rgb{};
    if (header.bits <= 8) {
      const size_t bit = x * header.bits;
      const uint32_t shift = 8 - header.bits - static_cast<uint32_t>(bit % 8);
      rgb = palette[(row[bit / 8] >> shift) & ((1u << header.bits) - 1)];
    } else if (header.bits == 24) {
      rgb = {row[3 * x + 2], row[3 * x + 1], row[3 * x]};
    } else {
      const uint32_t pixel = header.bits == 16 ? reader.u16(2 * x) : reader.u32(4 * x);
      for (size_t c = 0; c < 3; ++c) rgb[c] = masked_value(pixel, header.masks[c]);
    }
    for (size_t c = 0; c < 3; ++c) out[3 * x + c] = rgb[c];
  }
}

}  // namespace

DecodedImage decode_bmp(std::span<const uint8_t> bytes, const ImageLimits& limits) {
  const BmpReader reader(bytes);
  const BmpHeader header = read_header(reader);
  DecodedImage decoded{new_image("BMP", header.width, header.height, limits), 1};

  const size_t stride = static_cast<size_t>((header.width * header.bits + 31) / 32 * 4);
  const size_t n_pixel_bytes = stride * static_cast<size_t>(header.height);
  if (header.pixels_at > bytes.size() || bytes.size() - header.pixels_at < n_pixel_bytes) {
    fail_truncated("BMP", bytes.size());
  }
  const Palette palette = read_palette(reader, header);
  const std::span<uint8_t> rgb = decoded.image.rgb;
  const size_t out_stride = static_cast<size_t>(header.width) * 3;
  for (int64_t y = 0; y < header.height; ++y) {
    const int64_t stored_y = header.top_down ? y : header.height - 1 - y;
    decode_row(bytes.subspan(header.pixels_at + static_cast<size_t>(stored_y) * stride, stride), header,
               palette, rgb.subspan(static_cast<size_t>(y) * out_stride, out_stride));
  }
  return decoded;
}

}  // namespace winnow::engine
