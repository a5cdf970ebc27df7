#pragma once

// How HiRED shares a budget among the crops of a high-resolution image (AnyRes): half for the whole image,
// the rest for each sub-image according to how much of the whole image's early attention falls into its
// region. Arif et al. 2024, "HiRED: Attention-Guided Token Dropping for Efficient Inference of
// High-Resolution Vision-Language Models", arXiv 2408.10945; reference hasanar1f/HiRED @502d6dd79a,
// modeling_llava_next.py, HiRED_token_selection and HiRED_sub_img_budgets. The tokens of a crop are then
// chosen by the method `hired` with the crop's budget.

#include <cstdint>
#include <vector>

#include "winnow/base/view.h"
#include "winnow/prune/signals.h"

namespace winnow::prune {

enum class HiredRegions {
  Blocks,  ///< the block of the whole image's grid that the sub-image shows
  Bands,   ///< the reference: equal runs of the flat raster, which are bands of rows and no blocks
};

/// Tokens that each crop keeps: [1 + crops.size()], the whole image first, then the sub-images row by row.
///   whole image   min(floor(alpha * total), n)
///   sub-image     floor(share * min(total - whole, n * crops)), at most n; share = part of the floor((1 -
///   alpha) * n) most
///                 attended tokens of the whole image that lie in its region
/// Rounding down may leave a few tokens of the total unused, as in the reference.
/// attention: [n_head, n] of the [CLS] row of the tower's first block on the whole image, grid its n tokens,
/// crops the arrangement of the sub-images. Deviation: without any such token (alpha = 1, where the reference
/// divides by zero) all shares are equal.
/// Throws InvalidArgument for other shapes, total outside [1, n * (1 + crops.size())], alpha outside [0, 1],
/// values that are not finite, or a grid with less than one token per crop.
std::vector<int32_t> hired_budgets(const MatrixView& attention, const Grid& grid, const Grid& crops,
                                   int32_t total, double alpha, HiredRegions regions);

}  // namespace winnow::prune
