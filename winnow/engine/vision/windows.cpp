#include "winnow/engine/vision/windows.h"

#include <algorithm>
#include <utility>

#include "winnow/base/error.h"
#include "winnow/engine/projector/patch_merge.h"

namespace winnow::engine {
namespace {

int32_t group_size(const ClipConfig& config) { return config.group_side * config.group_side; }

Windows picture_windows(const ClipConfig& config) {
  const prune::Grid patches = config.grid();
  return windows_of({patches.rows / config.group_side, patches.cols / config.group_side}, config.window_side);
}

}  // namespace

Windows windows_of(prune::Grid groups, int32_t side) {
  WINNOW_ASSERT(side > 0);
  Windows out;
  for (int32_t top = 0; top < groups.rows; top += side) {
    for (int32_t left = 0; left < groups.cols; left += side) {
      const int32_t bottom = std::min(top + side, groups.rows);
      const int32_t right = std::min(left + side, groups.cols);
      for (int32_t row = top; row < bottom; ++row) {
        for (int32_t col = left; col < right; ++col) out.groups.push_back(row * groups.cols + col);
      }
      out.sizes.push_back((bottom - top) * (right - left));
    }
  }
  return out;
}

std::vector<int32_t> tower_order(const ClipConfig& config) {
  std::vector<int32_t> patches = patches_by_group(config.grid(), config.group_side);
  if (config.window_side == 0) return patches;
  std::vector<int32_t> out;
  out.reserve(patches.size());
  for (const int32_t group : picture_windows(config).groups) {
    const auto first = patches.begin() + int64_t{group} * group_size(config);
    out.insert(out.end(), first, first + group_size(config));
  }
  return out;
}

std::vector<float> groups_in_raster_order(const ClipConfig& config, std::vector<float> values, int64_t rows,
                                          int64_t width) {
  if (config.window_side == 0) return values;
  const std::vector<int32_t> groups = picture_windows(config).groups;
  const int64_t n = width * group_size(config);  // values of a group
  WINNOW_ASSERT(std::ssize(values) == rows * n * std::ssize(groups));
  std::vector<float> out(values.size());
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t start = row * n * std::ssize(groups);
    for (std::size_t i = 0; i < groups.size(); ++i) {
      std::copy_n(values.begin() + start + static_cast<int64_t>(i) * n, n,
                  out.begin() + start + groups[i] * n);
    }
  }
  return out;
}

WindowBatch window_batch(const ClipConfig& config) {
  const Windows windows = picture_windows(config);
  WindowBatch batch;
  batch.n_window = static_cast<int32_t>(windows.sizes.size());
  batch.n_row = *std::max_element(windows.sizes.begin(), windows.sizes.end()) * group_size(config);
  int32_t first = 0;
  for (const int32_t size : windows.sizes) {
    const int32_t n = size * group_size(config);
    for (int32_t i = 0; i < batch.n_row; ++i) {
      if (i < n) batch.places.push_back(static_cast<int32_t>(batch.rows.size()));
      batch.rows.push_back(first + (i < n ? i : 0));
      batch.used.push_back(i < n ? 1.0F : 0.0F);
    }
    first += n;
  }
  return batch;
}

int64_t window_pairs(const ClipConfig& config) {
  int64_t pairs = 0;
  for (const int64_t size : picture_windows(config).sizes) {
    const int64_t n = size * group_size(config);
    pairs += n * n;
  }
  return pairs;
}

}  // namespace winnow::engine
