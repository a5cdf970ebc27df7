#include "winnow/train/ops.h"

#include <algorithm>
#include <cmath>

#include "winnow/base/error.h"
#include "winnow/train/kernels.h"

namespace winnow::train {

using torch::Tensor;

/// Rows that fill a group up are row 0 again: nothing sees them as keys, and nothing reads them as queries.
struct PaddedLayout {
  PaddedLayout(const AttentionLayout& layout, const torch::Device& device);

  int64_t n_groups;
  Tensor queries, keys;  ///< [n_groups * widest] rows of q, and of k and v
  Tensor rows;           ///< [n_query] where a row of q went
  Tensor hidden;         ///< [n_groups, 1, widest queries, widest keys]
};

PaddedLayout::PaddedLayout(const AttentionLayout& layout, const torch::Device& device)
    : n_groups(static_cast<int64_t>(layout.groups.size())) {
  int64_t n_query = 0, n_key = 0;
  for (const auto& g : layout.groups) {
    n_query = std::max(n_query, g.n_query);
    n_key = std::max(n_key, g.n_key);
  }
  const auto all_queries = static_cast<std::size_t>(n_groups * n_query);
  std::vector<int64_t> from_q(all_queries, 0), from_k(static_cast<std::size_t>(n_groups * n_key), 0), to;
  std::vector<int64_t> limit(all_queries, 0), own_begin(all_queries, 0), own_end(all_queries, 0);
  for (std::size_t group = 0; group < layout.groups.size(); ++group) {
    const auto& g = layout.groups[group];
    for (int64_t i = 0; i < g.n_key; ++i)
      from_k[group * static_cast<std::size_t>(n_key) + static_cast<std::size_t>(i)] = g.key_start + i;
    for (int64_t i = 0; i < g.n_query; ++i) {
      const std::size_t at = group * static_cast<std::size_t>(n_query) + static_cast<std::size_t>(i);
      const auto row = static_cast<std::size_t>(g.query_start + i);
      from_q[at] = g.query_start + i;
      to.push_back(static_cast<int64_t>(at));
      limit[at] = layout.limit[row];
      own_begin[at] = layout.own_start[row] - g.key_start;
      own_end[at] = own_begin[at] + layout.n_own[row];
    }
  }
  const auto on_device = [&](const std::vector<int64_t>& values) {
    return torch::tensor(values, torch::kLong).to(device);
  };
  const auto column = [&](const std::vector<int64_t>& values) {
    return on_device(values).view({n_groups, 1, n_query, 1});
  };
  queries = on_device(from_q);
  keys = on_device(from_k);
  rows = on_device(to);
  const Tensor key = torch::arange(n_key, torch::TensorOptions(device).dtype(torch::kLong));
  const Tensor own = key.ge(column(own_begin)).logical_and(key.lt(column(own_end)));
  hidden = key.lt(column(limit)).logical_or(own).logical_not();
}

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::tensor_list;

bool kernels_serve(const Tensor& x) { return x.is_cpu() && x.scalar_type() == torch::kFloat; }

struct RmsNorm : Function<RmsNorm> {
  static Tensor forward(AutogradContext* ctx, const Tensor& x_in, const Tensor& w, double eps) {
    const Tensor x = x_in.contiguous();
    const int64_t n = x.size(-1);
    const int64_t rows = x.numel() / n;
    Tensor y = torch::empty_like(x);
    Tensor rstd = torch::empty({rows}, x.options());
    kernels::rms_norm(x.data_ptr<float>(), w.data_ptr<float>(), static_cast<float>(eps), rows, n,
                      y.data_ptr<float>(), rstd.data_ptr<float>());
    ctx->save_for_backward({x, w, rstd});
    return y;
  }
  static tensor_list backward(AutogradContext* ctx, const tensor_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const Tensor dy = grads[0].contiguous();
    const Tensor& x = saved[0];
    const int64_t n = x.size(-1);
    Tensor dx = torch::empty_like(x);
    Tensor dw = torch::zeros_like(saved[1]);
    kernels::rms_norm_backward(dy.data_ptr<float>(), x.data_ptr<float>(), saved[1].data_ptr<float>(),
                               saved[2].data_ptr<float>(), x.numel() / n, n, dx.data_ptr<float>(),
                               dw.data_ptr<float>());
    return {dx, dw, Tensor()};
  }
};

struct SwiGlu : Function<SwiGlu> {
  static Tensor forward(AutogradContext* ctx, const Tensor& gate_in, const Tensor& up_in) {
    const Tensor gate = gate_in.contiguous();
    const Tensor up = up_in.contiguous();
    Tensor y = torch::empty_like(gate);
    kernels::swiglu(gate.data_ptr<float>(), up.data_ptr<float>(), gate.numel(), y.data_ptr<float>());
    ctx->save_for_backward({gate, up});
    return y;
  }
  static tensor_list backward(AutogradContext* ctx, const tensor_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const Tensor dy = grads[0].contiguous();
    Tensor d_gate = torch::empty_like(dy);
    Tensor d_up = torch::empty_like(dy);
    kernels::swiglu_backward(dy.data_ptr<float>(), saved[0].data_ptr<float>(), saved[1].data_ptr<float>(),
                             dy.numel(), d_gate.data_ptr<float>(), d_up.data_ptr<float>());
    return {d_gate, d_up};
  }
};

struct QuickGelu : Function<QuickGelu> {
  static Tensor forward(AutogradContext* ctx, const Tensor& x_in) {
    const Tensor x = x_in.contiguous();
    Tensor y = torch::empty_like(x);
    kernels::quick_gelu(x.data_ptr<float>(), x.numel(), y.data_ptr<float>());
    ctx->save_for_backward({x});
    return y;
  }
  static tensor_list backward(AutogradContext* ctx, const tensor_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const Tensor dy = grads[0].contiguous();
    Tensor dx = torch::empty_like(dy);
    kernels::quick_gelu_backward(dy.data_ptr<float>(), saved[0].data_ptr<float>(), dy.numel(),
                                 dx.data_ptr<float>());
    return {dx};
  }
};

Tensor turned(const Tensor& x_in, const Tensor& cos, const Tensor& sin, int64_t n_head, float sign) {
  const Tensor x = x_in.contiguous();
  Tensor y = torch::empty_like(x);
  kernels::rope(x.data_ptr<float>(), cos.data_ptr<float>(), sin.data_ptr<float>(),
                {x.size(0), n_head, x.size(1) / n_head}, sign, y.data_ptr<float>());
  return y;
}

struct Rope : Function<Rope> {
  static Tensor forward(AutogradContext* ctx, const Tensor& x, const Tensor& cos, const Tensor& sin,
                        int64_t n_head) {
    ctx->save_for_backward({cos, sin});
    ctx->saved_data["n_head"] = n_head;
    return turned(x, cos, sin, n_head, 1.0F);
  }
  static tensor_list backward(AutogradContext* ctx, const tensor_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const int64_t n_head = ctx->saved_data["n_head"].toInt();
    return {turned(grads[0], saved[0], saved[1], n_head, -1.0F), Tensor(), Tensor(), Tensor()};
  }
};

/// A head's columns of some rows, [rows, d_head], without a copy.
Tensor head_view(const Tensor& x, int64_t start, int64_t rows, int64_t head, int64_t d_head) {
  return x.narrow(0, start, rows).narrow(1, head * d_head, d_head);
}

/// Probabilities of one call: of the prefix' keys, a [n_query, n_prefix] matrix for each group and head in a
/// row, and of the questions' own keys, ragged.
struct Saved : torch::CustomClassHolder {
  LayoutPtr layout;
  int64_t n_head = 0;
  std::vector<Tensor> prefix;   // [groups * n_head] of [n_query, n_prefix]
  std::vector<float> own;       // by head, then by row
  std::vector<int64_t> own_at;  // [n_query + 1] offsets inside one head's part
};

std::vector<int64_t> own_offsets(const AttentionLayout& layout) {
  std::vector<int64_t> at(layout.n_own.size() + 1, 0);
  for (std::size_t i = 0; i < layout.n_own.size(); ++i) at[i + 1] = at[i] + layout.n_own[i];
  return at;
}

kernels::SoftmaxRow row_of(const AttentionLayout& layout, const AttentionLayout::Group& group, int64_t row,
                           int64_t d_head, int64_t width) {
  const auto i = static_cast<std::size_t>(row);
  return {layout.limit[i], group.n_prefix, layout.n_own[i],
          d_head,          width,          1.0F / std::sqrt(static_cast<float>(d_head))};
}

struct PackedAttention : Function<PackedAttention> {
  static Tensor forward(AutogradContext* ctx, const Tensor& q_in, const Tensor& k_in, const Tensor& v_in,
                        const c10::intrusive_ptr<Saved>& saved) {
    const Tensor q = q_in.contiguous(), k = k_in.contiguous(), v = v_in.contiguous();
    const AttentionLayout& layout = *saved->layout;
    const int64_t width = q.size(1);
    const int64_t d_head = width / saved->n_head;
    Tensor out = torch::empty_like(q);
    saved->own_at = own_offsets(layout);
    const int64_t own_per_head = saved->own_at.back();
    saved->own.resize(static_cast<std::size_t>(own_per_head * saved->n_head));
    for (const auto& g : layout.groups) {
      for (int64_t h = 0; h < saved->n_head; ++h) {
        Tensor p = torch::mm(head_view(q, g.query_start, g.n_query, h, d_head),
                             head_view(k, g.key_start, g.n_prefix, h, d_head).t());
        float* scores = p.data_ptr<float>();
        for (int64_t i = 0; i < g.n_query; ++i) {
          const int64_t row = g.query_start + i;
          const int64_t own_at = layout.own_start[static_cast<std::size_t>(row)] * width + h * d_head;
          kernels::softmax_row(
              row_of(layout, g, row, d_head, width), q.data_ptr<float>() + row * width + h * d_head,
              k.data_ptr<float>() + own_at, scores + i * g.n_prefix,
              saved->own.data() + h * own_per_head + saved->own_at[static_cast<std::size_t>(row)]);
        }
        Tensor target = head_view(out, g.query_start, g.n_query, h, d_head);
        torch::mm_out(target, p, head_view(v, g.key_start, g.n_prefix, h, d_head));
        for (int64_t i = 0; i < g.n_query; ++i) {
          const int64_t row = g.query_start + i;
          const int64_t own_at = layout.own_start[static_cast<std::size_t>(row)] * width + h * d_head;
          kernels::add_own_values(
              row_of(layout, g, row, d_head, width),
              saved->own.data() + h * own_per_head + saved->own_at[static_cast<std::size_t>(row)],
              v.data_ptr<float>() + own_at, out.data_ptr<float>() + row * width + h * d_head);
        }
        saved->prefix.push_back(std::move(p));
      }
    }
    ctx->save_for_backward({q, k, v});
    ctx->saved_data["saved"] = c10::IValue::make_capsule(saved);
    return out;
  }

