// Llama forward pass: x + attention(RMSNorm(x)), x + SwiGLU(RMSNorm(x)). GGUF stores q and k of llama files
// with their rotary pairs next to each other, so RoPE is ggml's "normal" mode; that equals transformers'
// rotate-half on the unpermuted weights. Files of qwen2 and qwen2vl are not permuted: halves rotate, in
// ggml's "NeoX" mode and in its M-RoPE.

#include "winnow/engine/decoder/llama.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <numeric>

#include "winnow/base/error.h"

namespace winnow::engine {
namespace {

constexpr const char* kWhere = "engine.llama";
/// Tapped queries of one softmax: it holds n_head x kTapRows x n_key values before the wanted keys are cut
/// out.
constexpr std::size_t kTapRows = 64;

/// "llama.rope.freq_base" of rope.freq_base, in the file's own architecture.
class ArchKeys {
 public:
  explicit ArchKeys(const std::string& arch) : arch_(arch) {}
  std::string operator()(std::string_view name) const { return fmt::format("{}.{}", arch_, name); }

 private:
  std::string arch_;
};

/// The sections of M-RoPE must share out all pairs: ggml would begin again at the first.
void read_sections(const GgufFile& file, const std::string& key, RopeConfig& rope) {
  const std::vector<double> sections = file.numbers(key);
  double sum = 0.0;
  bool good = sections.size() == 3 || sections.size() == 4;
  for (std::size_t i = 0; good && i < sections.size(); ++i) {
    good = sections[i] >= 0.0 && sections[i] <= rope.n_dims && (i < 3 || sections[i] == 0.0);
    sum += sections[i];
    if (good) rope.sections[i] = static_cast<int32_t>(sections[i]);
  }
  WINNOW_CHECK(good && 2.0 * sum == rope.n_dims, Corrupt, kWhere,
               "{}: key '{}', got [{}], expected three counts that make {} together", file.path(), key,
               fmt::join(sections, ", "), rope.n_dims / 2);
}

RopeConfig read_rope(const GgufFile& file, const ArchKeys& key, int32_t d_head, int32_t n_ctx) {
  RopeConfig rope;
  rope.n_dims = static_cast<int32_t>(file.integer_or(key("rope.dimension_count"), 1, d_head, d_head));
  WINNOW_CHECK(rope.n_dims % 2 == 0, Corrupt, kWhere, "{}: rope dimensions, got {}, expected an even number",
               file.path(), rope.n_dims);
  rope.freq_base = static_cast<float>(file.real_or(key("rope.freq_base"), 10000.0));
  rope.n_ctx_orig =
      static_cast<int32_t>(file.integer_or(key("rope.scaling.original_context_length"), 1, 1 << 30, n_ctx));
  const double legacy = file.real_or(key("rope.scale_linear"), 1.0);
  const double factor = file.real_or(key("rope.scaling.factor"), legacy);
  const std::string type = file.text_or(key("rope.scaling.type"), legacy == 1.0 ? "none" : "linear");
  WINNOW_CHECK(rope.freq_base > 0.0f && std::isfinite(rope.freq_base) && factor > 1e-6 && factor < 1e6,
               Corrupt, kWhere, "{}: rope freq_base {} and scaling factor {}, expected > 0", file.path(),
               rope.freq_base, factor);
  WINNOW_CHECK(type == "none" || type == "linear" || type == "yarn", Unsupported, kWhere,
               "{}: rope scaling, got '{}', expected none, linear or yarn", file.path(), type);
  if (type == "none") return rope;
  rope.freq_scale = static_cast<float>(1.0 / factor);
  if (type == "yarn") {
    rope.ext_factor = static_cast<float>(file.real_or(key("rope.scaling.yarn_ext_factor"), 1.0));
    rope.attn_factor = static_cast<float>(file.real_or(key("rope.scaling.attn_factor"), 1.0));
    rope.beta_fast = static_cast<float>(file.real_or(key("rope.scaling.yarn_beta_fast"), 32.0));
    rope.beta_slow = static_cast<float>(file.real_or(key("rope.scaling.yarn_beta_slow"), 1.0));
  }
  return rope;
}

/// Tensors of one layer, looked up once.
struct Layer {
  ggml_tensor *attn_norm, *q_w, *q_b, *k_w, *k_b, *v_w, *v_b, *o_w, *ffn_norm, *gate_w, *up_w, *down_w;
};

Layer find_layer(const Weights& w, int32_t il) {
  const auto at = [&](const char* name) { return w.at(fmt::format("blk.{}.{}", il, name)); };
  return {at("attn_norm.weight"), at("attn_q.weight"),   at("attn_q.bias"),   at("attn_k.weight"),
          at("attn_k.bias"),      at("attn_v.weight"),   at("attn_v.bias"),   at("attn_output.weight"),
          at("ffn_norm.weight"),  at("ffn_gate.weight"), at("ffn_up.weight"), at("ffn_down.weight")};
}

/// The decoder's graph for one chunk while it grows. Host buffers of graph inputs live here until the graph
/// has run.
class LlamaGraph {
 public:
  LlamaGraph(const LlamaConfig& config, const Weights& weights, const DecoderChunk& chunk, KvCache& cache,
             const Execution& execution)
      : graph(static_cast<std::size_t>(chunk.last_layer - chunk.first_layer) * 64 + 256 +
                  chunk.tap.rows.size() / kTapRows * 16,
              execution.observer),
        config_(config),
        w_(weights),
        chunk_(chunk),
        cache_(cache),
        fused_(execution.fused),
        n_(static_cast<int64_t>(chunk.ids.size())),
        all_rows_(static_cast<std::size_t>(n_)) {
    std::iota(all_rows_.begin(), all_rows_.end(), 0);
    const auto& rows = chunk.tap.rows;
    for (std::size_t first = 0; first < rows.size(); first += kTapRows) {
      const auto last = std::min(first + kTapRows, rows.size());
      tap_rows_.emplace_back(rows.begin() + first, rows.begin() + last);
    }
  }

