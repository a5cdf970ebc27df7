#include "winnow/engine/image_frames.h"

#include <algorithm>
#include <filesystem>

#include "winnow/base/error.h"

namespace winnow::engine {
namespace {
namespace fs = std::filesystem;

constexpr const char* kWhere = "engine.load_frames";

/// The pictures in a folder, by name.
std::vector<std::string> files_in(const std::string& folder) {
  std::error_code error;
  std::vector<std::string> files;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (!name.starts_with('.')) files.push_back(entry->path().string());
  }
  WINNOW_CHECK(!error, Io, kWhere, "'{}': cannot be read: {}", folder, error.message());
  WINNOW_CHECK(!files.empty(), InvalidArgument, kWhere,
               "'{}' is an empty folder, expected the frames of a video", folder);
  std::sort(files.begin(), files.end());
  return files;
}

/// Those of `all` that are read.
template <class T>
std::vector<T> sampled(std::vector<T> all, int32_t n_most) {
  std::vector<T> out;
  for (const int32_t i : even_frames(static_cast<int32_t>(all.size()), n_most)) {
    out.push_back(std::move(all[static_cast<std::size_t>(i)]));
  }
  return out;
}

}  // namespace

std::vector<int32_t> even_frames(int32_t n, int32_t n_most) {
  WINNOW_CHECK(n_most >= 1, InvalidArgument, kWhere, "frames of a video, got at most {}, expected 1 or more",
               n_most);
  std::vector<int32_t> out;
  const int32_t n_out = std::min(n, n_most);
  for (int64_t i = 0; i < n_out; ++i) out.push_back(static_cast<int32_t>(i * n / n_out));
  return out;
}

std::vector<Image> load_frames(const std::vector<std::string>& paths, int32_t n_most,
                               const ImageLimits& limits) {
  std::error_code ignored;
  const bool one = paths.size() == 1;
  const bool folder = one && fs::is_directory(paths.front(), ignored);
  if (one && !folder) return sampled(load_animation(paths.front(), limits), n_most);
  std::vector<Image> frames;
  for (const std::string& path : sampled(folder ? files_in(paths.front()) : paths, n_most)) {
    frames.push_back(load_image(path, limits));
  }
  return frames;
}

}  // namespace winnow::engine
