#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "winnow/engine/image.h"

namespace winnow::testing {

/// What libmtmd and libllama make of a prompt with one picture.
struct MtmdRun {
  std::string error{};                     ///< what went wrong; empty: nothing
  std::vector<int32_t> before{}, after{};  ///< text tokens around the picture
  std::vector<float> embeddings{};         ///< [n_image, width] of the picture
  std::vector<std::array<int32_t, 3>>
      position{};                 ///< [n_image] time, row, column behind the first token's id
  std::vector<float> logits{};    ///< [n_vocab] of the last token
  std::vector<int32_t> greedy{};  ///< tokens that follow
};

/// Text and mmproj files of one model; picture: left as it is by preprocessing, or resized by libmtmd.
/// prompt: with engine::kImageMarker at the picture's place. Fused attention is off, caches are f32.
MtmdRun run_mtmd(const std::string& text_path, const std::string& mmproj_path, const engine::Image& picture,
                 const std::string& prompt, int32_t n_greedy);

}  // namespace winnow::testing