  /// Hidden states of the wanted rows after the last layer; nullptr if none are wanted.
  ggml_tensor* build();
  /// Rotated queries of a layer on the hidden states of the chunk, ne {d_head, n, n_head}.
  ggml_tensor* queries_alone(int32_t il);
  /// Their inner products with q {d_head, n_query, n_head}, ne {n, n_query, n_head}: of the rotated keys of
  /// the chunk, or of the cached ones.
  ggml_tensor* key_logits_alone(int32_t il, ggml_tensor* q);
  ggml_tensor* cached_logits(int32_t il, ggml_tensor* q) const;

  Graph graph;
  std::vector<ggml_tensor*> tapped;    ///< ne {tap.n_key, up to kTapRows, n_head}
  ggml_tensor* tapped_keys = nullptr;  ///< ne {d_head, n_head_kv, n}

 private:
  ggml_tensor* layer(ggml_tensor* x, int32_t il, const std::vector<int32_t>& out_rows);
  ggml_tensor* self_attention(ggml_tensor* h, ggml_tensor* h_out, const Layer& l, int32_t il,
                              const std::vector<int32_t>& out_rows);
  ggml_tensor* keys(ggml_tensor* h, const Layer& l, int32_t first_id);
  ggml_tensor* queries(ggml_tensor* h, const Layer& l, const std::vector<int32_t>& rows, int32_t first_id);
  void tap(ggml_tensor* h, ggml_tensor* keys, const Layer& l, int32_t il);
  ggml_tensor* ids(const std::vector<int32_t>& rows, int32_t first_id);
  ggml_tensor* rotate(ggml_tensor* x, const std::vector<int32_t>& rows, int32_t first_id);
  ggml_tensor* mask(const std::vector<int32_t>& rows, int32_t n_past, bool fused);
  ggml_tensor* pick(ggml_tensor* x, const std::vector<int32_t>& rows);
  void store(KvLayer& kv, ggml_tensor* k, ggml_tensor* v);
  ggml_tensor* cached(ggml_tensor* rows, int64_t n_key) const;

