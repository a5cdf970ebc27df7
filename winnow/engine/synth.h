#pragma once

// Random-weight LLaVA-1.5, LLaVA-NeXT, LLaVA-OneVision, Qwen2-VL and Qwen2.5-VL GGUF pairs of real shapes,
// for latency and for tests: latency does not depend on the weights.

#include <ggml.h>

#include <cstdint>
#include <string>
#include <vector>

#include "winnow/engine/image_tiles.h"

namespace winnow::engine {

/// Shape of a text model of the llama architecture and of its CLIP ViT and two-layer projector.
struct SynthShape {
  std::string name;  ///< begins the file names

  int32_t n_embd = 0;
  int32_t n_ff = 0;
  int32_t n_layer = 0;
  int32_t n_head = 0;
  int32_t n_head_kv = 0;
  int32_t n_vocab = 0;
  int32_t n_ctx = 0;

  int32_t tower_embd = 0;
  int32_t tower_ff = 0;
  int32_t tower_layers = 0;  ///< of the whole tower; how many of them the file holds: see all_blocks
  int32_t tower_head = 0;
  int32_t image_px = 0;
  int32_t patch_px = 0;
  int32_t merge = 1;  ///< the projector reads merge x merge neighbouring patches side by side
  int32_t pool = 1;   ///< the projector reads the mean of pool x pool patches; only one of the two above 1

  std::vector<PixelSize> resolutions = {};  ///< of tiles, LLaVA-NeXT's; empty: no tiles
  int32_t max_tiles = 0;                    ///< LLaVA-OneVision's anyres_max_N; 0: none

  bool qwen2_vl = false;   ///< tower, merger and M-RoPE of Qwen2-VL; all blocks, no [CLS], merge from 2 on
  int32_t window_px = 0;   ///< > 0: Qwen2.5-VL's blocks, which attend in windows of that side,
  int32_t full_every = 1;  ///< but every one of that number to all; with qwen2_vl

  bool siglip = false;  ///< SigLIP's tower: no [CLS], no norm in front, pixels of mean 0.5; all blocks
  bool qwen2 = false;   ///< text model of the architecture qwen2: biases, halves rotate

  float rope_freq_base = 10000.0F;
  std::string rope_scaling = {};  ///< "linear", "yarn"; empty: no rope scaling keys at all
  float rope_factor = 1.0F;       ///< context is stretched by it
  int32_t rope_original_ctx = 0;  ///< 0: key left out
  float rms_eps = 1e-5F;
  bool tied_output = false;  ///< no output.weight: the head is token_embd.weight
  float tower_eps = 1e-5F;
  bool use_gelu = false;    ///< the tower's activation: GELU instead of quick GELU
  bool tower_cls = true;    ///< the tower has a [CLS] token
  bool all_blocks = false;  ///< false: the usual file without the tower's last block, which nothing reads

  bool text_tower = false;  ///< the mmproj file holds CLIP's text tower, of the shape below
  int32_t clip_text_embd = 768;
  int32_t clip_text_ff = 3072;
  int32_t clip_text_layers = 12;
  int32_t clip_text_head = 12;
  int32_t clip_text_ctx = 77;
  int32_t clip_joint = 768;  ///< width of the joint space
};

/// The shapes known by name: "llava-1.5-7b", "llava-1.5-13b", "llava-next-7b" (Vicuna),
/// "llava-next-mistral-7b", "llava-onevision-0.5b", "llava-onevision-7b", "qwen2-vl-2b", "qwen2-vl-7b",
/// "qwen2.5-vl-3b", "qwen2.5-vl-7b", "qwen2.5-vl-72b", "tiny" (n_embd 256, 4 layers, grouped-query attention,
/// 16 visual tokens; every type fits), "tiny-onevision" (the same text model with biases, 16 visual tokens
/// for each of up to 9 tiles). Throws NotFound.
const SynthShape& synth_shape(const std::string& name);
std::vector<std::string> synth_shape_names();

struct SynthFiles {
  std::string text;
  std::string mmproj;
};

/// Writes `out_dir/NAME-text-TYPE.gguf` and `out_dir/NAME-mmproj-{f16,f32}.gguf` (the folder is made) and
/// returns their paths.
///
/// Types as in real files (weight_types.h): the text model's matrices have `type`, norms, biases, class and
/// position embeddings are f32.
///
/// Weights: normal, std gain / sqrt(n_in), with gains that keep activations of order 1 and the attention
/// clearly not flat (pre-softmax std about 2). Deterministic for a seed; a tensor's numbers depend on seed
/// and name only, so that files of two types or with and without the last tower block hold the same model. A
/// file of more than 64 M weights is filled with rows picked at random from pools of 2048 instead
/// (one pool per row length, std and type), so rows repeat, across layers as well: fine for timing, not for
/// statistics of weights. Tokens can then share their logit too.
///
/// The tokenizer (SPM) has <unk> <s> </s>, the 256 bytes, "\u2581", printable ASCII and short letter groups,
/// so it takes any text. That of CLIP's text tower has the bytes and the merges of a few question words.
/// Throws InvalidArgument (a shape that is none, rows that the type cannot store), Io.
SynthFiles synth_model(const SynthShape& shape, ggml_type type, uint64_t seed, const std::string& out_dir);

}  // namespace winnow::engine
