#include "winnow/convert/tensor_names.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "winnow/base/error.h"

namespace winnow::convert {
namespace {

using Names = std::pair<std::string_view, std::string_view>;

// GGUF's part of a name and transformers'.
constexpr Names kTextBlock[] = {
    {"attn_norm", "input_layernorm"},    {"attn_q", "self_attn.q_proj"},
    {"attn_k", "self_attn.k_proj"},      {"attn_v", "self_attn.v_proj"},
    {"attn_output", "self_attn.o_proj"}, {"ffn_norm", "post_attention_layernorm"},
    {"ffn_gate", "mlp.gate_proj"},       {"ffn_up", "mlp.up_proj"},
    {"ffn_down", "mlp.down_proj"},
};
constexpr Names kClipBlock[] = {
    {"ln1", "layer_norm1"},
    {"attn_q", "self_attn.q_proj"},
    {"attn_k", "self_attn.k_proj"},
    {"attn_v", "self_attn.v_proj"},
    {"attn_out", "self_attn.out_proj"},
    {"ln2", "layer_norm2"},
    {"ffn_up", "mlp.fc1"},
    {"ffn_down", "mlp.fc2"},
};
constexpr Names kQwenBlock[] = {
    {"ln1", "norm1"},       {"ln2", "norm2"},          {"attn_q", "attn.qkv"}, {"attn_k", "attn.qkv"},
    {"attn_v", "attn.qkv"}, {"attn_out", "attn.proj"}, {"ffn_up", "mlp.fc1"},  {"ffn_down", "mlp.fc2"},
};
constexpr Names kGatedMlp[] = {
    {"ffn_gate", "mlp.gate_proj"}, {"ffn_up", "mlp.up_proj"}, {"ffn_down", "mlp.down_proj"}};
constexpr Names kQwenTower[] = {{"v.patch_embd", "patch_embed.proj"}, {"v.post_ln", "merger.ln_q"}};
constexpr Names kText[] = {{"token_embd", "embed_tokens"}, {"output_norm", "norm"}};
constexpr Names kTower[] = {
    {"v.class_embd", "embeddings.class_embedding"},
    {"v.patch_embd", "embeddings.patch_embedding"},
    {"v.position_embd", "embeddings.position_embedding"},
    {"v.pre_ln", "pre_layrnorm"},  // transformers' own spelling
    {"v.post_ln", "post_layernorm"},
};
constexpr Names kClipText[] = {
    {"t.token_embd", "text_model.embeddings.token_embedding"},
    {"t.position_embd", "text_model.embeddings.position_embedding"},
    {"t.post_ln", "text_model.final_layer_norm"},
    {"text_projection", "text_projection"},
    {"visual_projection", "visual_projection"},
};

/// Empty when it is not in the table.
std::string_view translated(std::span<const Names> table, std::string_view name) {
  for (const auto& [ours, theirs] : table) {
    if (ours == name) return theirs;
  }
  return {};
}

/// "PREFIX.N.PART" -> "layers.N.TRANSLATED" behind `start`; empty for a part that is unknown.
std::string block_name(std::span<const Names> table, const std::string& start,
                       std::string_view number_and_part, std::string_view blocks = "layers") {
  const std::size_t dot = number_and_part.find('.');
  const std::string_view part = translated(table, number_and_part.substr(dot + 1));
  return part.empty() ? "" : fmt::format("{}{}.{}.{}", start, blocks, number_and_part.substr(0, dot), part);
}

/// Without ".weight" or ".bias".
std::string stem_name(const TensorLayout& layout, std::string_view stem) {
  if (stem == "output") return layout.head;
  if (stem == "mm.0") return layout.linear1;
  if (stem == "mm.2") return layout.linear2;
  if (layout.is_qwen2_vl) {
    if (stem.starts_with("v.blk.")) {
      const bool gated = layout.is_gated && stem.find(".ffn_") != std::string_view::npos;
      const std::span<const Names> names = gated ? std::span<const Names>(kGatedMlp) : kQwenBlock;
      return block_name(names, layout.tower, stem.substr(6), "blocks");
    }
    if (const auto name = translated(kQwenTower, stem); !name.empty())
      return fmt::format("{}{}", layout.tower, name);
  }
  if (stem.starts_with("blk.")) return block_name(kTextBlock, layout.text, stem.substr(4));
  if (stem.starts_with("v.blk.")) return block_name(kClipBlock, layout.tower + "encoder.", stem.substr(6));
  if (stem.starts_with("t.blk.")) return block_name(kClipBlock, "text_model.encoder.", stem.substr(6));
  if (const auto name = translated(kText, stem); !name.empty()) return fmt::format("{}{}", layout.text, name);
  if (const auto name = translated(kTower, stem); !name.empty())
    return fmt::format("{}{}", layout.tower, name);
  return std::string(translated(kClipText, stem));
}

// Those without "vision_model." are transformers 5.17's.
const std::vector<std::string> kTowers = {"vision_tower.vision_model.",
                                          "model.vision_tower.vision_model.",
                                          "model.vision_tower.vision_tower.vision_model.",
                                          "vision_model.",
                                          "vision_tower.",
                                          "model.vision_tower."};
constexpr const char* kTowerProbe = "embeddings.patch_embedding.weight";
const std::vector<std::string> kQwenTowers = {"visual.", "model.visual."};
constexpr const char* kQwenProbe = "patch_embed.proj.weight";

/// The first of the starts whose tensor start + probe is there, or the end.
auto find_start(const Checkpoint& checkpoint, const std::vector<std::string>& starts,
                const std::string& probe) {
  return std::find_if(starts.begin(), starts.end(),
                      [&](const std::string& start) { return checkpoint.find(start + probe) != nullptr; });
}

std::string need_start(const Checkpoint& checkpoint, const char* part, const std::vector<std::string>& starts,
                       const std::string& probe) {
  const auto found = find_start(checkpoint, starts, probe);
  if (found != starts.end()) return *found;
  std::vector<std::string> tried;
  for (const std::string& start : starts) tried.push_back(start + probe);
  fail(ErrorCode::NotFound, "convert.find_layout", "{}: no {}: none of the tensors {}", checkpoint.folder(),
       part, fmt::join(tried, ", "));
}

}  // namespace

bool holds_tower(const Checkpoint& checkpoint) {
  return find_start(checkpoint, kTowers, kTowerProbe) != kTowers.end();
}

TensorLayout find_layout(const Checkpoint& checkpoint, const Checkpoint& tower) {
  TensorLayout layout;
  layout.text =
      need_start(checkpoint, "text model", {"language_model.model.", "model.language_model.", "model."},
                 "embed_tokens.weight");
  layout.head = layout.text == "language_model.model." ? "language_model.lm_head" : "lm_head";
  if (const auto qwen = find_start(checkpoint, kQwenTowers, kQwenProbe); qwen != kQwenTowers.end()) {
    layout.is_qwen2_vl = true;
    layout.tower = *qwen;
    layout.linear1 = *qwen + "merger.mlp.0";
    layout.linear2 = *qwen + "merger.mlp.2";
    return layout;
  }
  layout.tower = need_start(tower, "tower", kTowers, kTowerProbe);
  layout.linear1 = need_start(
      checkpoint, "projector",
      {"multi_modal_projector.linear_1", "model.multi_modal_projector.linear_1", "model.mm_projector.0"},
      ".weight");
  layout.newline = checkpoint.find("image_newline") != nullptr ? "image_newline" : "model.image_newline";
  layout.linear2 = layout.linear1.substr(0, layout.linear1.size() - 1) + "2";  // linear_1, linear_2 or 0, 2
  return layout;
}

std::string checkpoint_name(const TensorLayout& layout, std::string_view gguf_name) {
  constexpr std::string_view kNextFrame = "v.patch_embd.weight.1";
  if (gguf_name == kNextFrame) gguf_name.remove_suffix(2);
  // Parameters, neither weight nor bias.
  if (gguf_name == "v.class_embd") return stem_name(layout, gguf_name);
  if (gguf_name == "v.image_newline") return layout.newline;
  const std::size_t dot = gguf_name.rfind('.');
  const std::string stem = stem_name(layout, gguf_name.substr(0, dot));
  return stem.empty() ? "" : fmt::format("{}{}", stem, gguf_name.substr(dot));
}

SourcePart source_part(const TensorLayout& layout, std::string_view gguf_name) {
  if (!layout.is_qwen2_vl || !gguf_name.starts_with("v.")) return {};
  if (gguf_name == "v.patch_embd.weight") return {0, 2, true};
  if (gguf_name == "v.patch_embd.weight.1") return {1, 2, true};
  constexpr std::string_view kParts[] = {".attn_q.", ".attn_k.", ".attn_v."};
  for (int64_t i = 0; i < 3; ++i) {
    if (gguf_name.find(kParts[i]) != std::string_view::npos) return {i, 3, false};
  }
  return {};
}

bool is_unused(const TensorLayout& layout, const std::string& name) {
  return name.ends_with(".rotary_emb.inv_freq") || name.ends_with(".embeddings.position_ids") ||
         name.starts_with(layout.tower + "post_layernorm.") || name.starts_with(layout.tower + "head.");
}

}  // namespace winnow::convert
