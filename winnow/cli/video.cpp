#include "winnow/cli/video.h"

#include <fmt/format.h>

#include "winnow/engine/image_frames.h"

namespace winnow::cli {

void VideoArguments::add_to(CLI::App& command) {
  command.add_option(
      "--video", paths,
      "Frames of one video, behind the pictures: files, a folder of them in the order of their "
      "names, or an animated GIF (Qwen2-VL)");
  command.add_option("--video-frames", max_frames, "Of more frames this many are read, evenly spread")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command
      .add_option("--video-tokens", max_tokens,
                  "Most visual tokens of the video: frames are read smaller (default: those of the largest "
                  "picture)")
      ->check(CLI::Range(1, 1 << 20));
}

std::vector<engine::Image> VideoArguments::load(int64_t max_pixels) const {
  if (!is_given()) return {};
  engine::ImageLimits limits;
  limits.max_pixels = max_pixels;
  return engine::load_frames(paths, max_frames, limits);
}

std::string video_text(const std::vector<engine::Image>& frames, const engine::TokenLayout& layout) {
  return fmt::format("{} frames of {}x{} pixels are read as {} steps of {} x {} tokens", frames.size(),
                     frames.front().width, frames.front().height, layout.n_step, layout.tile.rows,
                     layout.tile.cols);
}

}  // namespace winnow::cli
