#include "winnow/engine/vision/clip_text.h"

#include <algorithm>
#include <limits>

#include "winnow/base/error.h"

namespace winnow::engine {
namespace {

constexpr const char* kWhere = "engine.clip_text";
constexpr const char* kTokenEmbedding = "t.token_embd.weight";

/// Token embeddings, [n, n_embd].
std::vector<float> embed(const ClipTextConfig& config, const GgufFile& file, std::span<const int32_t> ids) {
  const GgufTensor& table = *file.find(kTokenEmbedding);
  const auto bytes = file.bytes(table);
  const std::size_t row_bytes = ggml_row_size(table.type, config.n_embd);
  const auto width = static_cast<std::size_t>(config.n_embd);
  std::vector<float> out(ids.size() * width);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const auto at = static_cast<std::size_t>(ids[i]) * row_bytes;
    rows_to_f32(bytes.data() + at, table.type, 1, config.n_embd, out.data() + i * width);
  }
  return out;
}

/// [n, n] added to the logits: a token sees those up to itself.
std::vector<float> causal_mask(std::size_t n) {
  std::vector<float> mask(n * n, 0.0F);
  for (std::size_t row = 0; row < n; ++row) {
    for (std::size_t key = row + 1; key < n; ++key) {
      mask[row * n + key] = -std::numeric_limits<float>::infinity();
    }
  }
  return mask;
}

}  // namespace

std::optional<ClipTextConfig> read_clip_text_config(const GgufFile& file) {
  if (!file.boolean_or("clip.has_text_encoder", false)) return std::nullopt;
  ClipTextConfig c;
  c.n_ctx = static_cast<int32_t>(file.integer("clip.text.context_length", 2, 1 << 16));
  c.n_embd = static_cast<int32_t>(file.integer("clip.text.embedding_length", 1, 1 << 16));
  c.n_ff = static_cast<int32_t>(file.integer("clip.text.feed_forward_length", 1, 1 << 18));
  c.n_joint = static_cast<int32_t>(file.integer("clip.text.projection_dim", 1, 1 << 16));
  c.n_layer = static_cast<int32_t>(file.integer("clip.text.block_count", 1, 1024));
  c.n_head = static_cast<int32_t>(file.integer("clip.text.attention.head_count", 1, c.n_embd));
  c.eps = static_cast<float>(file.real("clip.text.attention.layer_norm_epsilon"));
  WINNOW_CHECK(c.eps > 0.0f && c.eps < 1.0f, Corrupt, kWhere,
               "{}: layer norm epsilon of the text tower, got {}, expected 0 to 1", file.path(), c.eps);
  WINNOW_CHECK(c.n_embd % c.n_head == 0, Corrupt, kWhere,
               "{}: width {} of the text tower does not divide into {} heads", file.path(), c.n_embd,
               c.n_head);
  c.use_gelu = file.boolean_or("clip.use_gelu", false);
  c.ffn_swapped = stores_ffn_swapped(file, c.block());
  return c;
}

std::vector<TensorSpec> clip_text_tensors(const ClipTextConfig& c) {
  std::vector<TensorSpec> table = {
      {"t.position_embd.weight", {c.n_ctx, c.n_embd}},
      {"t.post_ln.weight", {c.n_embd}},
      {"t.post_ln.bias", {c.n_embd}},
      {"text_projection.weight", {c.n_joint, c.n_embd}, WeightUse::Matrix},
  };
  for (int32_t il = 0; il < c.n_layer; ++il) add_block_tensors(table, c.block(), il);
  return table;
}

TensorSpec clip_token_embedding(const ClipTextConfig& config, int32_t n_vocab) {
  return {kTokenEmbedding, {n_vocab, config.n_embd}};
}

std::vector<std::vector<int32_t>> clip_segments(std::span<const int32_t> ids, int32_t n_ctx,
                                                int32_t end_token) {
  std::vector<std::vector<int32_t>> segments;
  while (!ids.empty()) {
    const auto segment = ids.first(std::min(ids.size(), static_cast<std::size_t>(n_ctx)));
    ids = ids.subspan(segment.size());
    auto read = std::find(segment.begin(), segment.end(), end_token);
    if (read == segment.end()) read = std::max_element(segment.begin(), segment.end());
    segments.emplace_back(segment.begin(), read + 1);
  }
  return segments;
}

std::vector<float> run_clip_text(const ClipTextConfig& config, const Weights& weights, const GgufFile& file,
                                 std::span<const int32_t> ids, const Execution& execution) {
  const auto n = static_cast<int64_t>(ids.size());
  WINNOW_ASSERT(n >= 1 && n <= config.n_ctx);
  Graph graph(static_cast<std::size_t>(config.n_layer) * 64 + 64, execution.observer);
  ggml_context* ctx = graph.ctx();
  const std::vector<float> embedded = embed(config, file, ids);
  const std::vector<float> hidden_keys = causal_mask(ids.size());
  ggml_tensor* positions = weights.at("t.position_embd.weight");
  ggml_tensor* x = ggml_add(ctx, graph.input(GGML_TYPE_F32, {config.n_embd, n}, embedded.data()),
                            ggml_view_2d(ctx, positions, config.n_embd, n, positions->nb[1], 0));
  ggml_tensor* mask = graph.input(GGML_TYPE_F32, {n, n}, hidden_keys.data());
  if (execution.fused) mask = ggml_cast(ctx, mask, GGML_TYPE_F16);
  const ClipBlocks blocks(config.block(), weights, execution.fused);
  for (int32_t il = 0; il < config.n_layer; ++il) {
    ggml_tensor* h = blocks.norm1(ctx, x, il);
    x = ggml_add(ctx, x, blocks.attend(ctx, h, blocks.query_key(ctx, h, il), mask, il));
    x = ggml_add(ctx, x, blocks.mlp(ctx, x, il));
  }
  x = ggml_view_2d(ctx, x, config.n_embd, 1, x->nb[1], static_cast<std::size_t>(n - 1) * x->nb[1]);
  x = layer_norm(ctx, x, weights.at("t.post_ln.weight"), weights.at("t.post_ln.bias"), config.eps);
  ggml_tensor* joint = graph.output(linear(ctx, x, weights.at("text_projection.weight"), nullptr));
  graph.run(execution.backends);
  return graph.read(joint);
}

}  // namespace winnow::engine
