// The shapes of published models.

#include <fmt/ranges.h>

#include <string>
#include <utility>
#include <vector>

#include "winnow/base/error.h"
#include "winnow/engine/synth.h"

namespace winnow::engine {
namespace {

SynthShape clip_l_336(std::string name, int32_t n_embd, int32_t n_ff, int32_t n_layer, int32_t n_head) {
  return {.name = std::move(name),
          .n_embd = n_embd,
          .n_ff = n_ff,
          .n_layer = n_layer,
          .n_head = n_head,
          .n_head_kv = n_head,
          .n_vocab = 32000,
          .n_ctx = 4096,
          .tower_embd = 1024,
          .tower_ff = 4096,
          .tower_layers = 24,
          .tower_head = 16,
          .image_px = 336,
          .patch_px = 14};
}

/// LLaVA-NeXT: the same tower on tiles, resolutions in the order of the published configurations.
SynthShape with_tiles(SynthShape shape) {
  shape.resolutions = {{672, 336}, {336, 672}, {672, 672}, {336, 1008}, {1008, 336}};
  return shape;
}

SynthShape mistral_7b(SynthShape shape) {
  shape.n_head_kv = 8;
  shape.n_ctx = 32768;
  shape.rope_freq_base = 1e6F;
  return shape;
}

/// LLaVA-OneVision: SigLIP so400m without its last block, on tiles of every size up to 6 x 6, height first.
SynthShape with_siglip(SynthShape shape) {
  shape.image_px = 384;
  shape.patch_px = 14;
  shape.tower_embd = 1152;
  shape.tower_ff = 4304;
  shape.tower_layers = 26;
  shape.tower_head = 16;
  for (int32_t rows = 1; rows <= 6; ++rows) {
    for (int32_t cols = 1; cols <= 6; ++cols) shape.resolutions.push_back({cols * 384, rows * 384});
  }
  shape.max_tiles = 9;
  shape.siglip = shape.qwen2 = shape.all_blocks = true;
  shape.rope_freq_base = 1e6F;
  shape.rms_eps = shape.tower_eps = 1e-6F;
  shape.tower_cls = false;
  return shape;
}

/// llava-hf/llava-onevision-qwen2-0.5b-ov-hf and -7b-ov-hf.
SynthShape onevision_0_5b() {
  return with_siglip({.name = "llava-onevision-0.5b",
                      .n_embd = 896,
                      .n_ff = 4864,
                      .n_layer = 24,
                      .n_head = 14,
                      .n_head_kv = 2,
                      .n_vocab = 152000,
                      .n_ctx = 32768,
                      .tied_output = true});
}

SynthShape onevision_7b() {
  return with_siglip({.name = "llava-onevision-7b",
                      .n_embd = 3584,
                      .n_ff = 18944,
                      .n_layer = 28,
                      .n_head = 28,
                      .n_head_kv = 4,
                      .n_vocab = 152128,
                      .n_ctx = 32768});
}

/// Qwen/Qwen2-VL-2B-Instruct.
SynthShape qwen2_vl_2b() {
  return {.name = "qwen2-vl-2b",
          .n_embd = 1536,
          .n_ff = 8960,
          .n_layer = 28,
          .n_head = 12,
          .n_head_kv = 2,
          .n_vocab = 151936,
          .n_ctx = 32768,
          .tower_embd = 1280,
          .tower_ff = 5120,
          .tower_layers = 32,
          .tower_head = 16,
          .image_px = 560,
          .patch_px = 14,
          .merge = 2,
          .qwen2_vl = true,
          .rope_freq_base = 1e6F,
          .rms_eps = 1e-6F,
          .tied_output = true,
          .tower_eps = 1e-6F,
          .tower_cls = false,
          .all_blocks = true};
}

SynthShape tiny() {
  return {.name = "tiny",
          .n_embd = 256,
          .n_ff = 512,
          .n_layer = 4,
          .n_head = 8,
          .n_head_kv = 4,
          .n_vocab = 512,
          .n_ctx = 512,
          .tower_embd = 64,
          .tower_ff = 128,
          .tower_layers = 4,
          .tower_head = 4,
          .image_px = 56,
          .patch_px = 14,
          .clip_text_embd = 48,
          .clip_text_ff = 96,
          .clip_text_layers = 3,
          .clip_text_head = 4,
          .clip_text_ctx = 16,
          .clip_joint = 32};
}

/// As of the published ones a rest of pixels is in no patch; pictures of more than 2 tiles are shrunk.
SynthShape tiny_onevision() {
  SynthShape shape = tiny();
  shape.name = "tiny-onevision";
  shape.image_px = 60;
  for (int32_t rows = 1; rows <= 3; ++rows) {
    for (int32_t cols = 1; cols <= 3; ++cols) shape.resolutions.push_back({cols * 60, rows * 60});
  }
  shape.max_tiles = 2;
  shape.siglip = shape.qwen2 = shape.all_blocks = true;
  shape.tower_eps = 1e-6F;
  shape.tower_cls = false;
  return shape;
}

/// Qwen/Qwen2-VL-7B-Instruct.
SynthShape qwen2_vl_7b() {
  SynthShape shape = qwen2_vl_2b();
  shape.name = "qwen2-vl-7b";
  shape.n_embd = 3584;
  shape.n_ff = 18944;
  shape.n_head = 28;
  shape.n_head_kv = 4;
  shape.n_vocab = 152064;
  shape.tied_output = false;
  return shape;
}

/// The tower of all Qwen2.5-VL but for its MLP's width.
SynthShape qwen2_5_vl(std::string name, SynthShape text, int32_t tower_ff) {
  text.name = std::move(name);
  text.n_ctx = 128000;
  text.tower_ff = tower_ff;
  text.window_px = 112;
  text.full_every = 8;
  return text;
}

/// Qwen/Qwen2.5-VL-3B-Instruct, 7B and 72B; the text model of 7B has Qwen2-VL-7B's shape.
std::vector<SynthShape> qwen2_5_vl_shapes() {
  SynthShape small = qwen2_vl_2b(), large = qwen2_vl_7b();
  small.n_embd = 2048;
  small.n_ff = 11008;
  small.n_layer = 36;
  small.n_head = 16;
  large.n_embd = 8192;
  large.n_ff = 29568;
  large.n_layer = 80;
  large.n_head = 64;
  large.n_head_kv = 8;
  return {qwen2_5_vl("qwen2.5-vl-3b", small, 3420), qwen2_5_vl("qwen2.5-vl-7b", qwen2_vl_7b(), 3420),
          qwen2_5_vl("qwen2.5-vl-72b", large, 3456)};
}

const std::vector<SynthShape>& shapes() {
  static const std::vector<SynthShape> table = {
      clip_l_336("llava-1.5-7b", 4096, 11008, 32, 32),
      clip_l_336("llava-1.5-13b", 5120, 13824, 40, 40),
      with_tiles(clip_l_336("llava-next-7b", 4096, 11008, 32, 32)),
      with_tiles(mistral_7b(clip_l_336("llava-next-mistral-7b", 4096, 14336, 32, 32))),
      onevision_0_5b(),
      onevision_7b(),
      qwen2_vl_2b(),
      qwen2_vl_7b(),
      qwen2_5_vl_shapes()[0],
      qwen2_5_vl_shapes()[1],
      qwen2_5_vl_shapes()[2],
      tiny(),
      tiny_onevision(),
  };
  return table;
}

}  // namespace

const SynthShape& synth_shape(const std::string& name) {
  for (const SynthShape& shape : shapes()) {
    if (shape.name == name) return shape;
  }
  fail(ErrorCode::NotFound, "synth.synth_shape", "unknown shape, got {}, expected one of {}", name,
       fmt::join(synth_shape_names(), ", "));
}

std::vector<std::string> synth_shape_names() {
  std::vector<std::string> names;
  for (const SynthShape& shape : shapes()) names.push_back(shape.name);
  return names;
}

}  // namespace winnow::engine
