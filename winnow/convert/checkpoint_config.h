#pragma once

// What the JSON files of a LLaVA-1.5, LLaVA-NeXT, LLaVA-OneVision, Qwen2-VL or Qwen2.5-VL checkpoint say
// about the model.

#include <optional>
#include <string>

#include "winnow/engine/decoder/llama.h"
#include "winnow/engine/projector/tiling.h"
#include "winnow/engine/vision/clip.h"
#include "winnow/engine/vision/clip_text.h"

namespace winnow::convert {

struct CheckpointConfig {
  engine::LlamaConfig text;  ///< n_vocab: rows of the embedding, which may be more than there are tokens
  engine::ClipConfig tower;  ///< n_layer: the block whose output the projector reads; all of them are stored
  engine::Tiling tiling;     ///< LLaVA-NeXT's and LLaVA-OneVision's
  bool may_be_tied = false;  ///< the output head may be the token embedding
  bool is_mistral = false;   ///< a Llama of other sizes, and another prompt

  /// Or a Qwen2.5-VL.
  bool is_qwen2_vl() const { return tower.rotary; }
  bool is_onevision() const { return tower.siglip; }
  /// The text model is Qwen2's: biases, no reordered rows, tokenizer.json.
  bool is_qwen2() const { return text.arch != "llama"; }
};

/// config.json of transformers' LlavaForConditionalGeneration, LlavaNextForConditionalGeneration,
/// LlavaOnevisionForConditionalGeneration, Qwen2VLForConditionalGeneration and
/// Qwen2_5_VLForConditionalGeneration, or of the original
/// LlavaLlamaForCausalLM and LlavaMistralForCausalLM, which take the tower's shape and pixels from the CLIP
/// checkpoint in `tower_folder` (else empty). A key that is left out has its default in transformers. Throws
/// NotFound, Corrupt, Unsupported (another architecture, activation, projector, rotary scaling, a sliding
/// window shorter than the context, tiles that are merged otherwise), InvalidArgument (a tower folder too few
/// or too many).
CheckpointConfig read_checkpoint_config(const std::string& folder, const std::string& tower_folder);

/// CLIP's text tower as the config.json of a whole CLIP checkpoint describes it. Throws as above.
engine::ClipTextConfig read_clip_text_folder(const std::string& folder);

}  // namespace winnow::convert
