#pragma once

// Token Merging inside the tower. Bolya et al. 2023, "Token Merging: Your ViT But Faster", arXiv 2210.09461,
// section 3; reference facebookresearch/ToMe @af95e4b1be, tome/merge.py, tome/utils.py, tome/patch/timm.py.
// How an engine uses it, in each block and in this order:
//   1. attention with log_size_bias(sizes)[j] added to the logits of key j in every head and row, before the
//      softmax: a token that stands for s patches counts s times (proportional attention; without it a tower
//      that was not trained with merging loses accuracy). All sizes 1: the bias is 0.
//   2. x += attention's output;
//   3. merge = bipartite_merge(mean over heads of this block's keys, sizes, r, cls); x = merge.plan applied
//      to x; sizes = merge.sizes;
//   4. the MLP on what remains.
// No deviations; ties, which the reference leaves open, go to the lower index.

#include <cstdint>
#include <span>
#include <vector>

#include "winnow/base/view.h"
#include "winnow/prune/merge.h"

namespace winnow::prune {

/// Bipartite soft matching: even rows are matched with the odd row of the largest cosine, and the r most
/// similar even rows are merged into their match, all means weighted by size.
/// metric: [t, d]; sizes: [t], patches that each row stands for; cls: row 0 is [CLS], which is never merged.
/// r is cut to what is possible, floor((t - cls) / 2); r = 0 gives the identity.
/// Outputs: the even rows that stay, then the odd rows, which take their own positions. The even ones ascend
/// with cls (so [CLS] stays first); without it they come in the reference's order, most similar first.
/// Throws InvalidArgument for other shapes, values that are not finite, sizes <= 0 or r < 0.
Merge bipartite_merge(const MatrixView& metric, std::span<const float> sizes, int32_t r, bool cls);

/// r of each block: from (1 - inflect) r in the first to (1 + inflect) r in the last, linear, rounded down;
/// inflect 0 is r everywhere, -1 the paper's decreasing schedule. Throws InvalidArgument for n_block < 1,
/// r outside [0, 2^20] or inflect outside [-1, 1].
std::vector<int32_t> merge_schedule(int32_t n_block, int32_t r, double inflect = 0.0);

/// log(size) of each row: see the rule above. sizes > 0.
std::vector<float> log_size_bias(std::span<const float> sizes);

}  // namespace winnow::prune
