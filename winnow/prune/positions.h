#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "winnow/prune/method.h"

namespace winnow::prune {

/// One visual token run of a sequence after pruning: where its outputs stand and which ids the image had.
struct VisualSpan {
  int32_t first = 0;     ///< index of the first output in the sequence
  int32_t count = 0;     ///< number of outputs
  int32_t first_id = 0;  ///< position id of the image's first token before pruning
  int32_t n_ids = 0;     ///< number of ids the image covered before pruning
};

/// Position ids of a pruned sequence. ids_before: [n_out] id that each remaining token had (for a merged
/// token: that of Plan::position_of). Compact numbers from first_id on. Regrid gives output i of an image's
/// `count` the id in the middle of the i-th of `count` equal parts of the image's ids. Returns [n_out].
/// Throws InvalidArgument for spans that overlap, leave the sequence, or hold more outputs than ids.
std::vector<int32_t> position_ids(PositionPolicy policy, std::span<const int32_t> ids_before,
                                  std::span<const VisualSpan> images, int32_t first_id);

/// Position ids of tokens in a decoder with three axes (Qwen2-VL's M-RoPE), [n] each. A text token has the
/// same id on all of them; those of an image share one id in time and have a row and a column from there on;
/// those of a video have a temporal step besides. What follows begins behind the largest id of all axes.
struct AxisIds {
  std::vector<int32_t> time, row, col;
};

/// VisualSpan in such a decoder: the ids of all axes begin at first_id.
struct GridSpan {
  int32_t first = 0;
  int32_t count = 0;
  int32_t first_id = 0;
  Grid grid;           ///< rows and columns of ids
  int32_t n_time = 1;  ///< ids in time: temporal steps of a video
};

/// position_ids() on three axes. Compact closes up rows, columns and temporal steps of which no token is
/// left, and gaps in front of text; regrid spreads the k rows that are left evenly over the image's rows,
/// columns and steps likewise. With all tokens nothing changes. Throws InvalidArgument for axes of different
/// lengths, spans that overlap or leave the sequence, and ids outside the image's grid or time.
AxisIds axis_position_ids(PositionPolicy policy, const AxisIds& ids_before, std::span<const GridSpan> images);

}  // namespace winnow::prune
