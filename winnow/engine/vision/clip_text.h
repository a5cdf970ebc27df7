#pragma once

// CLIP's text tower (Radford et al. 2021, arXiv 2103.00020), read from an mmproj file's clip.text.* keys and
// t.* tensors, as clip.cpp's converter writes them. Equal to transformers' CLIPTextModelWithProjection.

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "winnow/engine/gguf.h"
#include "winnow/engine/graph.h"
#include "winnow/engine/vision/clip_block.h"
#include "winnow/engine/weights.h"

namespace winnow::engine {

struct ClipTextConfig {
  int32_t n_ctx = 0;  ///< longest segment, 77 in CLIP
  int32_t n_embd = 0;
  int32_t n_ff = 0;
  int32_t n_head = 0;
  int32_t n_layer = 0;
  int32_t n_joint = 0;  ///< width of CLIP's joint space
  float eps = 1e-5f;
  bool use_gelu = false;     ///< exact GELU instead of CLIP's quick GELU
  bool ffn_swapped = false;  ///< as ClipConfig::ffn_swapped

  ClipBlockShape block() const { return {"t", n_embd, n_ff, n_head, eps, use_gelu, ffn_swapped}; }
};

/// Nothing when the file does not say clip.has_text_encoder. Throws NotFound, Corrupt.
std::optional<ClipTextConfig> read_clip_text_config(const GgufFile& file);
/// The tower's tensors but the token embedding, whose rows are read from the file.
std::vector<TensorSpec> clip_text_tensors(const ClipTextConfig& config);
/// "t.token_embd.weight" [n_vocab, n_embd]
TensorSpec clip_token_embedding(const ClipTextConfig& config, int32_t n_vocab);

/// A text in segments of at most n_ctx tokens, each cut behind the token whose state stands for it: the first
/// end token or, in a segment without one, the first of its largest id, which is what transformers' argmax
/// over the ids reads. Nothing behind that token matters, because attention is causal.
std::vector<std::vector<int32_t>> clip_segments(std::span<const int32_t> ids, int32_t n_ctx,
                                                int32_t end_token);

/// One segment -> [n_joint] in the joint space, not normalised: text_projection(final LN(last state)). ids
/// must be in the vocabulary.
std::vector<float> run_clip_text(const ClipTextConfig& config, const Weights& weights, const GgufFile& file,
                                 std::span<const int32_t> ids, const Execution& execution);

}  // namespace winnow::engine
