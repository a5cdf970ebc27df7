#include "winnow/engine/projector/patch_merge.h"

#include <numeric>

#include "winnow/base/error.h"

namespace winnow::engine {
namespace {

constexpr const char* kMergeKey = "clip.vision.spatial_merge_size";
constexpr const char* kPoolKey = "winnow.projector.pool_size";

/// Rows of the tower, group after group.  [n_patch]
std::vector<int32_t> rows_by_group(const PatchMerge& merge) {
  if (!merge.by_group) return patches_by_group(merge.patches, merge.side);
  std::vector<int32_t> rows(static_cast<std::size_t>(merge.patches.size()));
  std::iota(rows.begin(), rows.end(), 0);
  return rows;
}

}  // namespace

std::vector<int32_t> patches_by_group(prune::Grid patches, int32_t side) {
  const prune::Grid groups{patches.rows / side, patches.cols / side};
  std::vector<int32_t> out;
  out.reserve(static_cast<std::size_t>(patches.size()));
  for (int32_t group = 0; group < groups.size(); ++group) {
    for (int32_t i = 0; i < side * side; ++i) {
      const int32_t row = group / groups.cols * side + i / side;
      const int32_t col = group % groups.cols * side + i % side;
      out.push_back(row * patches.cols + col);
    }
  }
  return out;
}

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
  return {patches, merge * pool, pool > 1, false};
}

std::vector<float> merge_patches(const PatchMerge& merge, std::span<const float> features) {
  const int64_t d = std::ssize(features) / merge.patches.size();
  if (merge.mean) return group_means(merge, features, d);
  std::vector<float> out;
  out.reserve(features.size());
  for (const int32_t patch : rows_by_group(merge)) {
    out.insert(out.end(), features.begin() + patch * d, features.begin() + (patch + 1) * d);
  }
  return out;
}

std::vector<float> group_means(const PatchMerge& merge, std::span<const float> values, int64_t width) {
  const std::vector<int32_t> patches = rows_by_group(merge);
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
