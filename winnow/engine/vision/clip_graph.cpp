#include "winnow/engine/vision/clip_graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace winnow::engine {
namespace {

/// x * sigmoid(1.702 x), written with silu: ggml's own quick GELU goes through an f16 table.
ggml_tensor* quick_gelu(ggml_context* ctx, ggml_tensor* x) {
  constexpr float kSlope = 1.702f;
  return ggml_scale(ctx, ggml_silu(ctx, ggml_scale(ctx, x, kSlope)), 1.0f / kSlope);
}

}  // namespace

ggml_tensor* ClipGraph::embed(const std::vector<float>& patches) {
  ggml_context* ctx = graph.ctx();
  const int64_t n_in = int64_t{3} * config_.patch_size_px * config_.patch_size_px;
  ggml_tensor* input = graph.input(GGML_TYPE_F32, {n_in, config_.n_patch()}, patches.data());
  ggml_tensor* kernel = ggml_reshape_2d(ctx, w_.at("v.patch_embd.weight"), n_in, config_.n_embd);
  ggml_tensor* x = linear(ctx, input, kernel, w_.at("v.patch_embd.bias"));
  if (config_.has_cls) {
    x = ggml_concat(ctx, ggml_reshape_2d(ctx, w_.at("v.class_embd"), config_.n_embd, 1), x, 1);
  }
  x = ggml_add(ctx, x, w_.at("v.position_embd.weight"));
  graph.observe("vis.embed", x, {1, x->ne[1], config_.n_embd});
  x = layer_norm(ctx, x, w_.at("v.pre_ln.weight"), w_.at("v.pre_ln.bias"), config_.eps);
  graph.observe("vis.in", x, {1, x->ne[1], config_.n_embd});
  return x;
}

ggml_tensor* ClipGraph::rows(const std::vector<float>& values) {
  return graph.input(GGML_TYPE_F32, {config_.n_embd, std::ssize(values) / config_.n_embd}, values.data());
}

ggml_tensor* ClipGraph::weight(int32_t il, const char* part) const {
  return w_.at(fmt::format("v.blk.{}.{}", il, part));
}

/// ne {n_embd, n} -> {d_head, n, n_head}
ggml_tensor* ClipGraph::heads(ggml_tensor* x) const {
  ggml_tensor* split =
      ggml_reshape_3d(graph.ctx(), x, config_.n_embd / config_.n_head, config_.n_head, x->ne[1]);
  return ggml_permute(graph.ctx(), split, 0, 2, 1, 3);
}

ClipGraph::QueryKey ClipGraph::query_key(ggml_tensor* h, int32_t il) const {
  return {linear(graph.ctx(), h, weight(il, "attn_q.weight"), weight(il, "attn_q.bias")),
          linear(graph.ctx(), h, weight(il, "attn_k.weight"), weight(il, "attn_k.bias"))};
}

/// log_sizes in every row of queries, ne {n key, n query}.
ggml_tensor* ClipGraph::mask(const std::vector<float>& log_sizes) {
  if (log_sizes.empty()) return nullptr;
  const auto n = static_cast<int64_t>(log_sizes.size());
  ggml_tensor* row = graph.input(GGML_TYPE_F32, {n}, log_sizes.data());
  ggml_tensor* mask = ggml_repeat_4d(graph.ctx(), row, n, n, 1, 1);
  return fused_ ? ggml_cast(graph.ctx(), mask, GGML_TYPE_F16) : mask;
}

