#pragma once

// SparseVLM's raters: which words of the question look at the image at all. Zhang et al. 2024, arXiv
// 2410.04417; Gumpest/SparseVLMs @26a5f48813.
//   m_t = 1 / n_visual sum_j softmax_t(v_j . e_t)          raters = { t : m_t > mean(m) }
// v_j and e_t are the input embeddings, neither normalised nor scaled.

#include <cstdint>
#include <span>
#include <vector>

#include "winnow/base/view.h"

namespace winnow::prune {

/// Indices of the raters among the text [n_text, width], ascending; visual [n_visual, width]. All of the text
/// when no token stands out.
std::vector<int32_t> text_raters(const MatrixView& visual, const MatrixView& text);

/// Mean over all heads and the given text tokens of attention [n_head * n_text, n], row = head * n_text + t.
/// Returns [n].
std::vector<float> text_mean(const MatrixView& attention, int64_t n_text, std::span<const int32_t> tokens);

}  // namespace winnow::prune
