#include "winnow/engine/projector/tiling.h"

#include <charconv>
#include <string_view>
#include <system_error>

#include "winnow/base/error.h"

namespace winnow::engine {
namespace {

constexpr const char* kWhere = "engine.tiling";
constexpr const char* kResolutionKey = "clip.vision.image_grid_pinpoints";
constexpr const char* kMergeTypeKey = "clip.vision.mm_patch_merge_type";
constexpr const char* kAspectKey = "clip.vision.image_aspect_ratio";
constexpr int32_t kMaxTiles = 256;

/// N of "anyres_max_N", 0 of anything else.
int32_t read_max_tiles(const GgufFile& file) {
  constexpr std::string_view kPrefix = "anyres_max_";
  const std::string aspect = file.text_or(kAspectKey, "");
  if (!aspect.starts_with(kPrefix)) return 0;
  int32_t n = 0;
  const char* end = aspect.data() + aspect.size();
  const auto [stop, error] = std::from_chars(aspect.data() + kPrefix.size(), end, n);
  WINNOW_CHECK(error == std::errc{} && stop == end && n >= 1 && n <= kMaxTiles, Corrupt, kWhere,
               "{}: key '{}', got '{}', expected 'anyres_max_N' with N of 1 to {}", file.path(), kAspectKey,
               aspect, kMaxTiles);
  return n;
}

}  // namespace

Tiling read_tiling(const GgufFile& file, int32_t tile_px) {
  Tiling tiling;
  if (!file.has(kResolutionKey)) return tiling;
  const std::vector<double> numbers = file.numbers(kResolutionKey);
  WINNOW_CHECK(numbers.size() % 2 == 0, Corrupt, kWhere, "{}: key '{}', got {} numbers, expected pairs",
               file.path(), kResolutionKey, numbers.size());
  for (std::size_t i = 0; i + 1 < numbers.size(); i += 2) {
    const double cols = numbers[i] / tile_px, rows = numbers[i + 1] / tile_px;
    const bool whole = cols >= 1.0 && rows >= 1.0 && cols * rows <= kMaxTiles &&
                       cols == static_cast<int32_t>(cols) && rows == static_cast<int32_t>(rows);
    WINNOW_CHECK(whole, Corrupt, kWhere,
                 "{}: key '{}', got {} x {} pixels, expected multiples of the input's {}, at most {} tiles",
                 file.path(), kResolutionKey, numbers[i], numbers[i + 1], tile_px, kMaxTiles);
    tiling.resolutions.push_back({static_cast<int32_t>(numbers[i]), static_cast<int32_t>(numbers[i + 1])});
  }
  if (!tiling.cuts()) return tiling;
  const std::string merge = file.text_or(kMergeTypeKey, "flat");
  WINNOW_CHECK(merge == "spatial_unpad", Unsupported, kWhere,
               "{}: key '{}' of a model that cuts pictures into tiles, got '{}', expected 'spatial_unpad'",
               file.path(), kMergeTypeKey, merge);
  tiling.max_tiles = read_max_tiles(file);
  if (file.find(tiling.newline_name) == nullptr && file.find("model.image_newline") != nullptr) {
    tiling.newline_name = "model.image_newline";
  }
  return tiling;
}

std::vector<TensorSpec> tiling_tensors(const Tiling& tiling, int32_t n_embd) {
  if (!tiling.cuts()) return {};
  return {{tiling.newline_name, {n_embd}}};
}

}  // namespace winnow::engine