  const LlamaConfig& config_;
  const Weights& w_;
  const DecoderChunk& chunk_;
  KvCache& cache_;
  bool fused_;
  int64_t n_;
  std::vector<int32_t> all_rows_;
  std::vector<std::vector<int32_t>> tap_rows_;  ///< tap.rows, kTapRows at a time
  struct MaskKey {
    const std::vector<int32_t>* rows;
    int32_t n_past;
    bool fused;
    auto operator<=>(const MaskKey&) const = default;
  };
  std::map<MaskKey, ggml_tensor*> masks_;
  std::map<std::pair<const std::vector<int32_t>*, int32_t>, ggml_tensor*> positions_;
  std::vector<std::unique_ptr<std::vector<uint8_t>>> host_;
};

ggml_tensor* LlamaGraph::pick(ggml_tensor* x, const std::vector<int32_t>& rows) {
  if (&rows == &all_rows_) return x;
  ggml_tensor* index = graph.input(GGML_TYPE_I32, {static_cast<int64_t>(rows.size())}, rows.data());
  return ggml_get_rows(graph.ctx(), x, index);
}

/// Position ids of the rows in a layer whose next free id is first_id: [n_row], or for M-RoPE [4, n_row].
ggml_tensor* LlamaGraph::ids(const std::vector<int32_t>& rows, int32_t first_id) {
  ggml_tensor*& ids = positions_[{&rows, first_id}];
  if (ids != nullptr) return ids;
  const PositionIds& from = chunk_.ids;
  std::vector<std::span<const int32_t>> axes = {from.time};
  if (config_.rope.has_axes()) {
    axes.push_back(from.row.empty() ? from.time : from.row);
    axes.push_back(from.col.empty() ? from.time : from.col);
    axes.push_back(from.time);  // of no pair
  }
  host_.push_back(std::make_unique<std::vector<uint8_t>>(axes.size() * rows.size() * sizeof(int32_t)));
  auto* values = reinterpret_cast<int32_t*>(host_.back()->data());
  for (const auto& axis : axes) {
    for (const int32_t row : rows) *values++ = axis[static_cast<std::size_t>(row)] + first_id;
  }
  ids = graph.input(GGML_TYPE_I32, {static_cast<int64_t>(axes.size() * rows.size())}, host_.back()->data());
  return ids;
}

ggml_tensor* LlamaGraph::rotate(ggml_tensor* x, const std::vector<int32_t>& rows, int32_t first_id) {
  const RopeConfig& r = config_.rope;
  ggml_tensor* factors = w_.at("rope_freqs.weight");
  if (r.has_axes()) {
    std::array<int32_t, 4> sections = r.sections;
    return ggml_rope_multi(graph.ctx(), x, ids(rows, first_id), factors, r.n_dims, sections.data(),
                           GGML_ROPE_TYPE_MROPE, r.n_ctx_orig, r.freq_base, r.freq_scale, r.ext_factor,
                           r.attn_factor, r.beta_fast, r.beta_slow);
  }
  const int mode = r.halves ? GGML_ROPE_TYPE_NEOX : GGML_ROPE_TYPE_NORMAL;
  return ggml_rope_ext(graph.ctx(), x, ids(rows, first_id), factors, r.n_dims, mode, r.n_ctx_orig,
                       r.freq_base, r.freq_scale, r.ext_factor, r.attn_factor, r.beta_fast, r.beta_slow);
}

/// Row i of the chunk sees the n_past cached tokens and the chunk up to itself. nullptr when nothing is
/// hidden.
ggml_tensor* LlamaGraph::mask(const std::vector<int32_t>& rows, int32_t n_past, bool fused) {
  const int64_t n_key = n_past + n_;
  bool hides = false;
  for (const int32_t row : rows) hides = hides || n_past + row + 1 < n_key;
  if (!hides) return nullptr;
  ggml_tensor*& tensor = masks_[{&rows, n_past, fused}];
  if (tensor != nullptr) return tensor;
  const std::size_t width = fused ? sizeof(ggml_fp16_t) : sizeof(float);
  host_.push_back(std::make_unique<std::vector<uint8_t>>(rows.size() * n_key * width));
  const float hidden = -std::numeric_limits<float>::infinity();
  const ggml_fp16_t hidden_f16 = ggml_fp32_to_fp16(hidden);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    for (int64_t key = n_past + rows[i] + 1; key < n_key; ++key) {
      const std::size_t at = i * static_cast<std::size_t>(n_key) + key;
      if (fused) {
        reinterpret_cast<ggml_fp16_t*>(host_.back()->data())[at] = hidden_f16;
      } else {
        reinterpret_cast<float*>(host_.back()->data())[at] = hidden;
      }
    }
  }
  tensor = graph.input(fused ? GGML_TYPE_F16 : GGML_TYPE_F32, {n_key, static_cast<int64_t>(rows.size())},
                       host_.back()->data());
  return tensor;
}

void LlamaGraph::store(KvLayer& kv, ggml_tensor* k, ggml_tensor* v) {
  ggml_context* ctx = graph.ctx();
  const auto write = [&](ggml_tensor* rows, ggml_tensor* values) {
    ggml_tensor* slot = ggml_view_2d(ctx, rows, rows->ne[0], n_, rows->nb[1], rows->nb[1] * kv.n);
    graph.require(ggml_cpy(ctx, ggml_reshape_2d(ctx, values, config_.n_embd_kv(), n_), slot));
  };
  write(kv.k, k);
  write(kv.v, v);
}

/// Cached rows as heads: ne {d_head, n_key, n_head_kv}, a view.
ggml_tensor* LlamaGraph::cached(ggml_tensor* rows, int64_t n_key) const {
  const std::size_t head_bytes = ggml_row_size(rows->type, config_.d_head);
  return ggml_view_3d(graph.ctx(), rows, config_.d_head, n_key, config_.n_head_kv, rows->nb[1], head_bytes,
                      0);
}

/// Rotated, ne {d_head, n_head_kv, n}.
ggml_tensor* LlamaGraph::keys(ggml_tensor* h, const Layer& l, int32_t first_id) {
  ggml_tensor* k = linear(graph.ctx(), h, l.k_w, l.k_b);
  return rotate(ggml_reshape_3d(graph.ctx(), k, config_.d_head, config_.n_head_kv, n_), all_rows_, first_id);
}

/// Rotated, of rows h of the chunk, ne {d_head, n_row, n_head}.
ggml_tensor* LlamaGraph::queries(ggml_tensor* h, const Layer& l, const std::vector<int32_t>& rows,
                                 int32_t first_id) {
  ggml_context* ctx = graph.ctx();
  ggml_tensor* q = ggml_reshape_3d(ctx, linear(ctx, h, l.q_w, l.q_b), config_.d_head, config_.n_head,
                                   static_cast<int64_t>(rows.size()));
  return ggml_permute(ctx, rotate(q, rows, first_id), 0, 2, 1, 3);
}

/// The attention rows that somebody looks at, kTapRows at a time, so that a long text does not hold the
/// softmax of all its rows at once.
void LlamaGraph::tap(ggml_tensor* h, ggml_tensor* keys, const Layer& l, int32_t il) {
  ggml_context* ctx = graph.ctx();
  const KvLayer& kv = cache_.layer(il);
  for (const std::vector<int32_t>& rows : tap_rows_) {
    ggml_tensor* q = queries(pick(h, rows), l, rows, kv.next_id);
    ggml_tensor* all =
        attention_rows(ctx, q, keys, mask(rows, kv.n, false));  // ne {n_past + n, n_row, n_head}
    ggml_tensor* wanted =
        ggml_view_3d(ctx, all, chunk_.tap.n_key, all->ne[1], all->ne[2], all->nb[1], all->nb[2],
                     all->nb[0] * static_cast<std::size_t>(chunk_.tap.first_key));
    tapped.push_back(graph.output(ggml_cont(ctx, wanted)));
  }
}

ggml_tensor* LlamaGraph::self_attention(ggml_tensor* h, ggml_tensor* h_out, const Layer& l, int32_t il,
                                        const std::vector<int32_t>& out_rows) {
  ggml_context* ctx = graph.ctx();
  KvLayer& kv = cache_.layer(il);
  const int32_t n_past = kv.n;
  ggml_tensor* k = keys(h, l, kv.next_id);
  if (chunk_.tap.layer == il && chunk_.tap.keys) tapped_keys = graph.output(k);
  ggml_tensor* v = linear(ctx, h, l.v_w, l.v_b);
  store(kv, k, v);
  ggml_tensor* seen = cached(kv.k, n_past + n_);
  if (chunk_.tap.layer == il) tap(h, seen, l, il);
  if (out_rows.empty()) return nullptr;
  ggml_tensor* mixed = attention(ctx, queries(h_out, l, out_rows, kv.next_id), seen,
                                 cached(kv.v, n_past + n_), mask(out_rows, n_past, fused_), fused_);
  return linear(ctx, mixed, l.o_w, nullptr);
}

ggml_tensor* LlamaGraph::queries_alone(int32_t il) {
  const Layer l = find_layer(w_, il);
  ggml_tensor* x = graph.input(GGML_TYPE_F32, {config_.n_embd, n_}, chunk_.hidden.data());
  ggml_tensor* h = rms_norm(graph.ctx(), x, l.attn_norm, config_.eps);
  return ggml_cont(graph.ctx(), queries(h, l, all_rows_, cache_.layer(il).next_id));
}

ggml_tensor* LlamaGraph::key_logits_alone(int32_t il, ggml_tensor* q) {
  ggml_context* ctx = graph.ctx();
  const Layer l = find_layer(w_, il);
  ggml_tensor* x = graph.input(GGML_TYPE_F32, {config_.n_embd, n_}, chunk_.hidden.data());
  ggml_tensor* k = keys(rms_norm(ctx, x, l.attn_norm, config_.eps), l, cache_.layer(il).next_id);
  return ggml_mul_mat(ctx, ggml_permute(ctx, k, 0, 2, 1, 3), q);
}

ggml_tensor* LlamaGraph::cached_logits(int32_t il, ggml_tensor* q) const {
  const KvLayer& kv = cache_.layer(il);
  return ggml_mul_mat(graph.ctx(), ggml_cast(graph.ctx(), cached(kv.k, kv.n), GGML_TYPE_F32), q);
}

ggml_tensor* LlamaGraph::layer(ggml_tensor* x, int32_t il, const std::vector<int32_t>& out_rows) {
  ggml_context* ctx = graph.ctx();
  const Layer l = find_layer(w_, il);
  ggml_tensor* h = rms_norm(ctx, x, l.attn_norm, config_.eps);
  ggml_tensor* h_out = out_rows.empty() ? nullptr : pick(h, out_rows);
  ggml_tensor* mixed = self_attention(h, h_out, l, il, out_rows);
  if (mixed == nullptr) return nullptr;
  x = ggml_add(ctx, pick(x, out_rows), mixed);
  h = rms_norm(ctx, x, l.ffn_norm, config_.eps);
  h = ggml_swiglu_split(ctx, linear(ctx, h, l.gate_w, nullptr), linear(ctx, h, l.up_w, nullptr));
  x = ggml_add(ctx, x, linear(ctx, h, l.down_w, nullptr));
  graph.observe(fmt::format("llm.{}.out", il), x, {1, static_cast<int64_t>(out_rows.size()), config_.n_embd});
  return x;
}

ggml_tensor* LlamaGraph::build() {
  ggml_tensor* x = graph.input(GGML_TYPE_F32, {config_.n_embd, n_}, chunk_.hidden.data());
  for (int32_t il = chunk_.first_layer; il < chunk_.last_layer; ++il) {
    const bool last = il + 1 == chunk_.last_layer;
    const bool all = !last || static_cast<int64_t>(chunk_.out_rows.size()) == n_;
    x = layer(x, il, all ? all_rows_ : chunk_.out_rows);
  }
  if (x == nullptr || !chunk_.logits) return x == nullptr ? nullptr : graph.output(x);
  const auto n_out = static_cast<int64_t>(chunk_.out_rows.size());
  x = rms_norm(graph.ctx(), x, w_.at("output_norm.weight"), config_.eps);
  graph.observe("llm.norm", x, {1, n_out, config_.n_embd});
  x = linear(graph.ctx(), x, w_.at(config_.tied ? "token_embd.weight" : "output.weight"), nullptr);
  graph.observe("logits", x, {1, n_out, config_.n_vocab});
  return graph.output(x);
}

/// The tapped blocks of rows, ne {n_key, n_row of the block, n_head}, as one [n_head, n_row, n_key].
std::vector<float> read_taps(const LlamaGraph& llama, int32_t n_head, const LayerTap& tap) {
  const auto n_row = static_cast<int64_t>(tap.rows.size());
  std::vector<float> out(static_cast<std::size_t>(n_head * n_row * tap.n_key));
  int64_t first = 0;
  for (const ggml_tensor* block : llama.tapped) {
    const std::vector<float> values = llama.graph.read(block);
    const int64_t size = block->ne[1] * tap.n_key;
    for (int64_t head = 0; head < n_head; ++head) {
      std::copy_n(values.begin() + head * size, size, out.begin() + (head * n_row + first) * tap.n_key);
    }
    first += block->ne[1];
  }
  return out;
}

/// exp(scale * x) over its sum, of each row [n].
void softmax_rows(std::vector<float>& logits, int64_t n, double scale) {
  for (auto row = logits.begin(); row != logits.end(); row += n) {
    const auto top = static_cast<double>(*std::max_element(row, row + n));
    double sum = 0.0;
    for (auto x = row; x != row + n; ++x) {
      const double value = std::exp((static_cast<double>(*x) - top) * scale);
      sum += value;
      *x = static_cast<float>(value);
    }
    for (auto x = row; x != row + n; ++x) *x = static_cast<float>(static_cast<double>(*x) / sum);
  }
}

}  // namespace

