#include "winnow/train/model.h"

#include <fmt/format.h>

#include <cmath>

#include "winnow/base/error.h"

namespace winnow::train {

using torch::Tensor;

namespace {

/// Every token of a picture sees all of them, [CLS] included.
LayoutPtr full_attention(int64_t n_pictures, int64_t n_tokens) {
  auto layout = std::make_shared<AttentionLayout>();
  for (int64_t i = 0; i < n_pictures; ++i)
    layout->groups.push_back({i * n_tokens, n_tokens, i * n_tokens, n_tokens, n_tokens});
  const auto rows = static_cast<std::size_t>(n_pictures * n_tokens);
  layout->limit.assign(rows, static_cast<int32_t>(n_tokens));
  layout->own_start.assign(rows, 0);
  layout->n_own.assign(rows, 0);
  return layout;
}

}  // namespace

Tensor Model::at(const std::string& name) const {
  const auto found = p_.find(name);
  WINNOW_ASSERT(found != p_.end());
  return found->second;
}

Tensor Model::biased(const Tensor& x, const std::string& name) const {
  return linear(x, at(name + ".weight"), at(name + ".bias"), bf16_);
}

Tensor Model::product(const Tensor& x, const std::string& name) const {
  return linear(x, at(name + ".weight"), Tensor(), bf16_);
}

Tensor Model::layer_norm(const Tensor& x, const std::string& name) const {
  return torch::layer_norm(x, {x.size(-1)}, at(name + ".weight"), at(name + ".bias"), shape_.tower_eps);
}

Tensor Model::tower_block(const Tensor& x, int32_t il, const LayoutPtr& layout) const {
  const std::string blk = fmt::format("v.blk.{}.", il);
  const Tensor h = layer_norm(x, blk + "ln1");
  const Tensor mixed = packed_attention(biased(h, blk + "attn_q"), biased(h, blk + "attn_k"),
                                        biased(h, blk + "attn_v"), layout, shape_.tower_head);
  const Tensor y = x + biased(mixed, blk + "attn_out");
  return y + biased(quick_gelu(biased(layer_norm(y, blk + "ln2"), blk + "ffn_up")), blk + "ffn_down");
}

/// x enters block il. Softmaxed over all tokens, [CLS]'s own column left out; not differentiated, because
/// selections are not.
Tensor Model::cls_attention(const Tensor& x, int32_t il, int64_t n_pictures) const {
  const torch::NoGradGuard no_grad;
  const std::string blk = fmt::format("v.blk.{}.", il);
  const int64_t n = shape_.n_patch() + 1, heads = shape_.tower_head, d_head = shape_.tower_embd / heads;
  const Tensor h = layer_norm(x, blk + "ln1").view({n_pictures, n, shape_.tower_embd});
  const Tensor q = biased(h.select(1, 0), blk + "attn_q").view({n_pictures, heads, 1, d_head});
  const Tensor k = biased(h, blk + "attn_k").view({n_pictures, n, heads, d_head}).permute({0, 2, 3, 1});
  const Tensor scores = torch::matmul(q, k).squeeze(2) / std::sqrt(static_cast<double>(d_head));
  return torch::softmax(scores, -1).slice(2, 1).contiguous();
}

Model::TowerOut Model::tower(const Tensor& patches, int64_t n_pictures, TowerExtra extra) const {
  const int64_t n = shape_.n_patch(), d = shape_.tower_embd;
  Tensor x = product(patches, "v.patch_embd").view({n_pictures, n, d});
  const Tensor cls = at("v.class_embd").view({1, 1, d}).expand({n_pictures, 1, d});
  x = torch::cat({cls, x}, 1) + at("v.position_embd.weight");
  x = layer_norm(x.reshape({n_pictures * (n + 1), d}), "v.pre_ln");
  const LayoutPtr layout = full_attention(n_pictures, n + 1);
  const int32_t feature_block = shape_.tower_layers - 2;
  TowerOut out;
  for (int32_t il = 0; il <= feature_block; ++il) {
    if (il == feature_block && extra == TowerExtra::ClsAttention)
      out.cls_attention = cls_attention(x, il, n_pictures);
    x = tower_block(x, il, layout);
  }
  out.features = x.view({n_pictures, n + 1, d}).slice(1, 1).reshape({n_pictures * n, d});
  if (extra == TowerExtra::Cls) {
    x = tower_block(x, shape_.tower_layers - 1, layout);
    out.cls = layer_norm(x.view({n_pictures, n + 1, d}).select(1, 0), "v.post_ln");
  }
  return out;
}

Tensor Model::project(const Tensor& features, int64_t n_pictures) const {
  Tensor x = features;
  const int64_t k = shape_.group(), side = shape_.side(), d = shape_.tower_embd;
  if (k > 1) {
    // [picture, row, row in group, column, column in group, d] -> groups with their patches in raster order
    x = x.view({n_pictures, side / k, k, side / k, k, d}).permute({0, 1, 3, 2, 4, 5});
    x = shape_.merge > 1 ? x.reshape({-1, k * k * d}) : x.reshape({-1, k * k, d}).mean(1);
  }
  return biased(torch::gelu(biased(x, "mm.0")), "mm.2");
}

Tensor Model::embed(const Tensor& ids) const { return torch::embedding(at("token_embd.weight"), ids); }

Tensor Model::decode(const DecoderInput& input) const {
  Tensor x = input.x;
  for (int32_t il = 0; il < shape_.n_layer; ++il) {
    const std::string blk = fmt::format("blk.{}.", il);
    const bool last = il + 1 == shape_.n_layer;
    const Tensor h = rms_norm(x, at(blk + "attn_norm.weight"), shape_.rms_eps);
    const Tensor k = rope(product(h, blk + "attn_k"), input.cos, input.sin, shape_.n_head);
    const Tensor v = product(h, blk + "attn_v");
    // Behind the last layer's keys and values only the wanted rows are read.
    const Tensor query_rows = last ? h.index_select(0, input.wanted) : h;
    const Tensor cos = last ? input.cos.index_select(0, input.wanted) : input.cos;
    const Tensor sin = last ? input.sin.index_select(0, input.wanted) : input.sin;
    if (last) x = x.index_select(0, input.wanted);
    const Tensor q = rope(product(query_rows, blk + "attn_q"), cos, sin, shape_.n_head);
    const Tensor mixed = packed_attention(q, k, v, last ? input.wanted_layout : input.layout, shape_.n_head);
    x = x + product(mixed, blk + "attn_output");
    const Tensor f = rms_norm(x, at(blk + "ffn_norm.weight"), shape_.rms_eps);
    x = x + product(swiglu(product(f, blk + "ffn_gate"), product(f, blk + "ffn_up")), blk + "ffn_down");
  }
  return product(rms_norm(x, at("output_norm.weight"), shape_.rms_eps), "output");
}

std::pair<Tensor, Tensor> rope_table(const ModelShape& shape, const Tensor& positions) {
  const int64_t half = shape.d_head() / 2;
  const Tensor frequency = torch::pow(static_cast<double>(shape.rope_base),
                                      -torch::arange(half, torch::kDouble) / static_cast<double>(half));
  const Tensor angle = positions.to(torch::kDouble).unsqueeze(1) * frequency.unsqueeze(0);
  return {torch::cos(angle).to(torch::kFloat).contiguous(), torch::sin(angle).to(torch::kFloat).contiguous()};
}

}  // namespace winnow::train
