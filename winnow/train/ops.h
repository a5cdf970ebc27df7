#pragma once

// Operations with gradients. On CPUs in float32 they run the kernels of kernels.h; everywhere else the same
// formulas as tensor operations (plain_*), which the tests compare with.

#include <torch/torch.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace winnow::train {

struct PaddedLayout;

/// Who sees whom in a flat batch of rows. A group is one prompt: a prefix (text and visual tokens) and the
/// questions behind it, packed without padding; each question sees the prefix and itself only, which is the
/// computation of a single question. Query rows may be a part of the key rows (the last layer computes only
/// rows that a loss reads).
struct AttentionLayout {
  struct Group {
    int64_t query_start = 0, n_query = 0;  ///< rows of q
    int64_t key_start = 0, n_prefix = 0;   ///< rows of k and v that belong to the prefix
    int64_t n_key = 0;                     ///< all rows of k and v of this group, the prefix first
  };
  std::vector<Group> groups;
  // per query row
  std::vector<int32_t> limit;      ///< prefix rows it sees
  std::vector<int32_t> own_start;  ///< first row of its question (a row of k)
  std::vector<int32_t> n_own;      ///< rows of its question it sees, 0 for rows of the prefix
  /// For plain_attention, which makes it at its first call: all layers of a model share a layout.
  mutable std::shared_ptr<const PaddedLayout> padded;
};
using LayoutPtr = std::shared_ptr<const AttentionLayout>;

/// q [n_query, n_head * d_head], k and v [n_key, n_head * d_head] -> [n_query, n_head * d_head]
torch::Tensor packed_attention(const torch::Tensor& q, const torch::Tensor& k, const torch::Tensor& v,
                               const LayoutPtr& layout, int64_t n_head);
/// The same as a few large products over groups that are filled up to equal size: what a GPU does best.
torch::Tensor plain_attention(const torch::Tensor& q, const torch::Tensor& k, const torch::Tensor& v,
                              const AttentionLayout& layout, int64_t n_head);

/// x [rows, n], w [n]
torch::Tensor rms_norm(const torch::Tensor& x, const torch::Tensor& w, double eps);
torch::Tensor plain_rms_norm(const torch::Tensor& x, const torch::Tensor& w, double eps);

/// silu(gate) * up, same shapes.
torch::Tensor swiglu(const torch::Tensor& gate, const torch::Tensor& up);
torch::Tensor plain_swiglu(const torch::Tensor& gate, const torch::Tensor& up);

torch::Tensor quick_gelu(const torch::Tensor& x);
torch::Tensor plain_quick_gelu(const torch::Tensor& x);

/// Rotary positions on neighbouring pairs, as llama's GGUF files have them. x [rows, n_head * d_head]; cos,
/// sin [rows, d_head / 2], without gradient.
torch::Tensor rope(const torch::Tensor& x, const torch::Tensor& cos, const torch::Tensor& sin,
                   int64_t n_head);
torch::Tensor plain_rope(const torch::Tensor& x, const torch::Tensor& cos, const torch::Tensor& sin,
                         int64_t n_head);

/// x [rows, n_in], w [n_out, n_in] -> [rows, n_out]; b may be undefined. Products in bfloat16 when `bf16`.
torch::Tensor linear(const torch::Tensor& x, const torch::Tensor& w, const torch::Tensor& b, bool bf16);

}  // namespace winnow::train
