#pragma once

// What a pruning method may look at. The engine fills only what the method's needs() name, for one image at
// a time, as row-major float32 views. n is the number of visual tokens of the image (grid.size() unless the
// image was already pruned), token j sits at grid row j / cols, column j % cols. Where the projector merges
// patches, a token's tower signals are the means over its patches.

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "winnow/base/view.h"

namespace winnow::prune {

struct Grid {
  int32_t rows = 0;
  int32_t cols = 0;
  int32_t size() const { return rows * cols; }
};

enum class Signal {
  Projected,            ///< features after the projector, as the decoder reads them  [n, n_embd]
  Tower,                ///< features before the projector (selected)                 [n, d_tower]
  ClsAttention,         ///< softmaxed attention of the [CLS] row of a tower block    [n_head, n]
  ColumnAttention,      ///< mean over all query rows of a tower block's attention    [n_head, n]
  TowerKeys,            ///< keys of a tower block, heads side by side                [n, d_tower]
  Hidden,               ///< hidden states entering decoder layer K, visual tokens    [n, n_embd]
  HiddenLast,           ///< the same of the prompt's last token                      [1, n_embd]
  LastTextAttention,    ///< layer K-1, query = last prompt token, visual columns     [n_head, n]
  LastVisualAttention,  ///< layer K-1, query = last visual token of the sequence     [n_head, n]
};

/// Name as written in docs and messages ("cls_attention").
std::string_view signal_name(Signal signal);

/// Which tower block a tower signal is read from: >= 0 counts from the first block, -1 is the block whose
/// output the projector reads (block 22 of CLIP ViT-L in LLaVA-1.5), -2 the one before it.
inline constexpr int32_t kFeatureBlock = -1;

struct Need {
  Signal signal;
  int32_t block = kFeatureBlock;  ///< tower signals only
  bool operator==(const Need&) const = default;
};

/// One block of the tower as a method sees it; views that nobody asked for are absent.
struct TowerTap {
  int32_t block = kFeatureBlock;  ///< as in Need
  MatrixView cls_attention;       // [n_head, n]; rows do not sum to 1: the [CLS] column is left out
  MatrixView column_attention;    // [n_head, n]
  MatrixView keys;                // [n, d_tower]
};

struct Signals {
  Grid grid;                         ///< of this image, before any pruning
  std::vector<int32_t> token_of;     ///< [n] index in the grid of each token still there; empty: all of them
  MatrixView projected;              // [n, n_embd]
  MatrixView tower;                  // [n, d_tower]
  std::vector<TowerTap> tower_taps;  ///< one per block that was asked for
  MatrixView hidden;                 // [n, n_embd]
  MatrixView hidden_last;            // [1, n_embd]
  MatrixView last_text_attention;    // [n_head, n]
  MatrixView last_visual_attention;  // [n_head, n]

  /// Number of tokens to choose from.
  int32_t n() const { return token_of.empty() ? grid.size() : static_cast<int32_t>(token_of.size()); }
  /// Grid index (raster order) of token j.
  int32_t cell(int32_t j) const { return token_of.empty() ? j : token_of[static_cast<std::size_t>(j)]; }
  /// View of a need; absent if it was not filled.
  MatrixView view(const Need& need) const;
};

}  // namespace winnow::prune
