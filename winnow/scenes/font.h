#pragma once

#include <cstdint>

namespace winnow::scenes {

constexpr int32_t kGlyphWidth = 5;  ///< font pixels
constexpr int32_t kGlyphHeight = 7;
constexpr int32_t kGlyphPitch = 6;  ///< from one letter's left edge to the next one's

/// Whether a letter (A-Z, 0-9) has ink at column x in [0, 5), row y in [0, 7). Nowhere for other characters.
bool has_ink(char letter, int32_t x, int32_t y);

}  // namespace winnow::scenes