LlamaConfig read_llama_config(const GgufFile& file) {
  const std::string arch = file.text("general.architecture");
  WINNOW_CHECK(arch == "llama" || arch == "qwen2" || arch == "qwen2vl", Unsupported, kWhere,
               "{}: architecture, got '{}', expected 'llama', 'qwen2' or 'qwen2vl'{}", file.path(), arch,
               arch == "clip" ? " (this is an mmproj file: give it with --mmproj)" : "");
  const ArchKeys key(arch);
  LlamaConfig c;
  c.arch = arch;
  const auto number = [&](const char* name, int64_t max) {
    return static_cast<int32_t>(file.integer(key(name), 1, max));
  };
  c.n_layer = number("block_count", 1024);
  c.n_embd = number("embedding_length", 1 << 18);
  c.n_ff = number("feed_forward_length", 1 << 20);
  c.n_head = number("attention.head_count", c.n_embd);
  c.n_ctx = number("context_length", 1 << 30);
  c.n_head_kv = static_cast<int32_t>(file.integer_or(key("attention.head_count_kv"), 1, c.n_head, c.n_head));
  WINNOW_CHECK(c.n_head % c.n_head_kv == 0, Corrupt, kWhere, "{}: {} heads do not divide into {} key heads",
               file.path(), c.n_head, c.n_head_kv);
  const int64_t d_head = c.n_embd / c.n_head;
  c.d_head = static_cast<int32_t>(file.integer_or(key("attention.key_length"), 1, 4096, d_head));
  const int64_t d_value = file.integer_or(key("attention.value_length"), 1, 4096, c.d_head);
  WINNOW_CHECK(d_value == c.d_head, Unsupported, kWhere, "{}: keys of {} and values of {} dimensions differ",
               file.path(), c.d_head, d_value);
  WINNOW_CHECK(file.integer_or(key("expert_count"), 0, 1 << 20, 0) == 0, Unsupported, kWhere,
               "{}: mixture-of-experts models are not supported", file.path());
  c.eps = static_cast<float>(file.real(key("attention.layer_norm_rms_epsilon")));
  WINNOW_CHECK(c.eps > 0.0f && c.eps < 1.0f, Corrupt, kWhere, "{}: RMS norm epsilon, got {}, expected 0 to 1",
               file.path(), c.eps);
  c.rope = read_rope(file, key, c.d_head, c.n_ctx);
  c.rope.halves = arch == "qwen2";
  if (arch == "qwen2vl") read_sections(file, key("rope.dimension_sections"), c.rope);
  const GgufTensor* embd = file.find("token_embd.weight");
  WINNOW_CHECK(embd != nullptr, NotFound, kWhere, "{}: tensor 'token_embd.weight' is missing", file.path());
  c.n_vocab = static_cast<int32_t>(embd->ne[1]);
  c.tied = file.find("output.weight") == nullptr;
  check_tensors(file, {{"token_embd.weight", {c.n_vocab, c.n_embd}}});
  return c;
}

