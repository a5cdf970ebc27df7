#include "winnow/eval/base64.h"

#include <array>
#include <cstdint>

#include "winnow/base/error.h"

namespace winnow::eval {
namespace {

constexpr const char* kWhere = "eval.base64";
constexpr int8_t kForeign = -1, kBlank = -2, kPad = -3;

constexpr std::array<int8_t, 256> make_values() {
  std::array<int8_t, 256> values{};
  values.fill(kForeign);
  constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (std::size_t i = 0; i < kLetters.size(); ++i)
    values[static_cast<unsigned char>(kLetters[i])] = static_cast<int8_t>(i);
  for (const char blank : {' ', '\t', '\r', '\n'}) values[static_cast<unsigned char>(blank)] = kBlank;
  values[static_cast<unsigned char>('=')] = kPad;
  return values;
}
constexpr std::array<int8_t, 256> kValues = make_values();

}  // namespace

std::string decode_base64(std::string_view text, std::string_view place) {
  std::string out;
  out.reserve(text.size() / 4 * 3);
  uint32_t bits = 0;
  std::size_t n_letters = 0, n_pads = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const int8_t value = kValues[static_cast<unsigned char>(text[i])];
    if (value == kBlank) continue;
    if (value == kPad) {
      ++n_pads;
      continue;
    }
    WINNOW_CHECK(value != kForeign, Corrupt, kWhere,
                 "{}: bad base64, byte {:#04x} at {}, expected A-Z a-z 0-9 + /", place,
                 static_cast<unsigned char>(text[i]), i);
    WINNOW_CHECK(n_pads == 0, Corrupt, kWhere, "{}: bad base64, text behind the padding at {}", place, i);
    bits = bits << 6U | static_cast<uint32_t>(value);
    if (++n_letters % 4 == 0) {
      for (const uint32_t shift : {16U, 8U, 0U}) out += static_cast<char>(bits >> shift & 0xFFU);
      bits = 0;
    }
  }
  const std::size_t n_open = n_letters % 4;
  WINNOW_CHECK(n_open != 1 && n_pads == (4 - n_open) % 4, Corrupt, kWhere,
               "{}: bad base64, {} letters and {} padding, expected a multiple of 4 (cut off?)", place,
               n_letters, n_pads);
  if (n_open == 2) out += static_cast<char>(bits >> 4U & 0xFFU);
  if (n_open == 3) {
    out += static_cast<char>(bits >> 10U & 0xFFU);
    out += static_cast<char>(bits >> 2U & 0xFFU);
  }
  return out;
}

}  // namespace winnow::eval
