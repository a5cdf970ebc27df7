#pragma once

// One ggml graph from building to reading results.
//
// Shapes: ggml lists dimensions fastest first. A row-major matrix [rows, cols] of Winnow is ne = {cols, rows}
// here; comments in the model files give ne where they speak of ggml tensors and row-major shapes everywhere
// else.

#include <ggml.h>

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "winnow/engine/backend.h"

namespace winnow::engine {

/// Receives named intermediate tensors of a forward pass (names of docs/trace.md), row-major, batch dimension
/// first.
using Observer =
    std::function<void(std::string_view name, std::span<const int64_t> shape, std::span<const float> values)>;

/// How graphs are run: on what, watched by whom, with fused attention or not.
struct Execution {
  Backends& backends;
  const Observer* observer = nullptr;
  bool fused = true;
};

/// Not reusable: build, run once, read.
class Graph {
 public:
  Graph(std::size_t max_nodes, const Observer* observer);

  ggml_context* ctx() const { return ctx_.get(); }
  bool observed() const { return observer_ != nullptr && *observer_; }

  /// A tensor whose values come from `data` when the graph runs; data must stay alive until then.
  ggml_tensor* input(ggml_type type, std::initializer_list<int64_t> ne, const void* data);
  /// A result to read after run().
  ggml_tensor* output(ggml_tensor* tensor);
  /// Computes the tensor for its side effect (a write into the KV cache).
  void require(ggml_tensor* tensor);
  /// Shows the tensor to the observer after run(), if there is one. shape is row-major.
  void observe(std::string name, ggml_tensor* tensor, std::vector<int64_t> shape);

  void run(Backends& backends);
  /// Values of an output (f32). Only after run().
  std::vector<float> read(const ggml_tensor* tensor) const;

 private:
  struct Input {
    ggml_tensor* tensor;
    const void* data;
  };
  struct Observed {
    std::string name;
    ggml_tensor* tensor;
    std::vector<int64_t> shape;
  };
  ContextPtr ctx_;
  ggml_cgraph* graph_ = nullptr;
  const Observer* observer_ = nullptr;
  std::vector<Input> inputs_;
  std::vector<Observed> observed_;
};

/// x * weight^T + bias; bias may be nullptr.
ggml_tensor* linear(ggml_context* ctx, ggml_tensor* x, ggml_tensor* weight, ggml_tensor* bias);
/// LayerNorm over the last row-major dimension, then scale and shift.
ggml_tensor* layer_norm(ggml_context* ctx, ggml_tensor* x, ggml_tensor* weight, ggml_tensor* bias, float eps);
/// RMSNorm over the last row-major dimension, then scale.
ggml_tensor* rms_norm(ggml_context* ctx, ggml_tensor* x, ggml_tensor* weight, float eps);

/// softmax(q k^T / sqrt(d_head) + mask) v for all heads. ne: q {d_head, n_query, n_head}, k and v {d_head,
/// n_key, n_head_kv} (views), mask {n_key, n_query} or nullptr (f16 when fused, f32 otherwise). Returns ne
/// {d_head * n_head, n_query}. All may have a fourth dimension, a batch whose rows come out one after the
/// other.
ggml_tensor* attention(ggml_context* ctx, ggml_tensor* q, ggml_tensor* k, ggml_tensor* v, ggml_tensor* mask,
                       bool fused);
/// softmax(q k^T / sqrt(d_head) + mask) alone, ne {n_key, n_query, n_head}: the few rows that a method looks
/// at.
ggml_tensor* attention_rows(ggml_context* ctx, ggml_tensor* q, ggml_tensor* k, ggml_tensor* mask);

}  // namespace winnow::engine
