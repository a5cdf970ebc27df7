#pragma once

// Plain-loop kernels of training on CPUs, float32, one thread. Every matrix is row-major. They exist because
// eager tensor operations on small rows spend their time in memory traffic; ops.h wraps them with gradients.

#include <cstdint>

namespace winnow::train::kernels {

/// y = x / rms(x) * w per row of n values. rstd: [rows].
void rms_norm(const float* x, const float* w, float eps, int64_t rows, int64_t n, float* y, float* rstd);
/// dx from dy; dw is added to.
void rms_norm_backward(const float* dy, const float* x, const float* w, const float* rstd, int64_t rows,
                       int64_t n, float* dx, float* dw);

/// y = silu(gate) * up
void swiglu(const float* gate, const float* up, int64_t n, float* y);
void swiglu_backward(const float* dy, const float* gate, const float* up, int64_t n, float* d_gate,
                     float* d_up);

/// y = x * sigmoid(1.702 x)
void quick_gelu(const float* x, int64_t n, float* y);
void quick_gelu_backward(const float* dy, const float* x, int64_t n, float* dx);

/// Rotates neighbouring pairs of each head (GGUF's order for llama): [rows, n_head * d_head], cos and sin
/// [rows, d_head / 2]. sign -1 turns back.
struct RopeShape {
  int64_t rows, n_head, d_head;
};
void rope(const float* x, const float* cos, const float* sin, const RopeShape& shape, float sign, float* y);

constexpr int64_t kMaxOwn = 512;  ///< rows of the longest question, at most

/// One query row of packed attention: it sees `limit` of the prefix's `n_prefix` keys and n_own rows of its
/// own question. scores holds the prefix' raw products on entry and the probabilities on return (0 beyond
/// limit); own gets the probabilities of the question's rows. ld: distance of two rows of k.
struct SoftmaxRow {
  int64_t limit, n_prefix, n_own, d_head, ld;
  float scale;
};
void softmax_row(const SoftmaxRow& row, const float* q, const float* own_k, float* scores, float* own);
/// out += sum own[j] * own_v[j]
void add_own_values(const SoftmaxRow& row, const float* own, const float* own_v, float* out);
/// Turns d_scores (gradients of the probabilities of the prefix) into gradients of the raw products, and adds
/// the own question's share to dq, own_dk and own_dv.
struct OwnGradients {
  float* dq;
  float* dk;
  float* dv;
};
void softmax_row_backward(const SoftmaxRow& row, const float* probabilities, const float* own,
                          const float* d_out, const float* q, const float* own_k, const float* own_v,
                          float* d_scores, const OwnGradients& gradients);

}  // namespace winnow::train::kernels
