#pragma once

// MustDrop's first stage: uniform windows of the image become one token each, inside the tower. Liu et al.
// 2024, "Multi-Stage Vision Token Dropping: Towards Efficient Multimodal Large Language Model", arXiv
// 2411.10803; reference liuting20/MustDrop @909afa538b,
// llava/model/multimodal_encoder/local_merge.py. The reference merges once, in the tower's first block; the
// blocks behind it run on what remains.
// Deviations: the reference cuts the number of merged windows to the smallest of its batch; here an image is
// alone. On grids that the window does not divide (where the reference fails) the incomplete windows at the
// right and bottom edge stay as they are.

#include "winnow/base/view.h"
#include "winnow/prune/merge.h"
#include "winnow/prune/params.h"
#include "winnow/prune/signals.h"

namespace winnow::prune {

struct WindowMergeOptions {
  Window window{3, 3};     ///< at least 2 patches
  float threshold = 0.8F;  ///< merge where the mean cosine reaches it
};

/// Merges every window of patches whose mean cosine over all pairs of different patches is at least the
/// threshold into their mean.
/// hidden: [t, d], the patches of the grid in raster order; cls: behind one [CLS] row. Outputs: [CLS], the
/// merged windows by falling score (ties: in raster order) at the position of their last patch, the other
/// patches in raster order. plan.scores: [t] score of the window of each row, 0 where it has none.
/// Throws InvalidArgument for other shapes, values that are not finite, or a window of less than 2 patches.
Merge merge_windows(const MatrixView& hidden, const Grid& grid, bool cls,
                    const WindowMergeOptions& options = {});

}  // namespace winnow::prune
