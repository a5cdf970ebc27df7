// CLIP ViT forward pass, equal to transformers' CLIPVisionTransformer: [CLS] first, positions, pre-LayerNorm,
// then blocks of x + attention(LN(x)) and x + mlp(LN(x)).

#include "winnow/engine/vision/clip.h"

#include <cmath>

#include "winnow/base/error.h"

namespace winnow::engine {
namespace {

constexpr const char* kWhere = "engine.clip";

std::array<float, 3> three_numbers(const GgufFile& file, const std::string& key) {
  const auto values = file.numbers(key);
  WINNOW_CHECK(values.size() == 3, Corrupt, kWhere, "{}: key '{}', got {} values, expected 3", file.path(),
               key, values.size());
  for (const double value : values) {
    WINNOW_CHECK(std::abs(value) < 1e6, Corrupt, kWhere, "{}: key '{}', got {}, expected a small number",
                 file.path(), key, value);
  }
  return {static_cast<float>(values[0]), static_cast<float>(values[1]), static_cast<float>(values[2])};
}

/// Number of blocks to run of those stored. See read_clip_config.
int32_t blocks_to_run(const GgufFile& file, int32_t n_stored, int32_t feature_blocks) {
  const std::string key = "clip.vision.feature_layer";
  int64_t n = n_stored % 2 == 1 ? n_stored : n_stored - 1;
  if (file.has(key)) {
    const auto layers = file.numbers(key);
    WINNOW_CHECK(layers.size() == 1, Unsupported, kWhere,
                 "{}: key '{}' names {} layers, expected one (several feature layers are not supported)",
                 file.path(), key, layers.size());
    WINNOW_CHECK(std::abs(layers[0]) <= 1024, Corrupt, kWhere, "{}: key '{}', got {}, expected a block",
                 file.path(), key, layers[0]);
    n = static_cast<int64_t>(layers[0]);
    if (n < 0) n += n_stored + 1;  // transformers counts hidden_states, the input of block 0 being number 0
  }
  if (feature_blocks > 0) n = feature_blocks;
  WINNOW_CHECK(n >= 1 && n <= n_stored, Corrupt, kWhere,
               "{}: features of block {} are wanted, the file stores {} blocks", file.path(), n, n_stored);
  return static_cast<int32_t>(n);
}

/// Tensors of one block, looked up once.
struct Block {
  ggml_tensor *ln1_w, *ln1_b, *q_w, *q_b, *k_w, *k_b, *v_w, *v_b, *o_w, *o_b, *ln2_w, *ln2_b, *up_w, *up_b,
      *down_w, *down_b;
};

Block find_block(const ClipConfig& config, const Weights& w, int32_t il) {
  const auto at = [&](const char* name) { return w.at(fmt::format("v.blk.{}.{}", il, name)); };
  const char* up = config.ffn_swapped ? "ffn_down" : "ffn_up";
  const char* down = config.ffn_swapped ? "ffn_up" : "ffn_down";
  const auto ffn = [&](const char* which, const char* kind) {
    return w.at(fmt::format("v.blk.{}.{}.{}", il, which, kind));
  };
  return {at("ln1.weight"),      at("ln1.bias"),      at("attn_q.weight"), at("attn_q.bias"),
          at("attn_k.weight"),   at("attn_k.bias"),   at("attn_v.weight"), at("attn_v.bias"),
          at("attn_out.weight"), at("attn_out.bias"), at("ln2.weight"),    at("ln2.bias"),
          ffn(up, "weight"),     ffn(up, "bias"),     ffn(down, "weight"), ffn(down, "bias")};
}

/// x * sigmoid(1.702 x), written with silu: ggml's own quick GELU goes through an f16 table.
ggml_tensor* quick_gelu(ggml_context* ctx, ggml_tensor* x) {
  constexpr float kSlope = 1.702f;
  return ggml_scale(ctx, ggml_silu(ctx, ggml_scale(ctx, x, kSlope)), 1.0f / kSlope);
}

/// Patches cut out on the host, [n_patch, 3 * patch * patch], so that the embedding is one matrix product.
std::vector<float> cut_patches(const ClipConfig& config, const Pixels& pixels) {
  const int32_t size = config.image_size_px;
  const int32_t patch = config.patch_size_px;
  const int32_t side = size / patch;
  std::vector<float> out;
  out.reserve(static_cast<std::size_t>(config.n_patch()) * 3 * patch * patch);
  for (int32_t token = 0; token < side * side; ++token) {
    const int32_t top = token / side * patch;
    const int32_t left = token % side * patch;
    for (int32_t row = 0; row < 3 * patch; ++row) {
      const int64_t channel = row / patch;
      const int64_t start = (channel * size + top + row % patch) * size + left;
      out.insert(out.end(), pixels.values.begin() + start, pixels.values.begin() + start + patch);
    }
  }
  return out;
}

struct Wanted {
  TowerSignal signal;
  ggml_tensor* tensor;
};

/// The tower's graph while it grows.
class ClipGraph {
 public:
  ClipGraph(const ClipConfig& config, const Weights& weights, const Execution& execution)
      : graph(static_cast<std::size_t>(config.n_layer_run) * 64 + 256, execution.observer),
        config_(config),
        w_(weights),
        fused_(execution.fused),
        n_(config.n_patch() + 1) {}

