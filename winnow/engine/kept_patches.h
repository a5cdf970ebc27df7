#pragma once

// What a run left of a picture, drawn on the picture.

#include <cstdint>
#include <optional>
#include <vector>

#include "winnow/engine/session.h"

namespace winnow::engine {

/// Indices of the tokens that are left of image number `image_idx` of the prompt, among those that its layout
/// has (of a picture that a step made smaller: of the smaller one). Nothing when tokens were merged: then
/// none is left as it was.
std::optional<std::vector<int32_t>> kept_tokens(const EncodedImage& image, int32_t image_idx,
                                                const PrefillResult& prefill);

/// The same tokens as patches (or groups of them that the projector merges) of each input of the tower: one,
/// or the whole picture and its tiles. Newlines have no place, a token that mixes several patches has those.
std::optional<std::vector<KeptPatches>> kept_patches(const EncodedImage& image, int32_t image_idx,
                                                     const PrefillResult& prefill);

}  // namespace winnow::engine
