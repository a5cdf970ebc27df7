#pragma once

// The video of a prompt.

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "winnow/engine/session.h"

namespace winnow::cli {

/// One video, which stands behind the pictures of the prompt.
struct VideoArguments {
  std::vector<std::string> paths;
  int32_t max_frames = 768;  ///< transformers' most
  int32_t max_tokens = 0;

  void add_to(CLI::App& command);
  bool is_given() const { return !paths.empty(); }
  /// No frames without a video. Larger frames are refused.
  std::vector<engine::Image> load(int64_t max_pixels) const;
};

/// "8 frames of 640x360 pixels are read as 4 steps of 13 x 23 tokens": what became of a video.
std::string video_text(const std::vector<engine::Image>& frames, const engine::TokenLayout& layout);

}  // namespace winnow::cli
