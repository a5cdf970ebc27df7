#pragma once

// What PruMerge and PruMerge+ share: the attention and keys they read, and the merging of dropped tokens into
// the kept ones. methods/prumerge.cpp names the paper and the reference.

#include <cstdint>
#include <span>
#include <vector>

#include "winnow/prune/method.h"

namespace winnow::prune {

/// block, neighbours, merge.
std::vector<ParamSpec> prumerge_params();
/// [CLS] attention of the block as one head, and its keys.
std::vector<Need> prumerge_needs(const Params& params);
/// The attention of prumerge_needs: [n].
std::span<const float> prumerge_attention(const Signals& signals, const Params& params);

/// kept: distinct tokens in output order. Each becomes x_i + sum_m a_m x_m over the `neighbours` other tokens
/// m with the keys of the largest cosine to its own (kept tokens among them, as they were), a the [CLS]
/// attention; one more output is sum_m a_m x_m over all tokens that were not kept, at the position of the
/// last of them (none when every token is kept). merge=mean: weighted means instead, of a kept token with its
/// own a_i and its neighbours, and of the tokens not kept.
Plan prumerge_plan(const Signals& signals, const Params& params, std::span<const int32_t> kept);

}  // namespace winnow::prune