std::vector<TensorSpec> llama_tensors(const LlamaConfig& c) {
  constexpr WeightUse kMatrix = WeightUse::Matrix;
  std::vector<TensorSpec> table = {
      {"output_norm.weight", {c.n_embd}},
      {c.tied ? "token_embd.weight" : "output.weight", {c.n_vocab, c.n_embd}, WeightUse::OutputHead},
      {"rope_freqs.weight", {c.rope.n_dims / 2}, WeightUse::Small, true},
  };
  const int64_t n_q = static_cast<int64_t>(c.n_head) * c.d_head;
  for (int32_t il = 0; il < c.n_layer; ++il) {
    const auto name = [&](std::string_view part) { return fmt::format("blk.{}.{}", il, part); };
    table.push_back({name("attn_norm.weight"), {c.n_embd}});
    table.push_back({name("attn_q.weight"), {n_q, c.n_embd}, kMatrix});
    table.push_back({name("attn_q.bias"), {n_q}, WeightUse::Small, true});
    for (const char* part : {"attn_k", "attn_v"}) {
      table.push_back({name(part) + ".weight", {c.n_embd_kv(), c.n_embd}, kMatrix});
      table.push_back({name(part) + ".bias", {c.n_embd_kv()}, WeightUse::Small, true});
    }
    table.push_back({name("attn_output.weight"), {c.n_embd, n_q}, kMatrix});
    table.push_back({name("ffn_norm.weight"), {c.n_embd}});
    table.push_back({name("ffn_gate.weight"), {c.n_ff, c.n_embd}, kMatrix});
    table.push_back({name("ffn_up.weight"), {c.n_ff, c.n_embd}, kMatrix});
    table.push_back({name("ffn_down.weight"), {c.n_embd, c.n_ff}, kMatrix});
  }
  return table;
}

