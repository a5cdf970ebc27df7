#include "tests/support/reference_qwen2_vl.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <map>
#include <numbers>

#include "winnow/engine/gguf.h"

namespace winnow::testing {
namespace {

constexpr double kEps = 1e-6;  // of every norm in transformers' tower

/// The file's tensors, [ne1 * ne2 * ne3, ne0].
class Tensors {
 public:
  explicit Tensors(const std::string& path) : file_(path) {}
  const RefMatrix& at(const std::string& name) {
    RefMatrix& matrix = loaded_[name];
    if (!matrix.values.empty()) return matrix;
    const engine::GgufTensor& tensor = *file_.find(name);
    const auto bytes = file_.bytes(tensor);
    std::vector<float> values(bytes.size() / sizeof(float));
    std::memcpy(values.data(), bytes.data(), bytes.size());
    matrix = RefMatrix(static_cast<int64_t>(values.size()) / tensor.ne[0], tensor.ne[0]);
    std::ranges::copy(values, matrix.values.begin());
    return matrix;
  }
  int64_t integer(const std::string& key) const { return file_.integer_or(key, 1, 1 << 20, 0); }

 private:
  engine::GgufFile file_;
  std::map<std::string, RefMatrix> loaded_;
};

RefMatrix linear(const RefMatrix& x, const RefMatrix& weight, const RefMatrix& bias) {
  RefMatrix y(x.rows, weight.rows);
  for (int64_t r = 0; r < x.rows; ++r) {
    for (int64_t c = 0; c < weight.rows; ++c) {
      double sum = bias.at(0, c);
      for (int64_t k = 0; k < x.cols; ++k) sum += x.at(r, k) * weight.at(c, k);
      y.at(r, c) = sum;
    }
  }
  return y;
}

RefMatrix layer_norm(RefMatrix x, const RefMatrix& weight, const RefMatrix& bias) {
  for (int64_t r = 0; r < x.rows; ++r) {
    double mean = 0.0, square = 0.0;
    for (const double v : x.row(r)) mean += v / static_cast<double>(x.cols);
    for (const double v : x.row(r)) square += (v - mean) * (v - mean) / static_cast<double>(x.cols);
    for (int64_t c = 0; c < x.cols; ++c) {
      x.at(r, c) = (x.at(r, c) - mean) / std::sqrt(square + kEps) * weight.at(0, c) + bias.at(0, c);
    }
  }
  return x;
}

/// Conv3d with a kernel for each of two frames, whose stride is its size: a product with every pixel.
RefMatrix embed(Tensors& tensors, std::span<const float> pixels, int64_t n) {
  const std::array kernels = {&tensors.at("v.patch_embd.weight"), &tensors.at("v.patch_embd.weight.1")};
  const int64_t per_row = std::ssize(pixels) / n, plane = per_row / 6;
  const int64_t d = std::ssize(kernels[0]->values) / (3 * plane);
  RefMatrix out(n, d);
  for (int64_t r = 0; r < n; ++r) {
    for (int64_t c = 0; c < d; ++c) {
      for (int64_t i = 0; i < per_row; ++i) {
        const int64_t channel = i / plane / 2, frame = i / plane % 2;
        const auto at = static_cast<std::size_t>((c * 3 + channel) * plane + i % plane);
        const double pixel = pixels[static_cast<std::size_t>(r * per_row + i)];
        out.at(r, c) += pixel * kernels[static_cast<std::size_t>(frame)]->values[at];
      }
    }
  }
  return out;
}

/// Row and column of row r of the tower.
std::array<int64_t, 2> place(int64_t r, int64_t h, int64_t w) {
  const int64_t in_step = r % (h * w), group = in_step / 4, corner = in_step % 4;
  return {group / (w / 2) * 2 + corner / 2, group % (w / 2) * 2 + corner % 2};
}

/// Of each head the pairs (i, i + d / 2): the first half of the pairs by the row, the second by the column.
void rotate(RefMatrix& x, int64_t n_head, int64_t h, int64_t w) {
  const int64_t d = x.cols / n_head;
  for (int64_t r = 0; r < x.rows; ++r) {
    const auto at = place(r, h, w);
    for (int64_t head = 0; head < n_head; ++head) {
      for (int64_t i = 0; i < d / 2; ++i) {
        const auto axis = static_cast<std::size_t>(i / (d / 4));
        const double angle =
            static_cast<double>(at[axis]) *
            std::pow(10000.0, -4.0 * static_cast<double>(i % (d / 4)) / static_cast<double>(d));
        double& a = x.at(r, head * d + i);
        double& b = x.at(r, head * d + i + d / 2);
        const double turned = a * std::cos(angle) - b * std::sin(angle);
        b = b * std::cos(angle) + a * std::sin(angle);
        a = turned;
      }
    }
  }
}

/// Rows see the n_step rows of their own step.
RefMatrix attend(const RefMatrix& q, const RefMatrix& k, const RefMatrix& v, int64_t n_head, int64_t n_step) {
  const int64_t d = q.cols / n_head;
  RefMatrix out(q.rows, q.cols);
  for (int64_t r = 0; r < q.rows; ++r) {
    const int64_t first = r / n_step * n_step;
    for (int64_t at = 0; at < q.cols; at += d) {
      std::vector<double> weights;
      double sum = 0.0;
      for (int64_t j = first; j < first + n_step; ++j) {
        double logit = 0.0;
        for (int64_t c = at; c < at + d; ++c) logit += q.at(r, c) * k.at(j, c);
        weights.push_back(std::exp(logit / std::sqrt(static_cast<double>(d))));
        sum += weights.back();
      }
      for (int64_t j = 0; j < n_step; ++j) {
        const double weight = weights[static_cast<std::size_t>(j)] / sum;
        for (int64_t c = at; c < at + d; ++c) out.at(r, c) += weight * v.at(first + j, c);
      }
    }
  }
  return out;
}

void add(RefMatrix& x, const RefMatrix& y) {
  for (std::size_t i = 0; i < x.values.size(); ++i) x.values[i] += y.values[i];
}

}  // namespace

RefVideo ref_qwen2_vl(const std::string& mmproj_path, std::span<const float> pixels, int64_t t, int64_t h,
                      int64_t w) {
  Tensors tensors(mmproj_path);
  const int64_t n_head = tensors.integer("clip.vision.attention.head_count");
  RefVideo out;
  RefMatrix x = out.input = embed(tensors, pixels, t * h * w);
  for (int64_t block = 0; block < tensors.integer("clip.vision.block_count"); ++block) {
    const std::string prefix = "v.blk." + std::to_string(block) + ".";
    const auto weight = [&](const char* part) -> const RefMatrix& {
      return tensors.at(prefix + part + ".weight");
    };
    const auto bias = [&](const char* part) -> const RefMatrix& {
      return tensors.at(prefix + part + ".bias");
    };
    const auto through = [&](const RefMatrix& in, const char* part) {
      return linear(in, weight(part), bias(part));
    };
    const RefMatrix normed = layer_norm(x, weight("ln1"), bias("ln1"));
    RefMatrix q = through(normed, "attn_q"), k = through(normed, "attn_k");
    rotate(q, n_head, h, w);
    rotate(k, n_head, h, w);
    add(x, through(attend(q, k, through(normed, "attn_v"), n_head, h * w), "attn_out"));
    RefMatrix hidden = through(layer_norm(x, weight("ln2"), bias("ln2")), "ffn_up");
    for (double& value : hidden.values) value /= 1.0 + std::exp(-1.702 * value);  // quick GELU
    add(x, through(hidden, "ffn_down"));
    out.blocks.push_back(x);
  }
  x = layer_norm(x, tensors.at("v.post_ln.weight"), tensors.at("v.post_ln.bias"));
  RefMatrix merged(x.rows / 4, 4 * x.cols);
  merged.values = x.values;  // the four rows of a square follow each other
  RefMatrix hidden = linear(merged, tensors.at("mm.0.weight"), tensors.at("mm.0.bias"));
  for (double& value : hidden.values) value *= 0.5 * (1.0 + std::erf(value / std::numbers::sqrt2));
  out.projected = linear(hidden, tensors.at("mm.2.weight"), tensors.at("mm.2.bias"));
  return out;
}

}  // namespace winnow::testing
