// What an mmproj file says about its CLIP tower, and which tensors and signals follow from it.

#include <algorithm>
#include <cmath>

#include "winnow/base/error.h"
#include "winnow/engine/vision/clip.h"
#include "winnow/engine/vision/qwen2_vl.h"

namespace winnow::engine {
namespace {

constexpr const char* kWhere = "engine.clip";

std::array<float, 3> three_numbers(const GgufFile& file, const std::string& key) {
  const auto values = file.numbers(key);
  WINNOW_CHECK(values.size() == 3, Corrupt, kWhere, "{}: key '{}', got {} values, expected 3", file.path(),
               key, values.size());
  for (const double value : values) {
    WINNOW_CHECK(std::abs(value) < 1e6, Corrupt, kWhere, "{}: key '{}', got {}, expected a small number",
                 file.path(), key, value);
  }
  return {static_cast<float>(values[0]), static_cast<float>(values[1]), static_cast<float>(values[2])};
}

/// Number of blocks to run of those stored. See read_clip_config.
int32_t blocks_to_run(const GgufFile& file, const ClipConfig& c, int32_t feature_blocks) {
  const int32_t n_stored = c.n_layer_stored;
  const std::string key = "clip.vision.feature_layer";
  int64_t n = n_stored % 2 == 1 || c.siglip ? n_stored : n_stored - 1;
  if (file.has(key)) {
    const auto layers = file.numbers(key);
    WINNOW_CHECK(layers.size() == 1, Unsupported, kWhere,
                 "{}: key '{}' names {} layers, expected one (several feature layers are not supported)",
                 file.path(), key, layers.size());
    WINNOW_CHECK(std::abs(layers[0]) <= 1024, Corrupt, kWhere, "{}: key '{}', got {}, expected a block",
                 file.path(), key, layers[0]);
    n = static_cast<int64_t>(layers[0]);
    if (n < 0) n += n_stored + 1;  // transformers counts hidden_states, the input of block 0 being number 0
  }
  if (feature_blocks > 0) n = feature_blocks;
  WINNOW_CHECK(n >= 1 && n <= n_stored, Corrupt, kWhere,
               "{}: features of block {} are wanted, the file stores {} blocks", file.path(), n, n_stored);
  return static_cast<int32_t>(n);
}

/// Tensors of a block that its queries and keys need: all that is asked of the block behind the features.
constexpr const char* kQueryKeyParts[] = {"ln1", "attn_q", "attn_k"};

bool stores_query_key(const GgufFile& file, int32_t block) {
  return std::all_of(std::begin(kQueryKeyParts), std::end(kQueryKeyParts), [&](const char* part) {
    return file.find(fmt::format("v.blk.{}.{}.weight", block, part)) != nullptr &&
           file.find(fmt::format("v.blk.{}.{}.bias", block, part)) != nullptr;
  });
}

/// A tower whose file has positions for the patches alone has no [CLS] token.
bool stores_cls(const GgufFile& file, int32_t n_patch) {
  const GgufTensor* position = file.find("v.position_embd.weight");
  return file.find("v.class_embd") != nullptr || position == nullptr || position->ne[1] != n_patch;
}

/// No key tells SigLIP from CLIP, whose blocks have a norm in front of them and a [CLS] token.
bool stores_siglip(const GgufFile& file) {
  constexpr const char* kOfClip[] = {"v.class_embd", "v.pre_ln.weight", "v.pre_ln.bias"};
  return file.find("v.position_embd.weight") != nullptr &&
         std::none_of(std::begin(kOfClip), std::end(kOfClip),
                      [&](const char* name) { return file.find(name) != nullptr; });
}

}  // namespace

ClipConfig read_clip_config(const GgufFile& file, int32_t feature_blocks) {
  const std::string arch = file.text("general.architecture");
  WINNOW_CHECK(arch == "clip", Unsupported, kWhere,
               "{}: architecture, got '{}', expected 'clip' (is this the text model?)", file.path(), arch);
  WINNOW_CHECK(file.boolean_or("clip.has_vision_encoder", true), Unsupported, kWhere,
               "{}: the file has no vision encoder", file.path());
  ClipConfig c;
  c.image_size_px = static_cast<int32_t>(file.integer("clip.vision.image_size", 1, 8192));
  c.patch_size_px = static_cast<int32_t>(file.integer("clip.vision.patch_size", 1, c.image_size_px));
  c.n_embd = static_cast<int32_t>(file.integer("clip.vision.embedding_length", 1, 1 << 16));
  c.n_ff = static_cast<int32_t>(file.integer("clip.vision.feed_forward_length", 1, 1 << 18));
  c.n_head = static_cast<int32_t>(file.integer("clip.vision.attention.head_count", 1, c.n_embd));
  c.n_layer_stored = static_cast<int32_t>(file.integer("clip.vision.block_count", 1, 1024));
  c.eps = static_cast<float>(file.real("clip.vision.attention.layer_norm_epsilon"));
  WINNOW_CHECK(c.eps > 0.0f && c.eps < 1.0f, Corrupt, kWhere,
               "{}: layer norm epsilon, got {}, expected 0 to 1", file.path(), c.eps);
  c.use_gelu = file.boolean_or("clip.use_gelu", false);
  WINNOW_CHECK(!file.boolean_or("clip.use_silu", false) || is_qwen2_5_vl(file), Unsupported, kWhere,
               "{}: activation silu, expected gelu or quick gelu", file.path());
  c.mean = three_numbers(file, "clip.vision.image_mean");
  c.std = three_numbers(file, "clip.vision.image_std");
  for (const float s : c.std) {
    WINNOW_CHECK(s > 0.0f, Corrupt, kWhere, "{}: image_std, got {}, expected > 0", file.path(), s);
  }
  WINNOW_CHECK(c.n_embd % c.n_head == 0, Corrupt, kWhere, "{}: width {} does not divide into {} heads",
               file.path(), c.n_embd, c.n_head);
  c.siglip = stores_siglip(file);
  c.n_layer = blocks_to_run(file, c, feature_blocks);
  c.n_layer_run = c.n_layer;
  c.has_next_block = c.n_layer < c.n_layer_stored && stores_query_key(file, c.n_layer);
  c.has_cls = !c.siglip && stores_cls(file, c.n_patch());
  if (is_qwen2_vl(file)) read_qwen2_vl(file, c);
  c.ffn_swapped = stores_ffn_swapped(file, c.block());
  return c;
}

ClipConfig with_side(ClipConfig config, int32_t n_patch_side) {
  config.image_size_px = n_patch_side * config.patch_size_px;
  return config;
}

std::vector<TensorSpec> clip_tensors(const ClipConfig& c) {
  constexpr WeightUse kMatrix = WeightUse::Matrix;
  const int64_t d = c.n_embd;
  const std::vector<int64_t> kernel = {d, 3, c.patch_size_px, c.patch_size_px};
  std::vector<TensorSpec> table = {{"v.patch_embd.weight", kernel},
                                   {"v.patch_embd.bias", {d}, WeightUse::Small, !c.siglip}};
  for (int32_t frame = 1; frame < c.n_frame; ++frame) {
    table.push_back({fmt::format("v.patch_embd.weight.{}", frame), kernel});
  }
  if (!c.rotary) {
    table.push_back({"v.position_embd.weight", {c.n_token(), d}});
  }
  if (!c.rotary && !c.siglip) {
    for (const char* name : {"v.pre_ln.weight", "v.pre_ln.bias"}) table.push_back({name, {d}});
  }
  if (c.has_cls) table.push_back({"v.class_embd", {d}});
  for (int32_t il = 0; il < c.n_layer_run; ++il) add_block_tensors(table, c.block(), il);
  if (c.has_next_block && c.n_layer_run == c.n_layer) {
    for (const char* part : kQueryKeyParts) {
      const std::string name = fmt::format("v.blk.{}.{}", c.n_layer, part);
      if (std::string_view(part) == "ln1") {
        table.push_back({name + ".weight", {d}});
      } else {
        table.push_back({name + ".weight", {d, d}, kMatrix});
      }
      table.push_back({name + ".bias", {d}});
    }
  }
  return table;
}

std::string missing_tower_signal(const ClipConfig& config, const prune::Need& need) {
  using prune::Signal;
  const bool of_cls = need.signal == Signal::ClsToken || need.signal == Signal::ClsAttention ||
                      need.signal == Signal::WideClsAttention;
  if (of_cls && !config.has_cls) return "of the [CLS] token, which this tower does not have";
  if (!prune::is_tower_tap(need.signal)) return "";
  const int32_t block = block_of(need, config);
  if (block >= 0 && block < config.n_layer_run) return "";
  if (block != config.n_layer) {
    return fmt::format("of tower block {}, but the tower runs blocks 0 to {}", block, config.n_layer_run - 1);
  }
  if (config.has_next_block) return "";
  return fmt::format("of tower block {}, which this (legacy) file does not hold", block);
}

int32_t block_of(const prune::Need& need, const ClipConfig& config) {
  return prune::is_tower_tap(need.signal) ? prune::resolve_block(need.block, config.n_layer) : -1;
}

bool TowerRequest::wants(prune::Signal signal) const {
  return std::any_of(needs.begin(), needs.end(), [&](const prune::Need& n) { return n.signal == signal; });
}

}  // namespace winnow::engine