/// Keys ne {n_embd, n}; attention ne {n, 1, n_head} or, for its mean over the queries, {1, n, n_head}.
ggml_tensor* ClipGraph::tap(prune::Signal signal, const QueryKey& qk) const {
  ggml_context* ctx = graph.ctx();
  if (signal == prune::Signal::TowerKeys) return qk.k;
  if (signal == prune::Signal::WideClsAttention) {  // one head: the scale follows from its width
    ggml_tensor* cls = ggml_view_3d(ctx, qk.q, config_.n_embd, 1, 1, qk.q->nb[1], qk.q->nb[1], 0);
    return attention_rows(ctx, cls, ggml_reshape_3d(ctx, qk.k, config_.n_embd, qk.k->ne[1], 1), nullptr);
  }
  ggml_tensor* q = heads(qk.q);
  if (signal == prune::Signal::ClsAttention) {
    ggml_tensor* cls = ggml_view_3d(ctx, q, q->ne[0], 1, q->ne[2], q->nb[1], q->nb[2], 0);
    return attention_rows(ctx, cls, heads(qk.k), nullptr);
  }
  ggml_tensor* map = attention_rows(ctx, q, heads(qk.k), nullptr);            // ne {n key, n query, n_head}
  return ggml_mean(ctx, ggml_cont(ctx, ggml_permute(ctx, map, 1, 0, 2, 3)));  // ne {1, n key, n_head}
}

bool ClipGraph::taps_block(int32_t il, const TowerRequest& request) const {
  return std::any_of(request.needs.begin(), request.needs.end(),
                     [&](const prune::Need& need) { return block_of(need, config_) == il; });
}

void ClipGraph::taps(int32_t il, const QueryKey& qk, const TowerRequest& request) {
  for (const prune::Need& need : request.needs) {
    if (block_of(need, config_) != il) continue;
    const int64_t n_token = qk.k->ne[1];
    const int64_t rows = need.signal == prune::Signal::TowerKeys ? n_token - (config_.has_cls ? 1 : 0)
                         : need.signal == prune::Signal::WideClsAttention ? 1
                                                                          : config_.n_head;
    wanted.push_back({{need, rows, {}}, graph.output(tap(need.signal, qk)), n_token});
  }
}

void ClipGraph::taps_alone(ggml_tensor* x, int32_t il, const TowerRequest& request) {
  ggml_tensor* h = layer_norm(graph.ctx(), x, weight(il, "ln1.weight"), weight(il, "ln1.bias"), config_.eps);
  taps(il, query_key(h, il), request);
}

ggml_tensor* ClipGraph::attention_half(ggml_tensor* x, int32_t il, const TowerRequest& request,
                                       const std::vector<float>& log_sizes) {
  ggml_context* ctx = graph.ctx();
  ggml_tensor* h = layer_norm(ctx, x, weight(il, "ln1.weight"), weight(il, "ln1.bias"), config_.eps);
  const QueryKey qk = query_key(h, il);
  keys_ = qk.k;
  taps(il, qk, request);
  ggml_tensor* q = heads(qk.q);
  ggml_tensor* k = heads(qk.k);
  ggml_tensor* v = heads(linear(ctx, h, weight(il, "attn_v.weight"), weight(il, "attn_v.bias")));
  if (fused_) {
    k = ggml_cast(ctx, k, GGML_TYPE_F16);
    v = ggml_cast(ctx, v, GGML_TYPE_F16);
  }
  ggml_tensor* mixed = attention(ctx, q, k, v, mask(log_sizes), fused_);
  return ggml_add(ctx, x, linear(ctx, mixed, weight(il, "attn_out.weight"), weight(il, "attn_out.bias")));
}

ggml_tensor* ClipGraph::mlp_half(ggml_tensor* x, int32_t il) {
  ggml_context* ctx = graph.ctx();
  const bool swapped = config_.ffn_swapped;
  ggml_tensor* h = layer_norm(ctx, x, weight(il, "ln2.weight"), weight(il, "ln2.bias"), config_.eps);
  h = linear(ctx, h, weight(il, swapped ? "ffn_down.weight" : "ffn_up.weight"),
             weight(il, swapped ? "ffn_down.bias" : "ffn_up.bias"));
  h = config_.use_gelu ? ggml_gelu_erf(ctx, h) : quick_gelu(ctx, h);
  h = linear(ctx, h, weight(il, swapped ? "ffn_up.weight" : "ffn_down.weight"),
             weight(il, swapped ? "ffn_up.bias" : "ffn_down.bias"));
  x = ggml_add(ctx, x, h);
  graph.observe(fmt::format("vis.{}.out", il), x, {1, x->ne[1], config_.n_embd});
  return x;
}

}  // namespace winnow::engine
