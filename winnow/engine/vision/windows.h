#pragma once

// Attention in windows, as most blocks of Qwen2.5-VL's tower have it (Bai et al. 2025, arXiv 2502.13923): a
// patch attends to those in its square of 112 x 112 pixels alone. Rows of the tower lie window after window.

#include <cstdint>
#include <vector>

#include "winnow/engine/vision/clip.h"

namespace winnow::engine {

/// The groups of a picture (squares of merged patches), one window of side x side groups after the other.
/// Windows and the groups in them are in raster order; those at the right and the lower edge are smaller
/// (transformers, get_window_index).
struct Windows {
  std::vector<int32_t> groups;  ///< [n_group] raster indices
  std::vector<int32_t> sizes;   ///< [n_window] groups of each
};
Windows windows_of(prune::Grid groups, int32_t side);

/// Patch in each row of the tower, [n_patch] raster indices: window after window if there are any, group
/// after group.
std::vector<int32_t> tower_order(const ClipConfig& config);

/// Values of the tower's rows, [rows, n_patch, width], with the groups in raster order; the same values where
/// there are no windows.
std::vector<float> groups_in_raster_order(const ClipConfig& config, std::vector<float> values, int64_t rows,
                                          int64_t width);

/// The windows as a batch: n_window times n_row rows, smaller windows filled up with their first row.
struct WindowBatch {
  int32_t n_window = 0;
  int32_t n_row = 0;            ///< patches of the largest window
  std::vector<int32_t> rows;    ///< [n_window, n_row] rows of the tower
  std::vector<int32_t> places;  ///< [n_patch] where they are in `rows`
  std::vector<float> used;      ///< [n_window, n_row] 1, or 0 for what fills up

  /// Every window has n_row patches, so that `rows` counts from 0 on.
  bool is_even() const { return rows.size() == places.size(); }
};
WindowBatch window_batch(const ClipConfig& config);

/// Pairs of a query and a key in the same window.
int64_t window_pairs(const ClipConfig& config);

}  // namespace winnow::engine
