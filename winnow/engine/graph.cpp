#include "winnow/engine/graph.h"

#include <cmath>

#include "winnow/base/error.h"

namespace winnow::engine {
namespace {

/// 1 / sqrt(d_head), ne of q: {d_head, n_query, n_head}.
float attention_scale(const ggml_tensor* q) { return 1.0f / std::sqrt(static_cast<float>(q->ne[0])); }

}  // namespace

Graph::Graph(std::size_t max_nodes, const Observer* observer)
    : ctx_(make_context(max_nodes * 2, max_nodes)), observer_(observer) {
  graph_ = ggml_new_graph_custom(ctx(), max_nodes, false);
}

ggml_tensor* Graph::input(ggml_type type, std::initializer_list<int64_t> ne, const void* data) {
  ggml_tensor* tensor = ggml_new_tensor(ctx(), type, static_cast<int>(ne.size()), std::data(ne));
  ggml_set_input(tensor);
  inputs_.push_back({tensor, data});
  return tensor;
}

ggml_tensor* Graph::output(ggml_tensor* tensor) {
  ggml_set_output(tensor);
  require(tensor);
  return tensor;
}

void Graph::require(ggml_tensor* tensor) { ggml_build_forward_expand(graph_, tensor); }

void Graph::observe(std::string name, ggml_tensor* tensor, std::vector<int64_t> shape) {
  if (!observed()) return;
  observed_.push_back({std::move(name), output(tensor), std::move(shape)});
}

void Graph::run(Backends& backends) {
  if (backends.has_misleading_plan(graph_)) {  // one node more, so that ggml plans anew
    ggml_tensor* input = inputs_.front().tensor;
    require(ggml_view_1d(ctx(), input, input->ne[0], 0));
  }
  backends.allocate(graph_);
  for (const Input& input : inputs_) {
    // An input that no result depends on gets no memory.
    if (input.tensor->buffer != nullptr) {
      ggml_backend_tensor_set(input.tensor, input.data, 0, ggml_nbytes(input.tensor));
    }
  }
  backends.compute(graph_);
  for (const Observed& item : observed_) (*observer_)(item.name, item.shape, read(item.tensor));
}

std::vector<float> Graph::read(const ggml_tensor* tensor) const {
  WINNOW_ASSERT(tensor->type == GGML_TYPE_F32 && ggml_is_contiguous(tensor));
  std::vector<float> values(static_cast<std::size_t>(ggml_nelements(tensor)));
  ggml_backend_tensor_get(tensor, values.data(), 0, values.size() * sizeof(float));
  return values;
}

ggml_tensor* linear(ggml_context* ctx, ggml_tensor* x, ggml_tensor* weight, ggml_tensor* bias) {
  ggml_tensor* y = ggml_mul_mat(ctx, weight, x);
  if (weight->type == GGML_TYPE_F32) ggml_prec_set_acc(y, GGML_PREC_F32);  // f32 mode: GPUs would sum in f16
  return bias == nullptr ? y : ggml_add(ctx, y, bias);
}

ggml_tensor* layer_norm(ggml_context* ctx, ggml_tensor* x, ggml_tensor* weight, ggml_tensor* bias,
                        float eps) {
  return ggml_add(ctx, ggml_mul(ctx, ggml_norm(ctx, x, eps), weight), bias);
}

ggml_tensor* rms_norm(ggml_context* ctx, ggml_tensor* x, ggml_tensor* weight, float eps) {
  return ggml_mul(ctx, ggml_rms_norm(ctx, x, eps), weight);
}

ggml_tensor* attention_rows(ggml_context* ctx, ggml_tensor* q, ggml_tensor* k, ggml_tensor* mask) {
  ggml_tensor* logits = ggml_mul_mat(ctx, k, q);
  ggml_prec_set_acc(logits, GGML_PREC_F32);
  return ggml_soft_max_ext(ctx, logits, mask, attention_scale(q), 0.0f);
}

ggml_tensor* attention(ggml_context* ctx, ggml_tensor* q, ggml_tensor* k, ggml_tensor* v, ggml_tensor* mask,
                       bool fused) {
  const int64_t n_query = q->ne[1] * q->ne[3];
  const int64_t width = q->ne[0] * q->ne[2];
  if (fused) {
    ggml_tensor* out = ggml_flash_attn_ext(ctx, q, k, v, mask, attention_scale(q), 0.0f, 0.0f);
    ggml_prec_set_acc(out, GGML_PREC_F32);
    return ggml_reshape_2d(ctx, out, width, n_query);
  }
  ggml_tensor* weights = attention_rows(ctx, q, k, mask);
  if (ggml_is_quantized(v->type)) v = ggml_cast(ctx, v, GGML_TYPE_F32);  // blocks cannot be transposed
  ggml_tensor* v_transposed = ggml_cont(ctx, ggml_permute(ctx, v, 1, 0, 2, 3));
  ggml_tensor* out = ggml_mul_mat(ctx, v_transposed, weights);  // ne {d_head, n_query, n_head}
  ggml_prec_set_acc(out, GGML_PREC_F32);
  return ggml_cont_2d(ctx, ggml_permute(ctx, out, 0, 2, 1, 3), width, n_query);
}

}  // namespace winnow::engine