std::vector<float> embed_tokens(const LlamaConfig& config, const GgufFile& file,
                                std::span<const int32_t> ids) {
  const GgufTensor& table = *file.find("token_embd.weight");
  const auto bytes = file.bytes(table);
  const std::size_t row_bytes = ggml_row_size(table.type, config.n_embd);
  std::vector<float> out(ids.size() * static_cast<std::size_t>(config.n_embd));
  for (std::size_t i = 0; i < ids.size(); ++i) {
    WINNOW_CHECK(ids[i] >= 0 && ids[i] < config.n_vocab, InvalidArgument, kWhere,
                 "token id, got {}, expected 0 to {}", ids[i], config.n_vocab - 1);
    rows_to_f32(bytes.data() + row_bytes * static_cast<std::size_t>(ids[i]), table.type, 1, config.n_embd,
                out.data() + i * static_cast<std::size_t>(config.n_embd));
  }
  return out;
}

DecoderOutput run_llama(const LlamaConfig& config, const Weights& weights, const DecoderChunk& chunk,
                        KvCache& cache, const Execution& execution) {
  const auto n = static_cast<int32_t>(chunk.ids.size());
  for (int32_t il = chunk.first_layer; il < chunk.last_layer; ++il) cache.reserve(il, cache.layer(il).n + n);
  LlamaGraph llama(config, weights, chunk, cache, execution);
  ggml_tensor* result = llama.build();
  llama.graph.run(execution.backends);

  DecoderOutput out;
  if (result != nullptr) out.hidden = llama.graph.read(result);
  if (!llama.tapped.empty()) out.attention = read_taps(llama, config.n_head, chunk.tap);
  if (llama.tapped_keys != nullptr) out.keys = llama.graph.read(llama.tapped_keys);
  for (int32_t il = chunk.first_layer; il < chunk.last_layer; ++il) cache.layer(il).n += n;
  return out;
}

