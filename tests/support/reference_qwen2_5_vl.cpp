#include "tests/support/reference_qwen2_5_vl.h"

#include <ggml.h>
#include <gguf.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <numbers>
#include <stdexcept>

namespace winnow::testing {
namespace {

/// The tensors of a file of float32 alone, [ne1 * ne2 * ne3, ne0], and three of its keys.
struct Stored {
  explicit Stored(const std::string& path);
  const RefMatrix& at(const std::string& name) const {
    const auto it = tensors.find(name);
    if (it == tensors.end()) throw std::runtime_error("reference: no " + name);
    return it->second;
  }

  std::map<std::string, RefMatrix> tensors;
  int64_t n_head = 0, n_block = 0, full_every = 0;
  double eps = 0.0;
};

Stored::Stored(const std::string& path) {
  ggml_context* data = nullptr;
  const std::unique_ptr<gguf_context, void (*)(gguf_context*)> file(
      gguf_init_from_file(path.c_str(), {false, &data}), gguf_free);
  if (file == nullptr) throw std::runtime_error("reference: no model in " + path);
  const std::unique_ptr<ggml_context, void (*)(ggml_context*)> owner(data, ggml_free);
  const auto key = [&](const char* name) {
    const int64_t id = gguf_find_key(file.get(), name);
    if (id < 0) throw std::runtime_error(std::string("reference: no ") + name);
    return id;
  };
  n_head = gguf_get_val_u32(file.get(), key("clip.vision.attention.head_count"));
  n_block = gguf_get_val_u32(file.get(), key("clip.vision.block_count"));
  full_every = gguf_get_val_u32(file.get(), key("clip.vision.n_wa_pattern"));
  eps = gguf_get_val_f32(file.get(), key("clip.vision.attention.layer_norm_epsilon"));
  for (int64_t i = 0; i < gguf_get_n_tensors(file.get()); ++i) {
    const ggml_tensor* t = ggml_get_tensor(data, gguf_get_tensor_name(file.get(), i));
    if (t->type != GGML_TYPE_F32) throw std::runtime_error("reference: not float32");
    RefMatrix m(ggml_nelements(t) / t->ne[0], t->ne[0]);
    std::copy_n(static_cast<const float*>(t->data), m.values.size(), m.values.begin());
    tensors[t->name] = std::move(m);
  }
}

RefMatrix linear(const Stored& file, const RefMatrix& x, const std::string& name) {
  const RefMatrix& weight = file.at(name + ".weight");
  const RefMatrix& bias = file.at(name + ".bias");
  RefMatrix y(x.rows, weight.rows);
  for (int64_t r = 0; r < x.rows; ++r) {
    for (int64_t o = 0; o < weight.rows; ++o) {
      double sum = bias.values[static_cast<std::size_t>(o)];
      for (int64_t i = 0; i < x.cols; ++i) sum += weight.at(o, i) * x.at(r, i);
      y.at(r, o) = sum;
    }
  }
  return y;
}

/// x / sqrt(mean(x^2) + eps) * weight
RefMatrix rms_norm(const Stored& file, RefMatrix x, const std::string& name) {
  const RefMatrix& weight = file.at(name + ".weight");
  for (int64_t r = 0; r < x.rows; ++r) {
    double square = 0.0;
    for (const double v : x.row(r)) square += v * v;
    const double scale = 1.0 / std::sqrt(square / static_cast<double>(x.cols) + file.eps);
    for (int64_t c = 0; c < x.cols; ++c) x.at(r, c) *= scale * weight.at(0, c);
  }
  return x;
}

struct Place {
  int32_t row, col;
};

/// Of patch i, squares of 2 x 2 one after the other.
Place place_of(int64_t i, int32_t cols) {
  const auto group = static_cast<int32_t>(i / 4), inside = static_cast<int32_t>(i % 4);
  return {group / (cols / 2) * 2 + inside / 2, group % (cols / 2) * 2 + inside % 2};
}

/// Dimension i of a head turns with i + d/2: the first d/4 pairs by the row, the rest by the column.
void rotate(RefMatrix& x, int64_t n_head, int32_t cols) {
  const int64_t d = x.cols / n_head;
  for (int64_t r = 0; r < x.rows; ++r) {
    const Place place = place_of(r, cols);
    for (int64_t head = 0; head < n_head; ++head) {
      for (int64_t i = 0; i < d / 2; ++i) {
        const bool by_row = i < d / 4;
        const double step =
            std::pow(10000.0, -4.0 * static_cast<double>(i % (d / 4)) / static_cast<double>(d));
        const double angle = (by_row ? place.row : place.col) * step;
        double& a = x.at(r, head * d + i);
        double& b = x.at(r, head * d + i + d / 2);
        const double turned = a * std::cos(angle) - b * std::sin(angle);
        b = b * std::cos(angle) + a * std::sin(angle);
        a = turned;
      }
    }
  }
}

/// softmax over the keys that a query sees. [n, n]
template <class Sees>
RefMatrix softmax(const RefMatrix& q, const RefMatrix& k, int64_t head, int64_t d, const Sees& sees) {
  RefMatrix map(q.rows, q.rows);
  for (int64_t r = 0; r < q.rows; ++r) {
    double sum = 0.0;
    for (int64_t c = 0; c < q.rows; ++c) {
      if (!sees(r, c)) continue;
      double dot = 0.0;
      for (int64_t i = head * d; i < (head + 1) * d; ++i) dot += q.at(r, i) * k.at(c, i);
      sum += map.at(r, c) = std::exp(dot / std::sqrt(static_cast<double>(d)));
    }
    for (double& p : map.row(r)) p /= sum;
  }
  return map;
}

RefMatrix attend(const Stored& file, const RefMatrix& x, int32_t il, int32_t cols, int32_t window,
                 RefQwenTower& out) {
  const std::string blk = "v.blk." + std::to_string(il) + ".";
  RefMatrix q = linear(file, x, blk + "attn_q"), k = linear(file, x, blk + "attn_k");
  const RefMatrix v = linear(file, x, blk + "attn_v");
  rotate(q, file.n_head, cols);
  rotate(k, file.n_head, cols);
  const bool full = (il + 1) % file.full_every == 0;
  const auto sees = [&](int64_t r, int64_t c) {
    const Place a = place_of(r, cols), b = place_of(c, cols);
    return full || (a.row / window == b.row / window && a.col / window == b.col / window);
  };
  const int64_t d = x.cols / file.n_head;
  RefMatrix mixed(x.rows, x.cols);
  out.attention.emplace_back();
  for (int64_t head = 0; head < file.n_head; ++head) {
    const RefMatrix map = softmax(q, k, head, d, sees);
    for (int64_t r = 0; r < x.rows; ++r) {
      for (int64_t i = head * d; i < (head + 1) * d; ++i) {
        for (int64_t c = 0; c < x.rows; ++c) mixed.at(r, i) += map.at(r, c) * v.at(c, i);
      }
    }
    out.attention.back().push_back(map);
  }
  out.keys.push_back(k);
  return linear(file, mixed, blk + "attn_out");
}

/// down(silu(gate(x)) * up(x))
RefMatrix mlp(const Stored& file, const RefMatrix& x, int32_t il) {
  const std::string blk = "v.blk." + std::to_string(il) + ".";
  RefMatrix gate = linear(file, x, blk + "ffn_gate");
  const RefMatrix up = linear(file, x, blk + "ffn_up");
  for (std::size_t i = 0; i < gate.values.size(); ++i) {
    const double g = gate.values[i];
    gate.values[i] = g / (1.0 + std::exp(-g)) * up.values[i];
  }
  return linear(file, gate, blk + "ffn_down");
}

void add(RefMatrix& x, const RefMatrix& y) {
  for (std::size_t i = 0; i < x.values.size(); ++i) x.values[i] += y.values[i];
}

/// As f16 stores it.
double rounded(double value) { return ggml_fp16_to_fp32(ggml_fp32_to_fp16(static_cast<float>(value))); }

/// A convolution over 3 channels, two frames, patch x patch, whose kernels are stored frame by frame.
RefMatrix embed(const Stored& file, std::span<const float> pixel_values, int64_t n, RefRounding rounding) {
  const bool round = rounding == RefRounding::Libmtmd;
  const RefMatrix* kernels[] = {&file.at("v.patch_embd.weight"), &file.at("v.patch_embd.weight.1")};
  const auto n_value = static_cast<int64_t>(pixel_values.size()) / n;  // 3 channels x 2 frames x plane
  const int64_t plane = n_value / 6;
  const auto d = static_cast<int64_t>(kernels[0]->values.size()) / (3 * plane);
  RefMatrix out(n, d);
  for (int64_t p = 0; p < n; ++p) {
    for (int64_t o = 0; o < d; ++o) {
      for (int64_t i = 0; i < n_value; ++i) {
        const int64_t channel = i / (2 * plane), frame = i / plane % 2;
        const int64_t at = (o * 3 + channel) * plane + i % plane;
        const double weight = kernels[frame]->values[static_cast<std::size_t>(at)];
        const double pixel = pixel_values[static_cast<std::size_t>(p * n_value + i)];
        out.at(p, o) += round ? rounded(weight) * rounded(pixel) : weight * pixel;
      }
    }
  }
  return out;
}

double gelu(double v, RefRounding rounding) {
  if (rounding == RefRounding::None) return 0.5 * v * (1.0 + std::erf(v / std::numbers::sqrt2));
  const double x = rounded(v);
  const double inner = std::sqrt(2.0 / std::numbers::pi) * (x + 0.044715 * x * x * x);
  return rounded(0.5 * x * (1.0 + std::tanh(inner)));
}

/// The four patches of a group side by side, behind the norm of each.
RefMatrix merge(const Stored& file, const RefMatrix& x, RefRounding rounding) {
  RefMatrix wide = rms_norm(file, x, "v.post_ln");
  wide.rows /= 4;
  wide.cols *= 4;
  RefMatrix hidden = linear(file, wide, "mm.0");
  for (double& v : hidden.values) v = gelu(v, rounding);
  return linear(file, hidden, "mm.2");
}

}  // namespace

RefQwenTower reference_qwen2_5_vl(const std::string& mmproj_path, std::span<const float> pixel_values,
                                  int32_t rows, int32_t cols, int32_t window, RefRounding rounding) {
  const Stored file(mmproj_path);
  RefQwenTower out;
  out.input = embed(file, pixel_values, int64_t{rows} * cols, rounding);
  RefMatrix x = out.input;
  for (int32_t il = 0; il < file.n_block; ++il) {
    const std::string blk = "v.blk." + std::to_string(il) + ".";
    add(x, attend(file, rms_norm(file, x, blk + "ln1"), il, cols, window, out));
    add(x, mlp(file, rms_norm(file, x, blk + "ln2"), il));
    out.blocks.push_back(x);
  }
  out.projected = merge(file, x, rounding);
  return out;
}

}  // namespace winnow::testing
