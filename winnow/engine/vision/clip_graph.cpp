#include "winnow/engine/vision/clip_graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "winnow/engine/vision/position_grid.h"
#include "winnow/engine/vision/qwen2_vl.h"

namespace winnow::engine {

/// Position embeddings of the tower's grid, ne {n_embd, n_token}: the stored ones if that is their grid.
ggml_tensor* ClipGraph::positions() {
  ggml_tensor* stored = w_.at("v.position_embd.weight");
  if (stored->ne[1] == config_.n_token()) return stored;
  const int32_t n_cls = config_.has_cls ? 1 : 0;
  const auto side = static_cast<int32_t>(std::lround(std::sqrt(static_cast<double>(stored->ne[1] - n_cls))));
  std::vector<float> table(static_cast<std::size_t>(ggml_nelements(stored)));
  ggml_backend_tensor_get(stored, table.data(), 0, ggml_nbytes(stored));
  positions_ = resize_positions(table, n_cls, {side, side}, config_.grid());
  return graph.input(GGML_TYPE_F32, {config_.n_embd, config_.n_token()}, positions_.data());
}

/// Without [CLS] and positions. Each frame has its own kernel; the last frame is repeated.
ggml_tensor* ClipGraph::patch_embedding(std::span<const std::vector<float>> frames) {
  ggml_context* ctx = graph.ctx();
  const int64_t n_in = int64_t{3} * config_.patch_size_px * config_.patch_size_px;
  const auto patches_of = [&](std::size_t frame) {
    return graph.input(GGML_TYPE_F32, {n_in, config_.n_patch()}, frames[frame].data());
  };
  ggml_tensor* input = patches_of(0);
  ggml_tensor* kernel = ggml_reshape_2d(ctx, w_.at("v.patch_embd.weight"), n_in, config_.n_embd);
  ggml_tensor* x = linear(ctx, input, kernel, w_.at("v.patch_embd.bias"));
  for (int32_t frame = 1; frame < config_.n_frame; ++frame) {
    if (static_cast<std::size_t>(frame) < frames.size()) input = patches_of(static_cast<std::size_t>(frame));
    kernel = ggml_reshape_2d(ctx, w_.at(fmt::format("v.patch_embd.weight.{}", frame)), n_in, config_.n_embd);
    x = ggml_add(ctx, x, linear(ctx, input, kernel, nullptr));
  }
  return x;
}

ggml_tensor* ClipGraph::embed(std::span<const std::vector<float>> frames) {
  ggml_context* ctx = graph.ctx();
  ggml_tensor* x = patch_embedding(frames);
  if (config_.has_cls) {
    x = ggml_concat(ctx, ggml_reshape_2d(ctx, w_.at("v.class_embd"), config_.n_embd, 1), x, 1);
  }
  if (!config_.rotary) {
    x = ggml_add(ctx, x, positions());
    graph.observe("vis.embed", x, config_.shape(x->ne[1]));
  }
  if (!config_.rotary && !config_.siglip) {
    x = layer_norm(ctx, x, w_.at("v.pre_ln.weight"), w_.at("v.pre_ln.bias"), config_.eps);
  }
  graph.observe("vis.in", x, config_.shape(x->ne[1]));
  return x;
}

ggml_tensor* ClipGraph::rows(const std::vector<float>& values) {
  return graph.input(GGML_TYPE_F32, {config_.n_embd, std::ssize(values) / config_.n_embd}, values.data());
}

/// log_sizes in every row of queries, ne {n key, n query}.
ggml_tensor* ClipGraph::mask(const std::vector<float>& log_sizes) {
  if (log_sizes.empty()) return nullptr;
  const auto n = static_cast<int64_t>(log_sizes.size());
  ggml_tensor* row = graph.input(GGML_TYPE_F32, {n}, log_sizes.data());
  return key_mask(row, n);
}

/// A row for the keys, ne {n_key, 1, 1, n_window}, for each of n_query queries.
ggml_tensor* ClipGraph::key_mask(ggml_tensor* row, int64_t n_query) {
  ggml_tensor* mask = ggml_repeat_4d(graph.ctx(), row, row->ne[0], n_query, 1, row->ne[3]);
  return fused_ ? ggml_cast(graph.ctx(), mask, GGML_TYPE_F16) : mask;
}

/// The windows of a block; nullptr where every patch attends to all.
const WindowRows* ClipGraph::windows(int32_t il) {
  if (!config_.is_windowed(il)) return nullptr;
  if (windows_) return &*windows_;
  batch_ = window_batch(config_);
  windows_ = WindowRows{.n_row = batch_.n_row};
  if (batch_.is_even()) return &*windows_;
  for (const float used : batch_.used) unused_.push_back(used > 0.0F ? 0.0F : -INFINITY);
  const int64_t n_row = batch_.n_row, n_window = batch_.n_window;
  windows_->rows = graph.input(GGML_TYPE_I32, {std::ssize(batch_.rows)}, batch_.rows.data());
  windows_->places = graph.input(GGML_TYPE_I32, {std::ssize(batch_.places)}, batch_.places.data());
  windows_->used = graph.input(GGML_TYPE_F32, {1, n_row, 1, n_window}, batch_.used.data());
  windows_->mask = key_mask(graph.input(GGML_TYPE_F32, {n_row, 1, 1, n_window}, unused_.data()), n_row);
  return &*windows_;
}

/// Keys ne {n_embd, n}; attention ne {n, 1, n_head} or, for its mean over the queries, {1, n, n_head}.
ggml_tensor* ClipGraph::tap(prune::Signal signal, const ClipQueryKey& qk, const WindowRows* windows) const {
  ggml_context* ctx = graph.ctx();
  if (signal == prune::Signal::TowerKeys) return qk.k;
  if (signal == prune::Signal::WideClsAttention) {  // one head: the scale follows from its width
    ggml_tensor* cls = ggml_view_3d(ctx, qk.q, config_.n_embd, 1, 1, qk.q->nb[1], qk.q->nb[1], 0);
    return attention_rows(ctx, cls, ggml_reshape_3d(ctx, qk.k, config_.n_embd, qk.k->ne[1], 1), nullptr);
  }
  if (windows != nullptr) return window_means(qk, *windows);
  ggml_tensor* q = blocks_.heads(ctx, qk.q);
  if (signal == prune::Signal::ClsAttention) {
    ggml_tensor* cls = ggml_view_3d(ctx, q, q->ne[0], 1, q->ne[2], q->nb[1], q->nb[2], 0);
    return attention_rows(ctx, cls, blocks_.heads(ctx, qk.k), nullptr);
  }
  return column_means(q, blocks_.heads(ctx, qk.k));
}

/// Mean of attention over the queries, ne {1, n key, n_head}. The softmaxes of a large picture are not held
/// all at once.
ggml_tensor* ClipGraph::column_means(ggml_tensor* q, ggml_tensor* k) const {
  ggml_context* ctx = graph.ctx();
  const int64_t n = q->ne[1];
  const int64_t n_row = n > kWholeMap ? kMapRows : n;
  ggml_tensor* total = nullptr;
  for (int64_t first = 0; first < n; first += n_row) {
    const int64_t rows = std::min(n_row, n - first);
    ggml_tensor* part = rows == n ? q
                                  : ggml_view_3d(ctx, q, q->ne[0], rows, q->ne[2], q->nb[1], q->nb[2],
                                                 static_cast<std::size_t>(first) * q->nb[1]);
    ggml_tensor* map = attention_rows(ctx, part, k, nullptr);  // ne {n key, rows, n_head}
    ggml_tensor* mean = ggml_mean(ctx, ggml_cont(ctx, ggml_permute(ctx, map, 1, 0, 2, 3)));
    if (rows == n) return mean;
    mean = ggml_scale(ctx, mean, static_cast<float>(rows) / static_cast<float>(n));
    total = total == nullptr ? mean : ggml_add(ctx, total, mean);
  }
  return total;
}

/// The same of attention in windows: a key gets nothing from queries of the others, so the sum over all
/// queries is that over its own window's.
ggml_tensor* ClipGraph::window_means(const ClipQueryKey& qk, const WindowRows& windows) const {
  ggml_context* ctx = graph.ctx();
  const int64_t n = qk.k->ne[1];
  ggml_tensor* map = attention_rows(ctx, blocks_.heads(ctx, qk.q, &windows),
                                    blocks_.heads(ctx, qk.k, &windows), windows.mask);
  if (windows.used != nullptr) map = ggml_mul(ctx, map, windows.used);  // ne {key, query, head, window}
  ggml_tensor* sums = ggml_sum_rows(ctx, ggml_cont(ctx, ggml_permute(ctx, map, 1, 0, 2, 3)));
  sums = ggml_cont(ctx, ggml_permute(ctx, sums, 3, 1, 0, 2));  // ne {n_head, n_row, n_window}
  sums = ggml_reshape_2d(ctx, sums, config_.n_head, sums->ne[1] * sums->ne[2]);
  if (windows.places != nullptr) sums = ggml_get_rows(ctx, sums, windows.places);
  ggml_tensor* means =
      ggml_scale(ctx, ggml_cont(ctx, ggml_transpose(ctx, sums)), 1.0F / static_cast<float>(n));
  return ggml_reshape_3d(ctx, means, 1, n, config_.n_head);
}

/// Of normed rows, as attention compares them.
ClipQueryKey ClipGraph::query_key(ggml_tensor* h, int32_t il) {
  const ClipQueryKey qk = blocks_.query_key(graph.ctx(), h, il);
  if (!config_.rotary) return qk;
  if (rotary_input_ == nullptr) {
    rotary_ = rotary_positions(config_);
    rotary_input_ = graph.input(GGML_TYPE_I32, {std::ssize(rotary_)}, rotary_.data());
  }
  const auto turned = [&](ggml_tensor* x) {
    return rotate_patches(graph.ctx(), x, rotary_input_, config_.n_head);
  };
  return {turned(qk.q), turned(qk.k)};
}

bool ClipGraph::taps_block(int32_t il, const TowerRequest& request) const {
  return std::any_of(request.needs.begin(), request.needs.end(),
                     [&](const prune::Need& need) { return block_of(need, config_) == il; });
}

void ClipGraph::taps(int32_t il, const ClipQueryKey& qk, const TowerRequest& request) {
  for (const prune::Need& need : request.needs) {
    if (block_of(need, config_) != il) continue;
    const int64_t n_token = qk.k->ne[1];
    const int64_t rows = need.signal == prune::Signal::TowerKeys ? n_token - (config_.has_cls ? 1 : 0)
                         : need.signal == prune::Signal::WideClsAttention ? 1
                                                                          : config_.n_head;
    wanted.push_back({{need, rows, {}}, graph.output(tap(need.signal, qk, windows(il))), n_token});
  }
}

void ClipGraph::taps_alone(ggml_tensor* x, int32_t il, const TowerRequest& request) {
  taps(il, query_key(blocks_.norm1(graph.ctx(), x, il), il), request);
}

ggml_tensor* ClipGraph::attention_half(ggml_tensor* x, int32_t il, const TowerRequest& request,
                                       const std::vector<float>& log_sizes) {
  ggml_context* ctx = graph.ctx();
  ggml_tensor* h = blocks_.norm1(ctx, x, il);
  const ClipQueryKey qk = query_key(h, il);
  keys_ = qk.k;
  taps(il, qk, request);
  return ggml_add(ctx, x, blocks_.attend(ctx, h, qk, mask(log_sizes), il, windows(il)));
}

ggml_tensor* ClipGraph::mlp_half(ggml_tensor* x, int32_t il) {
  x = ggml_add(graph.ctx(), x, blocks_.mlp(graph.ctx(), x, il));
  graph.observe(fmt::format("vis.{}.out", il), x, config_.shape(x->ne[1]));
  return x;
}

}  // namespace winnow::engine
