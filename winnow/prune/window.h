#pragma once

// The window rule: the best tokens of each window of the 2-D grid instead of the best of the image, so that
// no part of the image is left out, whatever ranks the tokens. Wen et al. 2025, arXiv 2502.11501, section 3
// (algorithm "Window FastV") has it for FastV's scores; window_fastv and window(METHOD) share it.
//
// The paper leaves the window size open and has no code. Here: 2x2 unless said (edge windows smaller);
// windows share n_keep in proportion to their tokens, by cumulative rounding floor(k A_(i+1) / A) - floor(k
// A_i / A) with A_i the tokens before window i. Windows are counted row by row with every other row
// backwards, so that a count that does not divide is spread in both directions (half a token per window: a
// chessboard, not stripes). In an image that was already pruned only the remaining tokens of a window count.

#include <cstdint>
#include <vector>

#include "winnow/prune/method.h"

namespace winnow::prune {

inline constexpr Window kDefaultWindow{2, 2};

/// Keeps n_keep of the tokens by scores [n], shared out among windows; ascending, ties to the lower index,
/// the scores handed on in the plan. 0 <= n_keep <= n.
Plan windowed_plan(const Signals& signals, std::vector<float> scores, int32_t n_keep, const Window& window);

/// window(METHOD, RxC): `inner` with its tokens shared out among windows. It acts where and reads what inner
/// does, once (an inner schedule is not followed). Throws InvalidArgument for a method that does not rank
/// (Method::ranks).
MethodUse window_of(const MethodUse& inner, const Window& window);

}  // namespace winnow::prune
