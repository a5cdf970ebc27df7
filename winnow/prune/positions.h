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

}  // namespace winnow::prune
