#pragma once

#include <cstdint>
#include <string>

namespace winnow::train {

/// How the projector makes visual tokens fewer (training-aware compression).
enum class Variant { None, Merge, Pool };
/// "none", "merge" (2x2 patches side by side into the projector, as Qwen2-VL's merger), "pool" (2x2 mean
/// before the projector). Throws InvalidArgument.
Variant parse_variant(const std::string& name);
const char* variant_name(Variant variant);

/// The LLaVA-1.5 architecture in numbers: CLIP ViT with [CLS], two-layer projector, Llama decoder.
struct ModelShape {
  int32_t image_px = 96;
  int32_t patch_px = 8;
  int32_t tower_embd = 192;
  int32_t tower_layers = 6;  ///< features are the output of the second-last one
  int32_t tower_head = 6;
  int32_t tower_ff = 768;
  float tower_eps = 1e-5F;

  int32_t n_embd = 192;
  int32_t n_layer = 8;
  int32_t n_head = 6;
  int32_t n_ff = 512;
  int32_t n_vocab = 0;
  int32_t n_ctx = 2048;
  float rms_eps = 1e-5F;
  float rope_base = 10000.0F;

  int32_t merge = 1;  ///< projector reads merge x merge patches side by side
  int32_t pool = 1;   ///< projector reads the mean of pool x pool patches

  int32_t side() const { return image_px / patch_px; }
  int32_t n_patch() const { return side() * side(); }
  int32_t patch_values() const { return 3 * patch_px * patch_px; }
  int32_t group() const { return merge > pool ? merge : pool; }
  int32_t n_visual() const { return n_patch() / (group() * group()); }
  int32_t projector_in() const { return tower_embd * merge * merge; }
  int32_t d_head() const { return n_embd / n_head; }
};

}  // namespace winnow::train
