#include "winnow/engine/vision/clip_block.h"

#include <fmt/format.h>

#include <cmath>
#include <numbers>

namespace winnow::engine {
namespace {

/// x * sigmoid(1.702 x), written with silu: ggml's own quick GELU goes through an f16 table.
ggml_tensor* quick_gelu(ggml_context* ctx, ggml_tensor* x) {
  constexpr float kSlope = 1.702f;
  return ggml_scale(ctx, ggml_silu(ctx, ggml_scale(ctx, x, kSlope)), 1.0f / kSlope);
}

/// 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) (Hendrycks & Gimpel 2016, arXiv 1606.08415), which is x
/// times a sigmoid of twice the argument: ggml's own goes through an f16 table.
ggml_tensor* tanh_gelu(ggml_context* ctx, ggml_tensor* x) {
  const float slope = 2.0f * std::sqrt(2.0f / std::numbers::pi_v<float>);
  ggml_tensor* cubes = ggml_scale(ctx, ggml_mul(ctx, ggml_sqr(ctx, x), x), 0.044715f);
  return ggml_mul(ctx, x, ggml_sigmoid(ctx, ggml_scale(ctx, ggml_add(ctx, x, cubes), slope)));
}

const char* up(const ClipBlockShape& shape) { return shape.ffn_swapped ? "ffn_down" : "ffn_up"; }
const char* down(const ClipBlockShape& shape) { return shape.ffn_swapped ? "ffn_up" : "ffn_down"; }

}  // namespace

std::string block_tensor_name(const ClipBlockShape& shape, int32_t il, std::string_view part) {
  return fmt::format("{}.blk.{}.{}", shape.tower, il, part);
}

void add_block_tensors(std::vector<TensorSpec>& table, const ClipBlockShape& shape, int32_t il) {
  const auto add = [&](std::string_view part, std::vector<int64_t> weight) {
    const std::string name = block_tensor_name(shape, il, part);
    const int64_t n_out = weight[0];
    const WeightUse use = weight.size() == 2 ? WeightUse::Matrix : WeightUse::Small;
    table.push_back({name + ".weight", std::move(weight), use});
    if (!shape.rms_norm || use == WeightUse::Matrix) table.push_back({name + ".bias", {n_out}});
  };
  const int64_t d = shape.n_embd;
  const int64_t ff = shape.n_ff;
  for (const char* part : {"attn_q", "attn_k", "attn_v", "attn_out"}) add(part, {d, d});
  for (const char* part : {"ln1", "ln2"}) add(part, {d});
  if (shape.gated) add("ffn_gate", {ff, d});
  add(up(shape), {ff, d});
  add(down(shape), {d, ff});
}

bool stores_ffn_swapped(const GgufFile& file, const ClipBlockShape& shape) {
  const GgufTensor* tensor = file.find(block_tensor_name(shape, 0, "ffn_up.weight"));
  return tensor != nullptr && shape.n_ff != shape.n_embd && tensor->ne[0] == shape.n_ff;
}

ggml_tensor* ClipBlocks::weight(int32_t il, std::string_view part) const {
  return w_.at(block_tensor_name(shape_, il, part));
}

/// The linear layer of that name.
ggml_tensor* ClipBlocks::apply(ggml_context* ctx, ggml_tensor* x, int32_t il, std::string_view part) const {
  return linear(ctx, x, weight(il, fmt::format("{}.weight", part)), weight(il, fmt::format("{}.bias", part)));
}

ggml_tensor* ClipBlocks::norm(ggml_context* ctx, ggml_tensor* x, int32_t il, std::string_view part) const {
  ggml_tensor* scale = weight(il, fmt::format("{}.weight", part));
  if (shape_.rms_norm) return rms_norm(ctx, x, scale, shape_.eps);
  return layer_norm(ctx, x, scale, weight(il, fmt::format("{}.bias", part)), shape_.eps);
}

ggml_tensor* ClipBlocks::norm1(ggml_context* ctx, ggml_tensor* x, int32_t il) const {
  return norm(ctx, x, il, "ln1");
}

ClipQueryKey ClipBlocks::query_key(ggml_context* ctx, ggml_tensor* h, int32_t il) const {
  return {apply(ctx, h, il, "attn_q"), apply(ctx, h, il, "attn_k")};
}

ggml_tensor* ClipBlocks::heads(ggml_context* ctx, ggml_tensor* x, const WindowRows* windows) const {
  if (windows != nullptr && windows->rows != nullptr) x = ggml_get_rows(ctx, x, windows->rows);
  const int64_t n_row = windows != nullptr ? windows->n_row : x->ne[1];
  ggml_tensor* split =
      ggml_reshape_4d(ctx, x, shape_.n_embd / shape_.n_head, shape_.n_head, n_row, x->ne[1] / n_row);
  return ggml_permute(ctx, split, 0, 2, 1, 3);
}

ggml_tensor* ClipBlocks::attend(ggml_context* ctx, ggml_tensor* h, const ClipQueryKey& qk, ggml_tensor* mask,
                                int32_t il, const WindowRows* windows) const {
  ggml_tensor* q = heads(ctx, qk.q, windows);
  ggml_tensor* k = heads(ctx, qk.k, windows);
  ggml_tensor* v = heads(ctx, apply(ctx, h, il, "attn_v"), windows);
  if (windows != nullptr) mask = windows->mask;
  if (fused_) {
    k = ggml_cast(ctx, k, GGML_TYPE_F16);
    v = ggml_cast(ctx, v, GGML_TYPE_F16);
  }
  ggml_tensor* out = attention(ctx, q, k, v, mask, fused_);
  if (windows != nullptr && windows->places != nullptr) out = ggml_get_rows(ctx, out, windows->places);
  return apply(ctx, out, il, "attn_out");
}

ggml_tensor* ClipBlocks::mlp(ggml_context* ctx, ggml_tensor* x, int32_t il) const {
  ggml_tensor* h = norm(ctx, x, il, "ln2");
  if (shape_.gated) {
    ggml_tensor* gate = ggml_silu(ctx, apply(ctx, h, il, "ffn_gate"));
    return apply(ctx, ggml_mul(ctx, gate, apply(ctx, h, il, up(shape_))), il, down(shape_));
  }
  h = apply(ctx, h, il, up(shape_));
  if (shape_.tanh_gelu) {
    h = tanh_gelu(ctx, h);
  } else {
    h = shape_.use_gelu ? ggml_gelu_erf(ctx, h) : quick_gelu(ctx, h);
  }
  return apply(ctx, h, il, down(shape_));
}

}  // namespace winnow::engine
