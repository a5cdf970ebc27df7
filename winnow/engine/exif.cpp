#include "winnow/engine/exif.h"

#include <algorithm>
#include <array>
#include <cstddef>

namespace winnow::engine {
namespace {

constexpr uint32_t kOrientationTag = 0x0112;
constexpr uint32_t kTypeShort = 3;
constexpr size_t kEntryBytes = 12;

uint32_t read_uint(std::span<const uint8_t> bytes, size_t at, size_t n, bool big_endian) {
  uint32_t value = 0;
  for (size_t i = 0; i < n; ++i) value = (value << 8) | bytes[at + (big_endian ? i : n - 1 - i)];
  return value;
}

}  // namespace

int32_t exif_orientation(std::span<const uint8_t> exif) {
  constexpr std::array<uint8_t, 6> kPrefix{'E', 'x', 'i', 'f', 0, 0};
  if (exif.size() >= kPrefix.size() && std::equal(kPrefix.begin(), kPrefix.end(), exif.begin())) {
    exif = exif.subspan(kPrefix.size());
  }
  if (exif.size() < 8) return 1;
  const bool big_endian = exif[0] == 'M' && exif[1] == 'M';
  if (!big_endian && !(exif[0] == 'I' && exif[1] == 'I')) return 1;
  if (read_uint(exif, 2, 2, big_endian) != 42) return 1;

  const size_t ifd = read_uint(exif, 4, 4, big_endian);
  if (ifd > exif.size() - 2) return 1;
  const size_t n_stored = (exif.size() - ifd - 2) / kEntryBytes;
  const size_t n_entry = std::min<size_t>(read_uint(exif, ifd, 2, big_endian), n_stored);
  for (size_t i = 0; i < n_entry; ++i) {
    const size_t entry = ifd + 2 + i * kEntryBytes;
    if (read_uint(exif, entry, 2, big_endian) != kOrientationTag) continue;
    const uint32_t type = read_uint(exif, entry + 2, 2, big_endian);
    const uint32_t count = read_uint(exif, entry + 4, 4, big_endian);
    if (type != kTypeShort || count != 1) return 1;
    const uint32_t value = read_uint(exif, entry + 8, 2, big_endian);
    return value >= 1 && value <= 8 ? static_cast<int32_t>(value) : 1;
  }
  return 1;
}

}  // namespace winnow::engine
