#include "winnow/engine/config_keys.h"

#include <fmt/format.h>

#include <utility>

namespace winnow::engine {
namespace {

void set_count(GgufWriter& writer, const std::string& key, int32_t value) {
  writer.set_u32(key, static_cast<uint32_t>(value));
}

void set_rope_keys(const LlamaConfig& config, GgufWriter& writer) {
  const RopeConfig& rope = config.rope;
  const auto key = [&](const char* name) { return fmt::format("{}.rope.{}", config.arch, name); };
  set_count(writer, key("dimension_count"), rope.n_dims);
  if (rope.has_axes()) writer.set_i32_array(key("dimension_sections"), rope.sections);
  writer.set_f32(key("freq_base"), rope.freq_base);
  const bool yarn = rope.ext_factor != 0.0F;
  if (!yarn && rope.freq_scale == 1.0F) return;
  writer.set_str(key("scaling.type"), yarn ? "yarn" : "linear");
  writer.set_f32(key("scaling.factor"), 1.0F / rope.freq_scale);
  if (rope.n_ctx_orig > 0 && rope.n_ctx_orig != config.n_ctx) {
    set_count(writer, key("scaling.original_context_length"), rope.n_ctx_orig);
  }
}

std::vector<int32_t> numbers_of(const std::vector<TokenType>& types) {
  std::vector<int32_t> out;
  for (const TokenType type : types) out.push_back(static_cast<int32_t>(type));
  return out;
}

}  // namespace

void SpmVocab::add(std::string token, float score, TokenType type) {
  tokens.push_back(std::move(token));
  scores.push_back(score);
  types.push_back(type);
}

void set_general_keys(const std::string& architecture, const std::string& type, const std::string& name,
                      const WeightType& weights, GgufWriter& writer) {
  writer.set_str("general.architecture", architecture);
  writer.set_str("general.type", type);
  writer.set_str("general.name", name);
  writer.set_u32("general.file_type", weights.file_type);
  writer.set_u32("general.quantization_version", GGML_QNT_VERSION);
}

void set_llama_keys(const LlamaConfig& config, GgufWriter& writer) {
  const auto key = [&](const char* name) { return fmt::format("{}.{}", config.arch, name); };
  set_count(writer, key("block_count"), config.n_layer);
  set_count(writer, key("context_length"), config.n_ctx);
  set_count(writer, key("embedding_length"), config.n_embd);
  set_count(writer, key("feed_forward_length"), config.n_ff);
  set_count(writer, key("attention.head_count"), config.n_head);
  set_count(writer, key("attention.head_count_kv"), config.n_head_kv);
  if (config.d_head * config.n_head != config.n_embd) {
    set_count(writer, key("attention.key_length"), config.d_head);
    set_count(writer, key("attention.value_length"), config.d_head);
  }
  writer.set_f32(key("attention.layer_norm_rms_epsilon"), config.eps);
  set_count(writer, key("vocab_size"), config.n_vocab);
  set_rope_keys(config, writer);
}

void set_vocab_keys(const SpmVocab& vocab, GgufWriter& writer) {
  writer.set_str("tokenizer.ggml.model", "llama");
  writer.set_str("tokenizer.ggml.pre", "default");
  writer.set_str_array("tokenizer.ggml.tokens", vocab.tokens);
  writer.set_f32_array("tokenizer.ggml.scores", vocab.scores);
  writer.set_i32_array("tokenizer.ggml.token_type", numbers_of(vocab.types));
  const std::pair<const char*, int32_t> ids[] = {{"tokenizer.ggml.bos_token_id", vocab.bos},
                                                 {"tokenizer.ggml.eos_token_id", vocab.eos},
                                                 {"tokenizer.ggml.unknown_token_id", vocab.unk},
                                                 {"tokenizer.ggml.padding_token_id", vocab.pad}};
  for (const auto& [key, id] : ids) {
    if (id >= 0) set_count(writer, key, id);
  }
  writer.set_bool("tokenizer.ggml.add_bos_token", vocab.add_bos);
  writer.set_bool("tokenizer.ggml.add_eos_token", vocab.add_eos);
  if (!vocab.space_prefix) writer.set_bool("tokenizer.ggml.add_space_prefix", false);
}

void set_vocab_keys(const BpeVocab& vocab, GgufWriter& writer) {
  writer.set_str("tokenizer.ggml.model", "gpt2");
  writer.set_str("tokenizer.ggml.pre", vocab.pre);
  writer.set_str_array("tokenizer.ggml.tokens", vocab.tokens);
  writer.set_i32_array("tokenizer.ggml.token_type", numbers_of(vocab.types));
  writer.set_str_array("tokenizer.ggml.merges", vocab.merges);
  const std::pair<const char*, int32_t> ids[] = {{"tokenizer.ggml.bos_token_id", vocab.bos},
                                                 {"tokenizer.ggml.eos_token_id", vocab.eos},
                                                 {"tokenizer.ggml.padding_token_id", vocab.pad}};
  for (const auto& [key, id] : ids) {
    if (id >= 0) set_count(writer, key, id);
  }
  writer.set_bool("tokenizer.ggml.add_bos_token", vocab.add_bos);
}

void set_clip_keys(const ClipConfig& config, const MlpConfig& projector, GgufWriter& writer) {
  writer.set_bool("clip.has_vision_encoder", true);
  const bool qwen = config.rotary;
  if (!qwen) writer.set_bool("clip.has_llava_projector", true);
  const bool windows = config.window_side > 0;
  writer.set_str("clip.projector_type", windows ? "qwen2.5vl_merger" : qwen ? "qwen2vl_merger" : "mlp");
  if (!windows) writer.set_bool("clip.use_gelu", config.use_gelu);
  set_count(writer, "clip.vision.image_size", config.image_size_px);
  set_count(writer, "clip.vision.patch_size", config.patch_size_px);
  set_count(writer, "clip.vision.embedding_length", config.n_embd);
  set_count(writer, "clip.vision.feed_forward_length", config.n_ff);
  set_count(writer, "clip.vision.projection_dim", projector.n_out);
  set_count(writer, "clip.vision.attention.head_count", config.n_head);
  set_count(writer, "clip.vision.block_count", config.n_layer_stored);
  const PatchMerge& merge = projector.merge;
  if (merge.side > 1) {
    set_count(writer, merge.mean ? "winnow.projector.pool_size" : "clip.vision.spatial_merge_size",
              merge.side);
  }
  if (config.takes_any_size()) {
    set_count(writer, "clip.vision.image_min_pixels", static_cast<int32_t>(config.own_size.min));
    set_count(writer, "clip.vision.image_max_pixels", static_cast<int32_t>(config.own_size.max));
  }
  if (windows) {
    writer.set_bool("clip.use_silu", true);
    set_count(writer, "clip.vision.n_wa_pattern", config.full_every);
    set_count(writer, "clip.vision.window_size",
              config.window_side * config.group_side * config.patch_size_px);
  }
  writer.set_f32("clip.vision.attention.layer_norm_epsilon", config.eps);
  writer.set_f32_array("clip.vision.image_mean", config.mean);
  writer.set_f32_array("clip.vision.image_std", config.std);
}

void set_tiling_keys(const Tiling& tiling, GgufWriter& writer) {
  if (!tiling.cuts()) return;
  std::vector<int32_t> sizes;
  for (const PixelSize& size : tiling.resolutions) sizes.insert(sizes.end(), {size.width, size.height});
  writer.set_i32_array("clip.vision.image_grid_pinpoints", sizes);
  writer.set_str("clip.vision.mm_patch_merge_type", "spatial_unpad");
  if (tiling.max_tiles == 0) return;
  writer.set_str("clip.vision.image_aspect_ratio", fmt::format("anyres_max_{}", tiling.max_tiles));
}

void set_clip_text_keys(const ClipTextConfig& config, const std::vector<std::string>& tokens,
                        GgufWriter& writer) {
  writer.set_bool("clip.has_text_encoder", true);
  set_count(writer, "clip.text.context_length", config.n_ctx);
  set_count(writer, "clip.text.embedding_length", config.n_embd);
  set_count(writer, "clip.text.feed_forward_length", config.n_ff);
  set_count(writer, "clip.text.projection_dim", config.n_joint);
  set_count(writer, "clip.text.block_count", config.n_layer);
  set_count(writer, "clip.text.attention.head_count", config.n_head);
  writer.set_f32("clip.text.attention.layer_norm_epsilon", config.eps);
  writer.set_str_array("tokenizer.ggml.tokens", tokens);
}

}  // namespace winnow::engine
