#include "winnow/engine/synth.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <system_error>
#include <utility>

#include "winnow/base/error.h"
#include "winnow/base/progress.h"
#include "winnow/engine/config_keys.h"
#include "winnow/engine/gguf_writer.h"
#include "winnow/engine/synth_vocab.h"
#include "winnow/engine/synth_weights.h"

namespace winnow::engine {
namespace {

// Mean and deviation of CLIP's training images, per channel (OpenAI CLIP).
constexpr std::array<float, 3> kClipMean{0.48145466F, 0.4578275F, 0.40821073F};
constexpr std::array<float, 3> kSiglipMean{0.5F, 0.5F, 0.5F};  // and deviation
constexpr std::array<float, 3> kClipStd{0.26862954F, 0.26130258F, 0.27577711F};

constexpr int64_t kPooledAbove = int64_t{64} << 20;

// Gains of the matrices, std = gain / sqrt(n_in). Queries and keys of std 1.4 give pre-softmax scores of
// std 2.
constexpr float kQueryKeyGain = 1.4F;
constexpr float kResidualGain = 0.5F;
constexpr float kNormStd = 0.1F;
constexpr float kBiasStd = 0.1F;
constexpr float kPositionStd = 0.5F;

/// SigLIP's tower has no other form.
void check_siglip(const SynthShape& s) {
  const bool good = !s.tower_cls && s.all_blocks && !s.text_tower && !s.qwen2_vl;
  WINNOW_CHECK(
      !s.siglip || good, InvalidArgument, "synth.synth_model",
      "a SigLIP tower with {} blocks, {}[CLS] and {}text tower, expected all blocks and none of the others",
      s.all_blocks ? "all" : "not all", s.tower_cls ? "" : "no ", s.text_tower ? "a " : "no ");
}

/// Qwen2-VL's tower has no other form.
void check_qwen2_vl(const SynthShape& s) {
  const int64_t group_px = int64_t{s.merge} * s.patch_px;
  WINNOW_CHECK(
      s.window_px == 0 || (s.qwen2_vl && s.window_px > 0 && s.window_px % group_px == 0 && s.full_every >= 1),
      InvalidArgument, "synth.synth_model",
      "windows of {} px, whole attention in every block of {}, expected a multiple of {} px in a Qwen2-VL "
      "and 1 or more",
      s.window_px, s.full_every, group_px);
  if (!s.qwen2_vl) return;
  WINNOW_CHECK(
      s.merge >= 2 && s.all_blocks && !s.tower_cls && s.resolutions.empty() && !s.text_tower, InvalidArgument,
      "synth.synth_model",
      "a Qwen2-VL with merge {}, {} tower blocks, {}[CLS], {} resolutions and {}text tower, expected "
      "merge of 2 or more, all blocks and none of the others",
      s.merge, s.all_blocks ? "all" : "not all", s.tower_cls ? "" : "no ", s.resolutions.size(),
      s.text_tower ? "a " : "no ");
  WINNOW_CHECK(s.tower_embd / s.tower_head % 4 == 0, InvalidArgument, "synth.synth_model",
               "tower heads of {} values, expected a multiple of 4", s.tower_embd / s.tower_head);
}

void check_shape(const SynthShape& s) {
  constexpr const char* kWhere = "synth.synth_model";
  WINNOW_CHECK(!s.name.empty() && s.name.find('/') == std::string::npos, InvalidArgument, kWhere,
               "bad shape name, got \"{}\", expected a word without '/'", s.name);
  const std::pair<const char*, int32_t> sizes[] = {{"n_embd", s.n_embd},
                                                   {"n_ff", s.n_ff},
                                                   {"n_layer", s.n_layer},
                                                   {"n_head", s.n_head},
                                                   {"n_head_kv", s.n_head_kv},
                                                   {"n_vocab", s.n_vocab},
                                                   {"n_ctx", s.n_ctx},
                                                   {"tower_embd", s.tower_embd},
                                                   {"tower_ff", s.tower_ff},
                                                   {"tower_head", s.tower_head},
                                                   {"image_px", s.image_px},
                                                   {"patch_px", s.patch_px},
                                                   {"merge", s.merge},
                                                   {"pool", s.pool},
                                                   {"clip_text_embd", s.clip_text_embd},
                                                   {"clip_text_ff", s.clip_text_ff},
                                                   {"clip_text_layers", s.clip_text_layers},
                                                   {"clip_text_head", s.clip_text_head},
                                                   {"clip_text_ctx", s.clip_text_ctx},
                                                   {"clip_joint", s.clip_joint}};
  for (const auto& [name, value] : sizes) {
    WINNOW_CHECK(value >= 1 && value <= 1 << 20, InvalidArgument, kWhere, "bad {}, got {}, expected 1 to {}",
                 name, value, 1 << 20);
  }
  WINNOW_CHECK(s.tower_layers >= 2, InvalidArgument, kWhere, "bad tower_layers, got {}, expected 2 or more",
               s.tower_layers);
  WINNOW_CHECK(s.n_embd % s.n_head == 0 && s.n_embd / s.n_head % 2 == 0, InvalidArgument, kWhere,
               "n_embd {} does not split into {} heads of even size", s.n_embd, s.n_head);
  WINNOW_CHECK(s.n_head % s.n_head_kv == 0, InvalidArgument, kWhere,
               "n_head {} is no multiple of n_head_kv {}", s.n_head, s.n_head_kv);
  WINNOW_CHECK(s.tower_embd % s.tower_head == 0, InvalidArgument, kWhere,
               "tower_embd {} does not split into {} heads", s.tower_embd, s.tower_head);
  WINNOW_CHECK(s.clip_text_embd % s.clip_text_head == 0, InvalidArgument, kWhere,
               "clip_text_embd {} does not split into {} heads", s.clip_text_embd, s.clip_text_head);
  WINNOW_CHECK(s.siglip ? s.image_px >= s.patch_px : s.image_px % s.patch_px == 0, InvalidArgument, kWhere,
               "image_px {} is no multiple of patch_px {}", s.image_px, s.patch_px);
  WINNOW_CHECK(s.image_px / s.patch_px % s.merge == 0 && s.image_px / s.patch_px % s.pool == 0,
               InvalidArgument, kWhere, "merge {} and pool {} do not divide {} x {} patches", s.merge, s.pool,
               s.image_px / s.patch_px, s.image_px / s.patch_px);
  WINNOW_CHECK(s.merge == 1 || s.pool == 1, InvalidArgument, kWhere,
               "merge {} and pool {}, expected at most one of them above 1", s.merge, s.pool);
  for (const PixelSize& size : s.resolutions) {
    const bool whole =
        size.width > 0 && size.height > 0 && size.width % s.image_px == 0 && size.height % s.image_px == 0;
    WINNOW_CHECK(whole, InvalidArgument, kWhere, "resolution {} x {}, expected multiples of image_px {}",
                 size.width, size.height, s.image_px);
  }
  check_siglip(s);
  check_qwen2_vl(s);
  WINNOW_CHECK(s.rope_scaling.empty() || s.rope_scaling == "linear" || s.rope_scaling == "yarn",
               InvalidArgument, kWhere, "bad rope_scaling, got {}, expected linear, yarn or nothing",
               s.rope_scaling);
}

SynthTensor matrix(std::string name, ggml_type type, int64_t n_in, int64_t n_out, float gain) {
  return {std::move(name), type, {n_in, n_out}, 0.0F, gain / std::sqrt(static_cast<float>(n_in))};
}

SynthTensor norm_weight(std::string name, int64_t n) {
  return {std::move(name), GGML_TYPE_F32, {n}, 1.0F, kNormStd};
}

SynthTensor bias(std::string name, int64_t n) {
  return {std::move(name), GGML_TYPE_F32, {n}, 0.0F, kBiasStd};
}

std::vector<SynthTensor> text_tensors(const SynthShape& s, ggml_type type) {
  const ggml_type head_type = output_weight_type(type, s.n_embd);
  const int64_t n_kv = int64_t{s.n_embd} / s.n_head * s.n_head_kv;
  std::vector<SynthTensor> tensors;
  // As a head, the embeddings need the scale of output.weight; otherwise entries of order 1 as the projector
  // gives.
  tensors.push_back({"token_embd.weight",
                     s.tied_output ? head_type : type,
                     {s.n_embd, s.n_vocab},
                     0.0F,
                     s.tied_output ? 3.0F / std::sqrt(static_cast<float>(s.n_embd)) : 1.0F});
  for (int32_t layer = 0; layer < s.n_layer; ++layer) {
    const std::string blk = fmt::format("blk.{}.", layer);
    tensors.push_back(norm_weight(blk + "attn_norm.weight", s.n_embd));
    tensors.push_back(matrix(blk + "attn_q.weight", type, s.n_embd, s.n_embd, kQueryKeyGain));
    tensors.push_back(matrix(blk + "attn_k.weight", type, s.n_embd, n_kv, kQueryKeyGain));
    tensors.push_back(matrix(blk + "attn_v.weight", type, s.n_embd, n_kv, 1.0F));
    if (s.qwen2_vl || s.qwen2) {
      tensors.push_back(bias(blk + "attn_q.bias", s.n_embd));
      tensors.push_back(bias(blk + "attn_k.bias", n_kv));
      tensors.push_back(bias(blk + "attn_v.bias", n_kv));
    }
    tensors.push_back(matrix(blk + "attn_output.weight", type, s.n_embd, s.n_embd, kResidualGain));
    tensors.push_back(norm_weight(blk + "ffn_norm.weight", s.n_embd));
    tensors.push_back(matrix(blk + "ffn_gate.weight", type, s.n_embd, s.n_ff, 1.0F));
    tensors.push_back(matrix(blk + "ffn_up.weight", type, s.n_embd, s.n_ff, 1.0F));
    tensors.push_back(matrix(blk + "ffn_down.weight", type, s.n_ff, s.n_embd, kResidualGain));
  }
  tensors.push_back(norm_weight("output_norm.weight", s.n_embd));
  if (!s.tied_output) tensors.push_back(matrix("output.weight", head_type, s.n_embd, s.n_vocab, 3.0F));
  return tensors;
}

Tiling tiling(const SynthShape& s) {
  Tiling t;
  t.resolutions = s.resolutions;
  t.max_tiles = s.max_tiles;
  return t;
}

int32_t stored_blocks(const SynthShape& s) { return s.all_blocks ? s.tower_layers : s.tower_layers - 1; }

/// One block of CLIP's towers, of width d; gated: of Qwen2.5-VL's.
void add_clip_block(std::vector<SynthTensor>& tensors, const std::string& blk, int64_t d, int64_t n_ff,
                    ggml_type type, bool gated = false) {
  const auto add_linear = [&](const char* name, int64_t n_in, int64_t n_out, float gain) {
    tensors.push_back(matrix(fmt::format("{}{}.weight", blk, name), type, n_in, n_out, gain));
    tensors.push_back(bias(fmt::format("{}{}.bias", blk, name), n_out));
  };
  const auto add_norm = [&](const char* name) {
    tensors.push_back(norm_weight(fmt::format("{}{}.weight", blk, name), d));
    if (!gated) tensors.push_back(bias(fmt::format("{}{}.bias", blk, name), d));
  };
  add_norm("ln1");
  add_linear("attn_q", d, d, kQueryKeyGain);
  add_linear("attn_k", d, d, kQueryKeyGain);
  add_linear("attn_v", d, d, 1.0F);
  add_linear("attn_out", d, d, kResidualGain);
  add_norm("ln2");
  if (gated) add_linear("ffn_gate", d, n_ff, 1.0F);
  add_linear("ffn_up", d, n_ff, 1.0F);
  add_linear("ffn_down", n_ff, d, kResidualGain);
}

/// CLIP's text tower and both ways into the joint space.
void add_clip_text(std::vector<SynthTensor>& tensors, const SynthShape& s, ggml_type type) {
  const int64_t d = s.clip_text_embd;
  const auto n_vocab = static_cast<int64_t>(synth_clip_vocab().size());
  tensors.push_back({"t.token_embd.weight", type, {d, n_vocab}, 0.0F, 1.0F});
  tensors.push_back({"t.position_embd.weight", GGML_TYPE_F32, {d, s.clip_text_ctx}, 0.0F, kPositionStd});
  for (int32_t block = 0; block < s.clip_text_layers; ++block) {
    add_clip_block(tensors, fmt::format("t.blk.{}.", block), d, s.clip_text_ff, type);
  }
  tensors.push_back(norm_weight("t.post_ln.weight", d));
  tensors.push_back(bias("t.post_ln.bias", d));
  tensors.push_back(matrix("text_projection.weight", type, d, s.clip_joint, 1.0F));
  tensors.push_back(norm_weight("v.post_ln.weight", s.tower_embd));
  tensors.push_back(bias("v.post_ln.bias", s.tower_embd));
  tensors.push_back(matrix("visual_projection.weight", type, s.tower_embd, s.clip_joint, 1.0F));
}

/// Patches, positions and the norm behind them.
void add_embedding(std::vector<SynthTensor>& tensors, const SynthShape& s, ggml_type type) {
  const int64_t d = s.tower_embd;
  const int64_t side = s.image_px / s.patch_px;
  const int32_t n_frame = s.qwen2_vl ? 2 : 1;
  const float patch_std = 1.0F / std::sqrt(3.0F * static_cast<float>(n_frame) *
                                           static_cast<float>(s.patch_px) * static_cast<float>(s.patch_px));
  if (s.tower_cls) tensors.push_back({"v.class_embd", GGML_TYPE_F32, {d}, 0.0F, kPositionStd});
  tensors.push_back({"v.patch_embd.weight", type, {s.patch_px, s.patch_px, 3, d}, 0.0F, patch_std});
  if (s.qwen2_vl) {
    tensors.push_back({"v.patch_embd.weight.1", type, {s.patch_px, s.patch_px, 3, d}, 0.0F, patch_std});
    return;
  }
  tensors.push_back({"v.position_embd.weight",
                     GGML_TYPE_F32,
                     {d, side * side + (s.tower_cls ? 1 : 0)},
                     0.0F,
                     kPositionStd});
  if (s.siglip) {
    tensors.push_back(bias("v.patch_embd.bias", d));
    return;
  }
  tensors.push_back(norm_weight("v.pre_ln.weight", d));
  tensors.push_back(bias("v.pre_ln.bias", d));
}

std::vector<SynthTensor> mmproj_tensors(const SynthShape& s, ggml_type type) {
  const int64_t d = s.tower_embd;
  std::vector<SynthTensor> tensors;
  add_embedding(tensors, s, type);
  for (int32_t block = 0; block < stored_blocks(s); ++block) {
    add_clip_block(tensors, fmt::format("v.blk.{}.", block), d, s.tower_ff, type, s.window_px > 0);
  }
  if (s.qwen2_vl) {
    tensors.push_back(norm_weight("v.post_ln.weight", d));
    if (s.window_px == 0) tensors.push_back(bias("v.post_ln.bias", d));
  }
  const int64_t n_hidden = s.qwen2_vl ? d * s.merge * s.merge : s.n_embd;
  tensors.push_back(matrix("mm.0.weight", type, d * s.merge * s.merge, n_hidden, 1.0F));
  tensors.push_back(bias("mm.0.bias", n_hidden));
  tensors.push_back(matrix("mm.2.weight", type, n_hidden, s.n_embd, 1.0F));
  tensors.push_back(bias("mm.2.bias", s.n_embd));
  if (!s.resolutions.empty()) {
    tensors.push_back({tiling(s).newline_name, GGML_TYPE_F32, {s.n_embd}, 0.0F, 1.0F});
  }
  if (s.text_tower) add_clip_text(tensors, s, type);
  return tensors;
}

/// A quarter of the pairs for time, the rest for rows and columns: 16, 24 and 24 of Qwen2-VL's 64.
std::array<int32_t, 4> rope_sections(int32_t n_pair) {
  const int32_t time = n_pair / 4;
  const int32_t row = (n_pair - time) / 2;
  return {time, row, n_pair - time - row, 0};
}

LlamaConfig llama_config(const SynthShape& s) {
  LlamaConfig c;
  c.n_layer = s.n_layer;
  c.n_embd = s.n_embd;
  c.n_ff = s.n_ff;
  c.n_head = s.n_head;
  c.n_head_kv = s.n_head_kv;
  c.d_head = s.n_embd / s.n_head;
  c.n_vocab = s.n_vocab;
  c.n_ctx = s.n_ctx;
  c.eps = s.rms_eps;
  c.rope.n_dims = c.d_head;
  c.rope.freq_base = s.rope_freq_base;
  if (!s.rope_scaling.empty()) c.rope.freq_scale = 1.0F / s.rope_factor;
  if (s.rope_scaling == "yarn") c.rope.ext_factor = 1.0F;
  c.rope.n_ctx_orig = s.rope_original_ctx;
  if (s.qwen2) {
    c.arch = "qwen2";
    c.rope.halves = true;
  }
  if (s.qwen2_vl) {
    c.arch = "qwen2vl";
    c.rope.sections = rope_sections(c.d_head / 2);
  }
  return c;
}

ClipConfig clip_config(const SynthShape& s) {
  ClipConfig c;
  c.image_size_px = s.image_px;
  c.patch_size_px = s.patch_px;
  c.n_embd = s.tower_embd;
  c.n_ff = s.tower_ff;
  c.n_head = s.tower_head;
  c.n_layer_stored = stored_blocks(s);
  c.eps = s.tower_eps;
  c.use_gelu = s.use_gelu || s.siglip;
  c.mean = s.siglip ? kSiglipMean : kClipMean;
  c.std = s.siglip ? kSiglipMean : kClipStd;
  c.siglip = s.siglip;
  if (s.qwen2_vl) {
    c.rotary = true;
    c.has_cls = false;
    c.n_frame = 2;
    c.group_side = s.merge;
    c.own_size = {int64_t{56} * 56, int64_t{16384} * 28 * 28};  // of the published processors
    c.rms_norm = c.gated = s.window_px > 0;
    c.window_side = s.window_px / (s.merge * s.patch_px);
    c.full_every = s.full_every;
  }
  return c;
}

MlpConfig mlp_config(const SynthShape& s) {
  const PatchMerge merge{clip_config(s).grid(), std::max(s.merge, s.pool), s.pool > 1};
  const int64_t n_in = merge.width(s.tower_embd);
  return {merge, n_in, s.qwen2_vl ? static_cast<int32_t>(n_in) : s.n_embd, s.n_embd};
}

ClipTextConfig clip_text_config(const SynthShape& s) {
  ClipTextConfig c;
  c.n_ctx = s.clip_text_ctx;
  c.n_embd = s.clip_text_embd;
  c.n_ff = s.clip_text_ff;
  c.n_head = s.clip_text_head;
  c.n_layer = s.clip_text_layers;
  c.n_joint = s.clip_joint;
  c.eps = s.tower_eps;
  return c;
}

void write_tensors(const char* what, const std::vector<SynthTensor>& tensors, uint64_t seed,
                   GgufWriter& writer) {
  int64_t n_elements = 0;
  for (const SynthTensor& tensor : tensors) {
    writer.add_tensor(tensor.name, tensor.type, tensor.ne);
    n_elements += tensor.n_elements();
  }
  writer.begin();
  Progress progress(what, n_elements);
  SynthWeights weights(seed, n_elements > kPooledAbove);
  for (const SynthTensor& tensor : tensors) {
    weights.write(tensor, writer);
    progress.step(tensor.n_elements());
  }
  writer.finish();
}

}  // namespace

SynthFiles synth_model(const SynthShape& shape, ggml_type type, uint64_t seed, const std::string& out_dir) {
  constexpr const char* kWhere = "synth.synth_model";
  const WeightType& text_type = weight_type(type);
  const WeightType& mmproj_type = weight_type(mmproj_weight_type(type));
  check_shape(shape);
  const int64_t block = ggml_blck_size(type);
  WINNOW_CHECK(shape.n_embd % block == 0 && shape.n_ff % block == 0, InvalidArgument, kWhere,
               "n_embd {} and n_ff {} cannot be stored as {}, expected multiples of {}", shape.n_embd,
               shape.n_ff, text_type.name, block);
  const std::filesystem::path folder(out_dir);
  SynthFiles files{(folder / fmt::format("{}-text-{}.gguf", shape.name, text_type.name)).string(),
                   (folder / fmt::format("{}-mmproj-{}.gguf", shape.name, mmproj_type.name)).string()};
  GgufWriter text(files.text);
  const std::string name = shape.name + " (random weights)";
  set_general_keys(llama_config(shape).arch, "model", name, text_type, text);
  set_llama_keys(llama_config(shape), text);
  set_vocab_keys(synth_vocab(shape.n_vocab), text);
  GgufWriter mmproj(files.mmproj);
  set_general_keys("clip", "mmproj", name, mmproj_type, mmproj);
  set_clip_keys(clip_config(shape), mlp_config(shape), mmproj);
  set_tiling_keys(tiling(shape), mmproj);
  if (shape.text_tower) set_clip_text_keys(clip_text_config(shape), synth_clip_vocab(), mmproj);

  std::error_code error;
  std::filesystem::create_directories(folder, error);
  WINNOW_CHECK(!error, Io, kWhere, "cannot make the folder {}: {}", out_dir, error.message());
  write_tensors("writing the text model", text_tensors(shape, type), seed, text);
  write_tensors("writing the tower and projector", mmproj_tensors(shape, mmproj_type.type), seed, mmproj);
  return files;
}

}  // namespace winnow::engine