  static tensor_list backward(AutogradContext* ctx, const tensor_list& grads) {
    const auto tensors = ctx->get_saved_variables();
    const auto saved = c10::static_intrusive_pointer_cast<Saved>(ctx->saved_data["saved"].toCapsule());
    const Tensor &q = tensors[0], &k = tensors[1], &v = tensors[2];
    const Tensor d_out = grads[0].contiguous();
    const AttentionLayout& layout = *saved->layout;
    Tensor dq = torch::empty_like(q), dk = torch::zeros_like(k), dv = torch::zeros_like(v);
    std::size_t at = 0;
    for (const auto& g : layout.groups) {
      for (int64_t h = 0; h < saved->n_head; ++h)
        head_backward(*saved, g, h, saved->prefix[at++], {q, k, v, d_out}, {dq, dk, dv});
    }
    saved->prefix.clear();
    saved->own.clear();
    return {dq, dk, dv, Tensor()};
  }

  struct Inputs {
    const Tensor &q, &k, &v, &d_out;
  };
  struct Outputs {
    Tensor &dq, &dk, &dv;
  };
  static void head_backward(const Saved& saved, const AttentionLayout::Group& g, int64_t h, const Tensor& p,
                            const Inputs& in, const Outputs& out) {
    const AttentionLayout& layout = *saved.layout;
    const int64_t width = in.q.size(1);
    const int64_t d_head = width / saved.n_head;
    const int64_t own_per_head = saved.own_at.back();
    const Tensor d_out = head_view(in.d_out, g.query_start, g.n_query, h, d_head);
    Tensor dk = head_view(out.dk, g.key_start, g.n_prefix, h, d_head);
    Tensor dv = head_view(out.dv, g.key_start, g.n_prefix, h, d_head);
    Tensor dq = head_view(out.dq, g.query_start, g.n_query, h, d_head);
    // A question's rows are keys too, but never in the prefix, so the prefix' slices are written and not
    // added to.
    torch::mm_out(dv, p.t(), d_out);
    Tensor ds = torch::mm(d_out, head_view(in.v, g.key_start, g.n_prefix, h, d_head).t());
    Tensor own_dq = torch::zeros({g.n_query, d_head}, in.q.options());
    for (int64_t i = 0; i < g.n_query; ++i) {
      const int64_t row = g.query_start + i;
      const int64_t own = layout.own_start[static_cast<std::size_t>(row)] * width + h * d_head;
      kernels::softmax_row_backward(
          row_of(layout, g, row, d_head, width), p.data_ptr<float>() + i * g.n_prefix,
          saved.own.data() + h * own_per_head + saved.own_at[static_cast<std::size_t>(row)],
          in.d_out.data_ptr<float>() + row * width + h * d_head,
          in.q.data_ptr<float>() + row * width + h * d_head, in.k.data_ptr<float>() + own,
          in.v.data_ptr<float>() + own, ds.data_ptr<float>() + i * g.n_prefix,
          {own_dq.data_ptr<float>() + i * d_head, out.dk.data_ptr<float>() + own,
           out.dv.data_ptr<float>() + own});
    }
    torch::mm_out(dq, ds, head_view(in.k, g.key_start, g.n_prefix, h, d_head));
    dq.add_(own_dq);
    torch::mm_out(dk, ds.t(), head_view(in.q, g.query_start, g.n_query, h, d_head));
  }
};

}  // namespace