std::vector<float> last_row_attention(const LlamaConfig& config, const Weights& weights, int32_t layer,
                                      std::span<const float> hidden, const PositionIds& ids, int32_t n_batch,
                                      KvCache& cache, const Execution& execution) {
  const auto width = static_cast<std::size_t>(config.n_embd);
  const int64_t n_past = cache.layer(layer).n;
  const int64_t n_key = n_past + static_cast<int64_t>(ids.size());
  std::vector<float> logits(static_cast<std::size_t>(config.n_head * n_key));  // [n_head, n_key]
  const auto keep = [&](const std::vector<float>& part, int64_t first, int64_t n) {
    for (int64_t head = 0; head < config.n_head; ++head) {
      std::copy_n(part.begin() + head * n, n, logits.begin() + head * n_key + first);
    }
  };
  const auto chunk_of = [&](std::size_t first, std::size_t n) {
    DecoderChunk chunk;
    chunk.hidden = hidden.subspan(first * width, n * width);
    chunk.ids = ids.part(first, n);
    return chunk;
  };

  const DecoderChunk last = chunk_of(ids.size() - 1, 1);
  LlamaGraph query(config, weights, last, cache, execution);
  ggml_tensor* q = query.graph.output(query.queries_alone(layer));
  ggml_tensor* past = n_past > 0 ? query.graph.output(query.cached_logits(layer, q)) : nullptr;
  query.graph.run(execution.backends);
  const std::vector<float> q_values = query.graph.read(q);
  if (past != nullptr) keep(query.graph.read(past), 0, n_past);

  for (std::size_t first = 0; first < ids.size(); first += static_cast<std::size_t>(n_batch)) {
    const std::size_t n = std::min(static_cast<std::size_t>(n_batch), ids.size() - first);
    const DecoderChunk chunk = chunk_of(first, n);
    LlamaGraph part(config, weights, chunk, cache, execution);
    ggml_tensor* input = part.graph.input(GGML_TYPE_F32, {config.d_head, 1, config.n_head}, q_values.data());
    ggml_tensor* result = part.graph.output(part.key_logits_alone(layer, input));
    part.graph.run(execution.backends);
    keep(part.graph.read(result), n_past + static_cast<int64_t>(first), static_cast<int64_t>(n));
  }
  softmax_rows(logits, n_key, 1.0 / std::sqrt(static_cast<double>(config.d_head)));
  return logits;
}

std::vector<float> final_norm(const LlamaConfig& config, const GgufFile& file, std::span<const float> rows) {
  const auto width = static_cast<std::size_t>(config.n_embd);
  const GgufTensor& stored = *file.find("output_norm.weight");
  std::vector<float> weight(width);
  rows_to_f32(file.bytes(stored).data(), stored.type, 1, config.n_embd, weight.data());
  std::vector<float> out(rows.begin(), rows.end());
  for (std::size_t first = 0; first < out.size(); first += width) {
    double squares = 0.0;
    for (std::size_t c = 0; c < width; ++c) squares += static_cast<double>(out[first + c] * out[first + c]);
    const auto mean = static_cast<float>(squares / static_cast<double>(width));
    const float scale = 1.0f / std::sqrt(mean + config.eps);
    for (std::size_t c = 0; c < width; ++c) out[first + c] *= scale * weight[c];
  }
  return out;
}

}  // namespace winnow::engine
