#include "winnow/train/kernels.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace winnow::train::kernels {
namespace {

/// exp for x <= 88: range reduction by ln 2 and a polynomial (Cephes expf), written so that loops vectorise.
inline float fast_exp(float x) {
  x = std::max(x, -87.0F);
  const float n = std::floor(x * 1.44269504088896341F + 0.5F);
  const float r = (x - n * 0.693359375F) + n * 2.12194440e-4F;
  float p = 1.9875691500e-4F;
  p = p * r + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  p = p * r * r + r + 1.0F;
  const int32_t bits = (static_cast<int32_t>(n) + 127) << 23;
  float two_n;
  std::memcpy(&two_n, &bits, sizeof two_n);
  return p * two_n;
}

inline float sigmoid(float x) { return 1.0F / (1.0F + fast_exp(std::min(-x, 87.0F))); }

inline float dot(const float* a, const float* b, int64_t n) {
  float sum = 0.0F;
  for (int64_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

inline void add_scaled(float* y, const float* x, float factor, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] += factor * x[i];
}

}  // namespace

void rms_norm(const float* x, const float* w, float eps, int64_t rows, int64_t n, float* y, float* rstd) {
  for (int64_t r = 0; r < rows; ++r) {
    const float* xr = x + r * n;
    float* yr = y + r * n;
    const float scale = 1.0F / std::sqrt(dot(xr, xr, n) / static_cast<float>(n) + eps);
    rstd[r] = scale;
    for (int64_t i = 0; i < n; ++i) yr[i] = xr[i] * scale * w[i];
  }
}

void rms_norm_backward(const float* dy, const float* x, const float* w, const float* rstd, int64_t rows,
                       int64_t n, float* dx, float* dw) {
  for (int64_t r = 0; r < rows; ++r) {
    const float* xr = x + r * n;
    const float* dyr = dy + r * n;
    float* dxr = dx + r * n;
    const float s = rstd[r];
    float along = 0.0F;
    for (int64_t i = 0; i < n; ++i) {
      dw[i] += dyr[i] * xr[i] * s;
      along += dyr[i] * w[i] * xr[i];
    }
    const float back = along * s * s * s / static_cast<float>(n);
    for (int64_t i = 0; i < n; ++i) dxr[i] = dyr[i] * w[i] * s - xr[i] * back;
  }
}

void swiglu(const float* gate, const float* up, int64_t n, float* y) {
  for (int64_t i = 0; i < n; ++i) y[i] = gate[i] * sigmoid(gate[i]) * up[i];
}

void swiglu_backward(const float* dy, const float* gate, const float* up, int64_t n, float* d_gate,
                     float* d_up) {
  for (int64_t i = 0; i < n; ++i) {
    const float s = sigmoid(gate[i]);
    d_up[i] = dy[i] * gate[i] * s;
    d_gate[i] = dy[i] * up[i] * s * (1.0F + gate[i] * (1.0F - s));
  }
}

void quick_gelu(const float* x, int64_t n, float* y) {
  for (int64_t i = 0; i < n; ++i) y[i] = x[i] * sigmoid(1.702F * x[i]);
}

void quick_gelu_backward(const float* dy, const float* x, int64_t n, float* dx) {
  for (int64_t i = 0; i < n; ++i) {
    const float s = sigmoid(1.702F * x[i]);
    dx[i] = dy[i] * s * (1.0F + 1.702F * x[i] * (1.0F - s));
  }
}

void rope(const float* x, const float* cos, const float* sin, const RopeShape& shape, float sign, float* y) {
  const int64_t half = shape.d_head / 2;
  for (int64_t r = 0; r < shape.rows; ++r) {
    const float* c = cos + r * half;
    const float* s = sin + r * half;
    for (int64_t h = 0; h < shape.n_head; ++h) {
      const float* xh = x + (r * shape.n_head + h) * shape.d_head;
      float* yh = y + (r * shape.n_head + h) * shape.d_head;
      for (int64_t i = 0; i < half; ++i) {
        const float a = xh[2 * i];
        const float b = xh[2 * i + 1];
        yh[2 * i] = a * c[i] - sign * b * s[i];
        yh[2 * i + 1] = b * c[i] + sign * a * s[i];
      }
    }
  }
}

void softmax_row(const SoftmaxRow& row, const float* q, const float* own_k, float* scores, float* own) {
  float top = -1e30F;
  for (int64_t j = 0; j < row.limit; ++j) top = std::max(top, scores[j]);
  for (int64_t j = 0; j < row.n_own; ++j) {
    own[j] = dot(q, own_k + j * row.ld, row.d_head);
    top = std::max(top, own[j]);
  }
  float sum = 0.0F;
  for (int64_t j = 0; j < row.limit; ++j) {
    scores[j] = fast_exp((scores[j] - top) * row.scale);
    sum += scores[j];
  }
  for (int64_t j = 0; j < row.n_own; ++j) {
    own[j] = fast_exp((own[j] - top) * row.scale);
    sum += own[j];
  }
  const float inverse = 1.0F / sum;
  for (int64_t j = 0; j < row.limit; ++j) scores[j] *= inverse;
  for (int64_t j = row.limit; j < row.n_prefix; ++j) scores[j] = 0.0F;
  for (int64_t j = 0; j < row.n_own; ++j) own[j] *= inverse;
}

void add_own_values(const SoftmaxRow& row, const float* own, const float* own_v, float* out) {
  for (int64_t j = 0; j < row.n_own; ++j) add_scaled(out, own_v + j * row.ld, own[j], row.d_head);
}

void softmax_row_backward(const SoftmaxRow& row, const float* probabilities, const float* own,
                          const float* d_out, const float* q, const float* own_k, const float* own_v,
                          float* d_scores, const OwnGradients& gradients) {
  float d_own[kMaxOwn];
  float along = dot(probabilities, d_scores, row.limit);
  for (int64_t j = 0; j < row.n_own; ++j) {
    d_own[j] = dot(d_out, own_v + j * row.ld, row.d_head);
    along += own[j] * d_own[j];
    add_scaled(gradients.dv + j * row.ld, d_out, own[j], row.d_head);
  }
  for (int64_t j = 0; j < row.limit; ++j) d_scores[j] = probabilities[j] * (d_scores[j] - along) * row.scale;
  for (int64_t j = row.limit; j < row.n_prefix; ++j) d_scores[j] = 0.0F;
  for (int64_t j = 0; j < row.n_own; ++j) {
    const float d = own[j] * (d_own[j] - along) * row.scale;
    add_scaled(gradients.dq, own_k + j * row.ld, d, row.d_head);
    add_scaled(gradients.dk + j * row.ld, q, d, row.d_head);
  }
}

}  // namespace winnow::train::kernels