Tensor packed_attention(const Tensor& q, const Tensor& k, const Tensor& v, const LayoutPtr& layout,
                        int64_t n_head) {
  if (!kernels_serve(q)) return plain_attention(q, k, v, *layout, n_head);
  WINNOW_ASSERT(layout->n_own.empty() ||
                *std::max_element(layout->n_own.begin(), layout->n_own.end()) <= kernels::kMaxOwn);
  auto saved = c10::make_intrusive<Saved>();
  saved->layout = layout;
  saved->n_head = n_head;
  return PackedAttention::apply(q, k, v, saved);
}

Tensor plain_attention(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionLayout& layout,
                       int64_t n_head) {
  if (!layout.padded) layout.padded = std::make_shared<const PaddedLayout>(layout, q.device());
  const PaddedLayout& padded = *layout.padded;
  const int64_t d_head = q.size(1) / n_head;
  const auto heads = [&](const Tensor& x, const Tensor& rows) {  // [group, head, row, d_head]
    return x.index_select(0, rows).view({padded.n_groups, -1, n_head, d_head}).transpose(1, 2);
  };
  const Tensor scores = torch::matmul(heads(q, padded.queries), heads(k, padded.keys).transpose(2, 3)) /
                        std::sqrt(static_cast<double>(d_head));
  const Tensor shares = torch::softmax(scores.masked_fill(padded.hidden, -1e30), -1);
  return torch::matmul(shares, heads(v, padded.keys))
      .transpose(1, 2)
      .reshape({-1, n_head * d_head})
      .index_select(0, padded.rows);
}

