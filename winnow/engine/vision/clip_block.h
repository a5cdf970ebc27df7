#pragma once

// The blocks of a CLIP transformer, the same in its vision and its text tower: x + attention(LN(x)), then
// x + mlp(LN(x)) (Radford et al. 2021, arXiv 2103.00020).

#include <ggml.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "winnow/engine/gguf.h"
#include "winnow/engine/graph.h"
#include "winnow/engine/weights.h"

namespace winnow::engine {

struct ClipBlockShape {
  const char* tower = "v";  ///< begins the names of tensors: "v" or "t"
  int32_t n_embd = 0;
  int32_t n_ff = 0;
  int32_t n_head = 0;
  float eps = 1e-5f;
  bool use_gelu = false;     ///< exact GELU instead of CLIP's quick GELU
  bool ffn_swapped = false;  ///< oldest files call the two feed-forward matrices by each other's names
  bool tanh_gelu = false;    ///< SigLIP's: GELU in its tanh form, whatever use_gelu says
  bool rms_norm = false;     ///< RMSNorm instead of LayerNorm
  bool gated = false;        ///< SiLU of a gate instead of an activation between the two matrices
};

/// "t.blk.3.ln1.weight" of tower "t", block 3, part "ln1.weight".
std::string block_tensor_name(const ClipBlockShape& shape, int32_t il, std::string_view part);
/// Adds the tensors of block il to a table.
void add_block_tensors(std::vector<TensorSpec>& table, const ClipBlockShape& shape, int32_t il);
/// Reads ClipBlockShape::ffn_swapped off the shapes in a file.
bool stores_ffn_swapped(const GgufFile& file, const ClipBlockShape& shape);

/// Queries and keys of a block, ne {n_embd, n}.
struct ClipQueryKey {
  ggml_tensor* q;
  ggml_tensor* k;
};

/// Rows that attend in windows (WindowBatch) as tensors of a graph: the rows of every window stand together.
struct WindowRows {
  int64_t n_row = 0;              ///< of each window
  ggml_tensor* rows = nullptr;    ///< ne {n_window * n_row}, which rows; nullptr: as they are
  ggml_tensor* places = nullptr;  ///< ne {n}, where they are; with `rows`
  ggml_tensor* used = nullptr;    ///< ne {1, n_row, 1, n_window}, 1 or 0; with `rows`
  ggml_tensor* mask = nullptr;    ///< ne {n_row, n_row, 1, n_window} of unused keys; with `rows`
};

/// Parts of blocks as nodes of a graph. Rows of x are tokens, ne {n_embd, n}.
class ClipBlocks {
 public:
  ClipBlocks(const ClipBlockShape& shape, const Weights& weights, bool fused)
      : shape_(shape), w_(weights), fused_(fused) {}

  /// The norm in front of attention.
  ggml_tensor* norm1(ggml_context* ctx, ggml_tensor* x, int32_t il) const;
  /// Of normed rows.
  ClipQueryKey query_key(ggml_context* ctx, ggml_tensor* h, int32_t il) const;
  /// What attention adds to x, h its normed rows; mask as engine::attention() takes it. windows: all attend
  /// in their own, and their mask is the one that counts.
  ggml_tensor* attend(ggml_context* ctx, ggml_tensor* h, const ClipQueryKey& qk, ggml_tensor* mask,
                      int32_t il, const WindowRows* windows = nullptr) const;
  /// What the second half adds to x.
  ggml_tensor* mlp(ggml_context* ctx, ggml_tensor* x, int32_t il) const;
  /// ne {n_embd, n} -> {d_head, n, n_head}, or {d_head, n_row, n_head, n_window}
  ggml_tensor* heads(ggml_context* ctx, ggml_tensor* x, const WindowRows* windows = nullptr) const;

 private:
  ggml_tensor* weight(int32_t il, std::string_view part) const;
  ggml_tensor* norm(ggml_context* ctx, ggml_tensor* x, int32_t il, std::string_view part) const;
  ggml_tensor* apply(ggml_context* ctx, ggml_tensor* x, int32_t il, std::string_view part) const;

  ClipBlockShape shape_;
  const Weights& w_;
  bool fused_;
};

}  // namespace winnow::engine
