#pragma once

// What a pruning method may look at. The engine fills only what the method's needs() name, for one image or
// tile at a time, as row-major float32 views. n is the number of its visual tokens (grid.size() unless some
// cells have none, or were pruned); token j sits at grid row j / cols, column j % cols. Where the projector
// merges patches, a token's tower signals are the means over its patches.

#include <cstdint>
#include <optional>
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

// "Text" below is the tokens behind the last image up to the prompt's end, n_text of them ("ASSISTANT:" and
// all); without any, the last token of the prompt.
enum class Signal {
  // The image alone
  Projected,         ///< features after the projector, as the decoder reads them   [n, n_embd]
  ClsToken,          ///< the same of the tower's [CLS] token                       [1, n_embd]
  Tower,             ///< features before the projector (selected)                  [n, d_tower]
  ClsAttention,      ///< softmaxed attention of the [CLS] row of a tower block     [n_head, n]
  WideClsAttention,  ///< the same as if the block had one head as wide as itself   [1, n]
  ColumnAttention,   ///< mean over all query rows of a tower block's attention     [n_head, n]
  TowerKeys,         ///< keys of a tower block, heads side by side                 [n, d_tower]
  // The image and the question
  ClipImage,   ///< patches in CLIP's joint space, not normalised                   [n, d_joint]
  ClipText,    ///< the question in CLIP's joint space, one row per 77 tokens       [n_segment, d_joint]
  TextEmbeds,  ///< token embeddings of the text                                    [n_text, n_embd]
  // Inside the decoder, before layer K
  InputEmbeds,          ///< visual tokens as they entered layer 0, the dropped too [n_input >= n, n_embd]
  Hidden,               ///< hidden states entering layer K, visual tokens          [n, n_embd]
  HiddenLast,           ///< the same of the prompt's last token                    [1, n_embd]
  PreviousHidden,       ///< hidden states entering layer K-1, visual tokens        [n, n_embd]
  HiddenNormed,         ///< Hidden after the decoder's final norm                  [n, n_embd]
  TextNormed,           ///< the same of the text                                   [n_text, n_embd]
  LayerKeys,            ///< rotated keys of layer K-1, key heads side by side      [n, n_embd_kv]
  TextKeys,             ///< the same of the text                                   [n_text, n_embd_kv]
  LastTextAttention,    ///< layer K-1, query = last prompt token, visual columns   [n_head, n]
  LastVisualAttention,  ///< layer K-1, query = last visual token of the sequence   [n_head, n]
  TextAttention,        ///< layer K-1, queries = the text; row = head * n_text + t [n_head * n_text, n]
  NextAttention,        ///< layer K, query = last prompt token                     [n_head, n]
};
inline constexpr Signal kLastSignal = Signal::NextAttention;

/// Name as written in docs, messages and files ("cls_attention").
std::string_view signal_name(Signal signal);
/// The signal of a name, if there is one.
std::optional<Signal> find_signal(std::string_view name);

enum class SignalShape { PerToken, PerHead, OneRow, OneVector, Text, AllTokens };
/// PerToken [n, width]; PerHead [heads, n]; OneRow [1, n]; OneVector [1, width]; Text [any, width]; AllTokens
/// [n or more, width].
SignalShape signal_shape(Signal signal);
/// True for signals that belong to a block of the tower (Need::block counts).
bool is_tower_tap(Signal signal);
/// True for signals that are only there before a decoder layer.
bool is_decoder_signal(Signal signal);

/// Which tower block a tower signal is read from: >= 0 counts from the first block, -1 is the block whose
/// output the projector reads (block 22 of CLIP ViT-L in LLaVA-1.5), -2 the one before it.
inline constexpr int32_t kFeatureBlock = -1;
/// The block behind it (block 23 of CLIP ViT-L), which legacy model files do not hold.
inline constexpr int32_t kNextBlock = INT32_MAX;
/// A block by its place in the tower, so that a method made for 24 blocks has its block in any other: the
/// `place`-th of `of` blocks, 1-based (HiPrune's ninth of 24).
constexpr int32_t block_at(int32_t place, int32_t of) { return -1000 - 1000 * place / of; }
/// Index from the first block of what a Need names, in a tower whose projector reads block n_block - 1.
/// Below 0 or above n_block: there is no such block.
int32_t resolve_block(int32_t block, int32_t n_block);

struct Need {
  Signal signal;
  int32_t block = kFeatureBlock;  ///< tower signals only
  bool operator==(const Need&) const = default;
};

/// One block of the tower as a method sees it; views that nobody asked for are absent.
struct TowerTap {
  int32_t block = kFeatureBlock;    ///< as in Need
  MatrixView cls_attention{};       // [n_head, n]; rows do not sum to 1: the [CLS] column is left out
  MatrixView wide_cls_attention{};  // [1, n]
  MatrixView column_attention{};    // [n_head, n]
  MatrixView keys{};                // [n, d_tower]
};

/// The decoder's rotary embedding, for methods that correct attention for distance.
struct Rope {
  int32_t d_head = 0;
  float base = 10000.0F;
};

struct Signals {
  Grid grid;                         ///< of this image, before any pruning
  std::vector<int32_t> token_of;     ///< [n] index in the grid of each token still there; empty: all of them
  MatrixView projected;              // [n, n_embd]
  MatrixView cls_token;              // [1, n_embd]
  MatrixView tower;                  // [n, d_tower]
  std::vector<TowerTap> tower_taps;  ///< one per block that was asked for
  MatrixView clip_image;             // [n, d_joint]
  MatrixView clip_text;              // [n_segment, d_joint]
  MatrixView text_embeds;            // [n_text, n_embd]
  MatrixView input_embeds;           // [n_input, n_embd]
  MatrixView hidden;                 // [n, n_embd]
  MatrixView hidden_last;            // [1, n_embd]
  MatrixView previous_hidden;        // [n, n_embd]
  MatrixView hidden_normed;          // [n, n_embd]
  MatrixView text_normed;            // [n_text, n_embd]
  MatrixView layer_keys;             // [n, n_embd_kv]
  MatrixView text_keys;              // [n_text, n_embd_kv]
  MatrixView last_text_attention;    // [n_head, n]
  MatrixView last_visual_attention;  // [n_head, n]
  MatrixView text_attention;         // [n_head * n_text, n]
  MatrixView next_attention;         // [n_head, n]
  // Always filled inside the decoder:
  std::vector<int32_t> ids;       ///< [n] position ids of the tokens still there; with several axes (M-RoPE)
                                  ///< their places in the sequence
  std::vector<int32_t> text_ids;  ///< [n_text]
  Rope rope;                      ///< d_head 0: not of one axis

  /// Number of tokens to choose from.
  int32_t n() const { return token_of.empty() ? grid.size() : static_cast<int32_t>(token_of.size()); }
  /// Grid index (raster order) of token j.
  int32_t cell(int32_t j) const { return token_of.empty() ? j : token_of[static_cast<std::size_t>(j)]; }
  /// View of a need; absent if it was not filled.
  MatrixView view(const Need& need) const;
  /// Fills a need.
  void set(const Need& need, const MatrixView& values);
};

}  // namespace winnow::prune