Tensor rms_norm(const Tensor& x, const Tensor& w, double eps) {
  return kernels_serve(x) ? RmsNorm::apply(x, w, eps) : plain_rms_norm(x, w, eps);
}

Tensor plain_rms_norm(const Tensor& x, const Tensor& w, double eps) {
  return x * torch::rsqrt(x.square().mean(-1, true) + eps) * w;
}

Tensor swiglu(const Tensor& gate, const Tensor& up) {
  return kernels_serve(gate) ? SwiGlu::apply(gate, up) : plain_swiglu(gate, up);
}

Tensor plain_swiglu(const Tensor& gate, const Tensor& up) { return torch::silu(gate) * up; }

Tensor quick_gelu(const Tensor& x) { return kernels_serve(x) ? QuickGelu::apply(x) : plain_quick_gelu(x); }

Tensor plain_quick_gelu(const Tensor& x) { return x * torch::sigmoid(1.702 * x); }

Tensor rope(const Tensor& x, const Tensor& cos, const Tensor& sin, int64_t n_head) {
  return kernels_serve(x) ? Rope::apply(x, cos, sin, n_head) : plain_rope(x, cos, sin, n_head);
}

Tensor plain_rope(const Tensor& x, const Tensor& cos, const Tensor& sin, int64_t n_head) {
  const Tensor pairs = x.view({x.size(0), n_head, -1, 2});
  const Tensor a = pairs.select(-1, 0), b = pairs.select(-1, 1);
  const Tensor c = cos.unsqueeze(1), s = sin.unsqueeze(1);
  return torch::stack({a * c - b * s, b * c + a * s}, -1).reshape(x.sizes());
}

Tensor linear(const Tensor& x, const Tensor& w, const Tensor& b, bool bf16) {
  if (!bf16) return torch::linear(x, w, b);
  const Tensor y = torch::linear(x.to(torch::kBFloat16), w.to(torch::kBFloat16)).to(x.scalar_type());
  return b.defined() ? y + b : y;
}

}  // namespace winnow::train
