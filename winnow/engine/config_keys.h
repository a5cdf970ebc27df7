#pragma once

// The keys of a GGUF pair, written as read_llama_config, read_clip_config and their like read them. One place
// for every program that writes such files.

#include <string>
#include <vector>

#include "winnow/engine/decoder/llama.h"
#include "winnow/engine/gguf_writer.h"
#include "winnow/engine/projector/mlp.h"
#include "winnow/engine/projector/tiling.h"
#include "winnow/engine/vision/clip.h"
#include "winnow/engine/vision/clip_text.h"
#include "winnow/engine/weight_types.h"

namespace winnow::engine {

/// llama_token_type of llama.h; written here so that writers do not need libllama.
enum class TokenType : int32_t {
  Normal = 1,
  Unknown = 2,
  Control = 3,
  UserDefined = 4,
  Unused = 5,
  Byte = 6
};

/// A SentencePiece vocabulary of byte pairs, libllama's tokenizer "llama": arrays with one entry per token.
struct SpmVocab {
  std::vector<std::string> tokens;
  std::vector<float> scores;
  std::vector<TokenType> types;
  int32_t bos = -1, eos = -1, unk = -1, pad = -1;  ///< -1: no key
  bool add_bos = true;
  bool add_eos = false;
  bool space_prefix = true;  ///< a space goes in front of a text

  void add(std::string token, float score, TokenType type);
};

/// A vocabulary of byte-level byte pairs, libllama's tokenizer "gpt2": arrays with one entry per token.
struct BpeVocab {
  std::string pre;  ///< how text is split first: libllama's name of the regular expression ("qwen2")
  std::vector<std::string> tokens;
  std::vector<TokenType> types;
  std::vector<std::string> merges;  ///< "left right", the first ones first
  int32_t bos = -1, eos = -1, pad = -1;
  bool add_bos = false;
};

/// general.*: `type` is "model" or "mmproj", `weights` what most matrices are stored in.
void set_general_keys(const std::string& architecture, const std::string& type, const std::string& name,
                      const WeightType& weights, GgufWriter& writer);
/// llama.*, or those of another architecture that LlamaConfig describes
void set_llama_keys(const LlamaConfig& config, GgufWriter& writer);
/// tokenizer.ggml.*
void set_vocab_keys(const SpmVocab& vocab, GgufWriter& writer);
void set_vocab_keys(const BpeVocab& vocab, GgufWriter& writer);
/// clip.* of tower and projector. Not which block the projector reads: see read_clip_config.
void set_clip_keys(const ClipConfig& config, const MlpConfig& projector, GgufWriter& writer);
/// clip.vision.image_grid_pinpoints and its like; nothing for a model without tiles.
void set_tiling_keys(const Tiling& tiling, GgufWriter& writer);
/// clip.text.*, and CLIP's vocabulary in order of ids.
void set_clip_text_keys(const ClipTextConfig& config, const std::vector<std::string>& tokens,
                        GgufWriter& writer);

}  // namespace winnow::engine
