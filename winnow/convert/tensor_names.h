#pragma once

// What a tensor of a GGUF pair is called in a Hugging Face checkpoint.

#include <string>
#include <string_view>

#include "winnow/convert/checkpoint.h"

namespace winnow::convert {

/// How a checkpoint names its parts: each is a prefix of what follows in every layout.
struct TensorLayout {
  std::string text;              ///< of "embed_tokens.weight"
  std::string head;              ///< the output matrix without ".weight"
  std::string tower;             ///< of "embeddings.patch_embedding.weight"
  std::string linear1, linear2;  ///< the projector's layers without ".weight"
  std::string newline{};         ///< LLaVA-NeXT's and LLaVA-OneVision's token behind a row of tiles
  bool is_qwen2_vl = false;      ///< the tower's blocks and merger are named as in Qwen2-VL
  bool is_gated = false;         ///< and the blocks' MLP as in Qwen2.5-VL, which the caller knows
};

/// Whether the weights of a tower are there; the original authors store them only where they were trained.
bool holds_tower(const Checkpoint& checkpoint);

/// The layout of transformers before and since 4.52, or of the original authors, by the tensors that are
/// there; of Qwen2-VL and Qwen2.5-VL before (as published) and since. The tower is the one in `tower`. Throws
/// NotFound when a part has none of the known names.
TensorLayout find_layout(const Checkpoint& checkpoint, const Checkpoint& tower);

/// Checkpoint's name of a GGUF tensor ("blk.3.attn_q.weight", "v.pre_ln.bias", "mm.0.weight"); empty for
/// tensors that no checkpoint has.
std::string checkpoint_name(const TensorLayout& layout, std::string_view gguf_name);

/// Which part of a checkpoint's tensor a tensor of the GGUF is.
struct SourcePart {
  int64_t index = 0;
  int64_t count = 1;       ///< equal parts, one behind the other along the first dimension
  bool of_frames = false;  ///< along the third instead: kernels [n, 3, frames, patch, patch]
};

/// Qwen2-VL's queries, keys and values are one tensor, and so are the kernels of its frames; all others are
/// whole.
SourcePart source_part(const TensorLayout& layout, std::string_view gguf_name);

/// Tensors of the layout that no file needs: buffers of old transformers versions, the norm behind the tower,
/// SigLIP's pooling head.
bool is_unused(const TensorLayout& layout, const std::string& name);

}  // namespace winnow::convert
