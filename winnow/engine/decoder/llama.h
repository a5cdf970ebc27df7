#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "winnow/engine/gguf.h"
#include "winnow/engine/graph.h"
#include "winnow/engine/kv_cache.h"
#include "winnow/engine/weights.h"

namespace winnow::engine {

/// Rotary embedding with the scaling kinds of GGUF's rope.scaling.* keys (none, linear, yarn).
struct RopeConfig {
  int32_t n_dims = 0;
  float freq_base = 10000.0f;
  bool halves = false;  ///< dimension i turns with i + n_dims / 2 (files of qwen2), not 2i with 2i + 1
  /// M-RoPE (Wang et al. 2024, arXiv 2409.12191): how many of the n_dims / 2 pairs turn by the time, row and
  /// column of a token; all 0: they turn by its one id.
  std::array<int32_t, 4> sections{};
  float freq_scale = 1.0f;
  float ext_factor = 0.0f;  ///< 1: YaRN (Peng et al. 2023, arXiv 2309.00071)
  float attn_factor = 1.0f;
  float beta_fast = 32.0f;
  float beta_slow = 1.0f;
  int32_t n_ctx_orig = 0;

  bool has_axes() const { return sections[0] + sections[1] + sections[2] > 0; }
};

/// Llama decoder (Touvron et al. 2023, arXiv 2302.13971), read from a text model's llama.* keys, or Qwen2's
/// from qwen2.*: the same with biases, or Qwen2-VL's from qwen2vl.*: M-RoPE as well.
struct LlamaConfig {
  std::string arch = "llama";
  int32_t n_layer = 0;
  int32_t n_embd = 0;
  int32_t n_ff = 0;
  int32_t n_head = 0;
  int32_t n_head_kv = 0;
  int32_t d_head = 0;
  int32_t n_vocab = 0;
  int32_t n_ctx = 0;  ///< trained context length
  float eps = 1e-5f;
  bool tied = false;  ///< the output head is the token embedding
  RopeConfig rope;

  int32_t n_embd_kv() const { return n_head_kv * d_head; }
};

/// Throws NotFound, Corrupt, Unsupported.
LlamaConfig read_llama_config(const GgufFile& file);
/// Everything but the token embedding, which stays in the file and is read row by row (embed_tokens).
std::vector<TensorSpec> llama_tensors(const LlamaConfig& config);

/// Rows of the token embedding as float32, [ids, n_embd]. Throws InvalidArgument for an id outside the
/// vocabulary.
std::vector<float> embed_tokens(const LlamaConfig& config, const GgufFile& file,
                                std::span<const int32_t> ids);

/// Position ids of tokens, [n] each; each layer adds its own next_id. Rows and columns are for M-RoPE;
/// without them they are the token's id in time, as those of text are.
struct PositionIds {
  std::span<const int32_t> time;
  std::span<const int32_t> row{};
  std::span<const int32_t> col{};

  std::size_t size() const { return time.size(); }
  PositionIds part(std::size_t first, std::size_t n) const {
    const auto of = [&](std::span<const int32_t> ids) { return ids.empty() ? ids : ids.subspan(first, n); };
    return {of(time), of(row), of(col)};
  }
};

/// What is read beside one layer of a chunk.
struct LayerTap {
  int32_t layer = -1;         ///< -1: nothing
  std::vector<int32_t> rows;  ///< queries whose attention is wanted, indices into the chunk
  int32_t first_key = 0;      ///< the keys it is wanted to, counted from the first cached token
  int32_t n_key = 0;
  bool keys = false;  ///< the rotated keys of the whole chunk too
};

/// A run of consecutive tokens through layers [first_layer, last_layer).
struct DecoderChunk {
  std::span<const float> hidden;  ///< [n, n_embd] what enters first_layer
  PositionIds ids;                ///< [n]
  int32_t first_layer = 0;
  int32_t last_layer = 0;
  std::vector<int32_t>
      out_rows;         ///< rows wanted from the last layer; the others only leave keys and values there
  bool logits = false;  ///< final norm and output head on out_rows instead of hidden states
  LayerTap tap;
};

struct DecoderOutput {
  std::vector<float> hidden;     // [out_rows, n_embd], or [out_rows, n_vocab] with logits
  std::vector<float> attention;  // [n_head, tap.rows, tap.n_key], 0 behind the query itself
  std::vector<float> keys;       // [n, n_embd_kv] in f32, whatever the cache's type is
};

/// Runs a chunk and appends its keys and values to the cache. The caller advances next_id when the whole
/// prompt is in.
DecoderOutput run_llama(const LlamaConfig& config, const Weights& weights, const DecoderChunk& chunk,
                        KvCache& cache, const Execution& execution);

/// Attention that the last token of a sequence would pay in a layer: from the layer's own norm, queries, keys
/// and rotation, without running or caching anything else. hidden [n, n_embd] enters the layer, ids [n] as in
/// DecoderChunk, n_batch rows go into one graph. Returns [n_head, n_past + n], n_past the layer's cached
/// tokens.
std::vector<float> last_row_attention(const LlamaConfig& config, const Weights& weights, int32_t layer,
                                      std::span<const float> hidden, const PositionIds& ids, int32_t n_batch,
                                      KvCache& cache, const Execution& execution);

/// The norm in front of the output head, on the host: rows [n, n_embd] -> [n, n_embd].
std::vector<float> final_norm(const LlamaConfig& config, const GgufFile& file, std::span<const float> rows);

}  // namespace winnow::engine