  ggml_tensor* embed(const std::vector<float>& patches);
  ggml_tensor* block(ggml_tensor* x, int32_t il, const TowerRequest& request);

  Graph graph;
  std::vector<Wanted> wanted;

 private:
  ggml_tensor* heads(ggml_tensor* x) const;
  void tap(const prune::Need& need, ggml_tensor* q, ggml_tensor* k, ggml_tensor* keys);

  const ClipConfig& config_;
  const Weights& w_;
  bool fused_;
  int64_t n_;  ///< tokens including [CLS]
};

ggml_tensor* ClipGraph::embed(const std::vector<float>& patches) {
  ggml_context* ctx = graph.ctx();
  const int64_t n_in = int64_t{3} * config_.patch_size_px * config_.patch_size_px;
  ggml_tensor* input = graph.input(GGML_TYPE_F32, {n_in, config_.n_patch()}, patches.data());
  ggml_tensor* kernel = ggml_reshape_2d(ctx, w_.at("v.patch_embd.weight"), n_in, config_.n_embd);
  ggml_tensor* x = linear(ctx, input, kernel, w_.at("v.patch_embd.bias"));
  ggml_tensor* cls = ggml_reshape_2d(ctx, w_.at("v.class_embd"), config_.n_embd, 1);
  x = ggml_add(ctx, ggml_concat(ctx, cls, x, 1), w_.at("v.position_embd.weight"));
  graph.observe("vis.embed", x, {1, n_, config_.n_embd});
  x = layer_norm(ctx, x, w_.at("v.pre_ln.weight"), w_.at("v.pre_ln.bias"), config_.eps);
  graph.observe("vis.in", x, {1, n_, config_.n_embd});
  return x;
}

/// ne {n_embd, n} -> {d_head, n, n_head}
ggml_tensor* ClipGraph::heads(ggml_tensor* x) const {
  ggml_tensor* split = ggml_reshape_3d(graph.ctx(), x, config_.n_embd / config_.n_head, config_.n_head, n_);
  return ggml_permute(graph.ctx(), split, 0, 2, 1, 3);
}

void ClipGraph::tap(const prune::Need& need, ggml_tensor* q, ggml_tensor* k, ggml_tensor* keys) {
  ggml_context* ctx = graph.ctx();
  ggml_tensor* out = keys;  // ne {n_embd, n}
  if (need.signal == prune::Signal::ClsAttention) {
    ggml_tensor* cls = ggml_view_3d(ctx, q, q->ne[0], 1, q->ne[2], q->nb[1], q->nb[2], 0);
    out = attention_rows(ctx, cls, k, nullptr);  // ne {n, 1, n_head}
  } else if (need.signal == prune::Signal::ColumnAttention) {
    ggml_tensor* map = attention_rows(ctx, q, k, nullptr);                     // ne {n key, n query, n_head}
    out = ggml_mean(ctx, ggml_cont(ctx, ggml_permute(ctx, map, 1, 0, 2, 3)));  // ne {1, n key, n_head}
  }
  wanted.push_back({{need, config_.n_head, {}}, graph.output(ggml_cont(ctx, out))});
}

ggml_tensor* ClipGraph::block(ggml_tensor* x, int32_t il, const TowerRequest& request) {
  ggml_context* ctx = graph.ctx();
  const Block b = find_block(config_, w_, il);
  ggml_tensor* h = layer_norm(ctx, x, b.ln1_w, b.ln1_b, config_.eps);
  ggml_tensor* keys = linear(ctx, h, b.k_w, b.k_b);
  ggml_tensor* q = heads(linear(ctx, h, b.q_w, b.q_b));
  ggml_tensor* k = heads(keys);
  ggml_tensor* v = heads(linear(ctx, h, b.v_w, b.v_b));
  for (const prune::Need& need : request.needs) {
    const int32_t wanted_block = need.block >= 0 ? need.block : config_.n_layer + need.block;
    if (wanted_block == il) tap(need, q, k, keys);
  }
  if (fused_) {
    k = ggml_cast(ctx, k, GGML_TYPE_F16);
    v = ggml_cast(ctx, v, GGML_TYPE_F16);
  }
  ggml_tensor* mixed = attention(ctx, q, k, v, nullptr, fused_);
  x = ggml_add(ctx, x, linear(ctx, mixed, b.o_w, b.o_b));
  h = layer_norm(ctx, x, b.ln2_w, b.ln2_b, config_.eps);
  h = linear(ctx, h, b.up_w, b.up_b);
  h = config_.use_gelu ? ggml_gelu_erf(ctx, h) : quick_gelu(ctx, h);
  x = ggml_add(ctx, x, linear(ctx, h, b.down_w, b.down_b));
  graph.observe(fmt::format("vis.{}.out", il), x, {1, n_, config_.n_embd});
  return x;
}

/// Drops the [CLS] column (attention) or row (keys).
TowerSignal without_cls(const Wanted& item, const Graph& graph, const ClipConfig& config) {
  const std::vector<float> all = graph.read(item.tensor);
  TowerSignal signal = item.signal;
  const bool keys = signal.need.signal == prune::Signal::TowerKeys;
  const int64_t n = config.n_patch();
  if (keys) {
    signal.rows = n;
    signal.values.assign(all.begin() + config.n_embd, all.end());
    return signal;
  }
  for (int64_t head = 0; head < config.n_head; ++head) {
    const auto row = all.begin() + head * (n + 1);
    signal.values.insert(signal.values.end(), row + 1, row + n + 1);
  }
  return signal;
}

}  // namespace

ClipConfig read_clip_config(const GgufFile& file, int32_t feature_blocks) {
  const std::string arch = file.text("general.architecture");
  WINNOW_CHECK(arch == "clip", Unsupported, kWhere,
               "{}: architecture, got '{}', expected 'clip' (is this the text model?)", file.path(), arch);
  WINNOW_CHECK(file.boolean_or("clip.has_vision_encoder", true), Unsupported, kWhere,
               "{}: the file has no vision encoder", file.path());
  ClipConfig c;
  c.image_size_px = static_cast<int32_t>(file.integer("clip.vision.image_size", 1, 8192));
  c.patch_size_px = static_cast<int32_t>(file.integer("clip.vision.patch_size", 1, c.image_size_px));
  c.n_embd = static_cast<int32_t>(file.integer("clip.vision.embedding_length", 1, 1 << 16));
  c.n_ff = static_cast<int32_t>(file.integer("clip.vision.feed_forward_length", 1, 1 << 18));
  c.n_head = static_cast<int32_t>(file.integer("clip.vision.attention.head_count", 1, c.n_embd));
  c.n_layer_stored = static_cast<int32_t>(file.integer("clip.vision.block_count", 1, 1024));
  c.eps = static_cast<float>(file.real("clip.vision.attention.layer_norm_epsilon"));
  WINNOW_CHECK(c.eps > 0.0f && c.eps < 1.0f, Corrupt, kWhere,
               "{}: layer norm epsilon, got {}, expected 0 to 1", file.path(), c.eps);
  c.use_gelu = file.boolean_or("clip.use_gelu", false);
  WINNOW_CHECK(!file.boolean_or("clip.use_silu", false), Unsupported, kWhere,
               "{}: activation silu, expected gelu or quick gelu", file.path());
  c.mean = three_numbers(file, "clip.vision.image_mean");
  c.std = three_numbers(file, "clip.vision.image_std");
  for (const float s : c.std) {
    WINNOW_CHECK(s > 0.0f, Corrupt, kWhere, "{}: image_std, got {}, expected > 0", file.path(), s);
  }
  WINNOW_CHECK(c.n_embd % c.n_head == 0, Corrupt, kWhere, "{}: width {} does not divide into {} heads",
               file.path(), c.n_embd, c.n_head);
  c.n_layer = blocks_to_run(file, c.n_layer_stored, feature_blocks);
  c.n_layer_run = c.n_layer;
  const GgufTensor* up = file.find("v.blk.0.ffn_up.weight");
  c.ffn_swapped = up != nullptr && c.n_ff != c.n_embd && up->ne[0] == c.n_ff;
  return c;
}

std::vector<TensorSpec> clip_tensors(const ClipConfig& c) {
  constexpr WeightUse kMatrix = WeightUse::Matrix;
  const int64_t d = c.n_embd;
  const int64_t ff = c.n_ff;
  std::vector<TensorSpec> table = {
      {"v.class_embd", {d}},
      {"v.patch_embd.weight", {d, 3, c.patch_size_px, c.patch_size_px}},
      {"v.patch_embd.bias", {d}, WeightUse::Small, true},
      {"v.position_embd.weight", {c.n_patch() + 1, d}},
      {"v.pre_ln.weight", {d}},
      {"v.pre_ln.bias", {d}},
  };
  const char* up = c.ffn_swapped ? "ffn_down" : "ffn_up";
  const char* down = c.ffn_swapped ? "ffn_up" : "ffn_down";
  for (int32_t il = 0; il < c.n_layer_run; ++il) {
    const auto name = [&](std::string_view part) { return fmt::format("v.blk.{}.{}", il, part); };
    for (const char* part : {"attn_q", "attn_k", "attn_v", "attn_out"}) {
      table.push_back({name(part) + ".weight", {d, d}, kMatrix});
      table.push_back({name(part) + ".bias", {d}});
    }
    for (const char* part : {"ln1", "ln2"}) {
      table.push_back({name(part) + ".weight", {d}});
      table.push_back({name(part) + ".bias", {d}});
    }
    table.push_back({name(up) + ".weight", {ff, d}, kMatrix});
    table.push_back({name(up) + ".bias", {ff}});
    table.push_back({name(down) + ".weight", {d, ff}, kMatrix});
    table.push_back({name(down) + ".bias", {d}});
  }
  return table;
}

TowerOutput run_clip(const ClipConfig& config, const Weights& weights, const Pixels& pixels,
                     const TowerRequest& request, const Execution& execution) {
  for (const prune::Need& need : request.needs) {
    WINNOW_CHECK(need.block >= -config.n_layer && need.block < config.n_layer_run, InvalidArgument, kWhere,
                 "{} of tower block {} is wanted, the tower runs blocks 0 to {}",
                 prune::signal_name(need.signal), need.block, config.n_layer_run - 1);
  }
  ClipGraph clip(config, weights, execution);
  const std::vector<float> patches = cut_patches(config, pixels);
  ggml_tensor* x = clip.embed(patches);
  ggml_tensor* last = x;
  for (int32_t il = 0; il < config.n_layer_run; ++il) {
    x = clip.block(x, il, request);
    if (il + 1 == config.n_layer) last = x;
  }
  ggml_tensor* without_first =
      ggml_view_2d(clip.graph.ctx(), last, last->ne[0], config.n_patch(), last->nb[1], last->nb[1]);
  ggml_tensor* selected = clip.graph.output(ggml_cont(clip.graph.ctx(), without_first));
  clip.graph.observe("selected", selected, {1, config.n_patch(), config.n_embd});
  clip.graph.run(execution.backends);

  TowerOutput out;
  out.features = clip.graph.read(selected);
  for (const Wanted& item : clip.wanted) out.signals.push_back(without_cls(item, clip.graph, config));
  return out;
}

}  // namespace winnow::engine
