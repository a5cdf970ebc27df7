#include "winnow/engine/projector/patch_merge.h"

#include "winnow/base/error.h"

namespace winnow::engine {
namespace {

constexpr const char* kMergeKey = "clip.vision.spatial_merge_size";
constexpr const char* kPoolKey = "winnow.projector.pool_size";

/// Indices of the patches, group after group.  [n_patch]
std::vector<int32_t> patches_by_group(const PatchMerge& merge) {
  const prune::Grid grid = merge.grid();
  std::vector<int32_t> out;
  out.reserve(static_cast<std::size_t>(merge.patches.size()));
  for (int32_t token = 0; token < grid.size(); ++token) {
    for (int32_t i = 0; i < merge.side * merge.side; ++i) {
      const int32_t row = token / grid.cols * merge.side + i / merge.side;
      const int32_t col = token % grid.cols * merge.side + i % merge.side;
      out.push_back(row * merge.patches.cols + col);
    }
  }
  return out;
}

}  // namespace

PatchMerge read_patch_merge(const GgufFile& file, prune::Grid patches) {
  constexpr const char* kWhere = "engine.projector";
  const auto size_of = [&](const char* key) {
    const auto size = static_cast<int32_t>(file.integer_or(key, 1, patches.rows, 1));
    WINNOW_CHECK(patches.rows % size == 0 && patches.cols % size == 0, Corrupt, kWhere,
                 "{}: key '{}', got {}, expected a divisor of the {} x {} patches", file.path(), key, size,
                 patches.rows, patches.cols);
    return size;
  };
  const int32_t merge = size_of(kMergeKey);
  const int32_t pool = size_of(kPoolKey);
  WINNOW_CHECK(merge == 1 || pool == 1, Corrupt, kWhere,
               "{}: keys '{}' and '{}', got {} and {}, expected at most one of them above 1", file.path(),
               kMergeKey, kPoolKey, merge, pool);
  return {patches, merge * pool, pool > 1};
}

std::vector<float> merge_patches(const PatchMerge& merge, std::span<const float> features) {
  const int64_t d = std::ssize(features) / merge.patches.size();
  if (merge.mean) return group_means(merge, features, d);
  std::vector<float> out;
  out.reserve(features.size());
  for (const int32_t patch : patches_by_group(merge)) {
    out.insert(out.end(), features.begin() + patch * d, features.begin() + (patch + 1) * d);
  }
  return out;
}

std::vector<float> group_means(const PatchMerge& merge, std::span<const float> values, int64_t width) {
  const std::vector<int32_t> patches = patches_by_group(merge);
  const int64_t n_patch = merge.patches.size();
  const int64_t n_visual = merge.grid().size();
  const int64_t n_in_group = int64_t{merge.side} * merge.side;
  const int64_t rows = std::ssize(values) / (n_patch * width);
  std::vector<float> out(static_cast<std::size_t>(rows * n_visual * width), 0.0f);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t i = 0; i < n_patch; ++i) {
      const float* from = values.data() + (r * n_patch + patches[static_cast<std::size_t>(i)]) * width;
      float* to = out.data() + (r * n_visual + i / n_in_group) * width;
      for (int64_t c = 0; c < width; ++c) to[c] += from[c];
    }
  }
  for (float& v : out) v /= static_cast<float>(n_in_group);
  return out;
}

}  // namespace winnow::engine
