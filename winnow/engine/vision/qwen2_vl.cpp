#include "winnow/engine/vision/qwen2_vl.h"

#include <algorithm>

#include "winnow/base/error.h"
#include "winnow/engine/vision/windows.h"

namespace winnow::engine {
namespace {

constexpr const char* kWhere = "engine.qwen2_vl";
constexpr const char* kGroupKey = "clip.vision.spatial_merge_size";
constexpr const char* kMinKey = "clip.vision.image_min_pixels";
constexpr const char* kMaxKey = "clip.vision.image_max_pixels";
constexpr const char* kWindowKey = "clip.vision.window_size";
constexpr int32_t kWindowPx = 112;  // of all published models
/// The published processors' least, 4 visual tokens, and llama.cpp's most, 4096 of them.
constexpr int64_t kMinPixels = int64_t{56} * 56;
constexpr int64_t kMaxPixels = int64_t{4096} * 28 * 28;

/// What Qwen2.5-VL's blocks have besides.
void read_windows(const GgufFile& file, ClipConfig& c) {
  const char* silu = "clip.use_silu";
  WINNOW_CHECK(file.boolean_or(silu, false), Unsupported, kWhere,
               "{}: key '{}' of a Qwen2.5-VL tower, got false, expected true", file.path(), silu);
  c.rms_norm = c.gated = true;
  c.full_every = static_cast<int32_t>(file.integer("clip.vision.n_wa_pattern", 1, 1024));
  const auto window_px = static_cast<int32_t>(file.integer_or(kWindowKey, 1, 1 << 16, kWindowPx));
  const int32_t group_px = c.group_side * c.patch_size_px;
  WINNOW_CHECK(window_px % group_px == 0, Corrupt, kWhere,
               "{}: key '{}', got {} pixels, expected a multiple of {} (merged patches)", file.path(),
               kWindowKey, window_px, group_px);
  c.window_side = window_px / group_px;
}

/// Width between the two matrices of a block.
int32_t stored_n_ff(const GgufFile& file, int32_t n_embd) {
  const char* name = "v.blk.0.ffn_up.weight";
  const GgufTensor* up = file.find(name);
  WINNOW_CHECK(up != nullptr, NotFound, kWhere, "{}: tensor '{}' is missing", file.path(), name);
  return static_cast<int32_t>(up->ne[0] == n_embd ? up->ne[1] : up->ne[0]);
}

}  // namespace

bool is_qwen2_5_vl(const GgufFile& file) {
  return file.text_or("clip.projector_type", "mlp") == "qwen2.5vl_merger";
}

bool is_qwen2_vl(const GgufFile& file) {
  return file.text_or("clip.projector_type", "mlp") == "qwen2vl_merger" || is_qwen2_5_vl(file);
}

void read_qwen2_vl(const GgufFile& file, ClipConfig& c) {
  c.n_ff = stored_n_ff(file, c.n_embd);
  c.rotary = true;
  c.has_cls = false;
  c.n_frame = 2;
  c.reads_video = !is_qwen2_5_vl(file);
  c.n_layer = c.n_layer_run = c.n_layer_stored;
  c.has_next_block = false;
  c.group_side = static_cast<int32_t>(file.integer_or(kGroupKey, 1, 16, 2));
  const int64_t side_px = int64_t{c.group_side} * c.patch_size_px;
  c.own_size.min = file.integer_or(kMinKey, 1, 1 << 28, kMinPixels);
  c.own_size.max = file.integer_or(kMaxKey, side_px * side_px, 1 << 28, kMaxPixels);
  WINNOW_CHECK(c.own_size.min <= c.own_size.max, Corrupt, kWhere,
               "{}: keys '{}' and '{}', got {} and {}, expected the first to be the smaller", file.path(),
               kMinKey, kMaxKey, c.own_size.min, c.own_size.max);
  const int32_t d_head = c.n_embd / c.n_head;
  WINNOW_CHECK(d_head % 4 == 0, Corrupt, kWhere,
               "{}: tower heads, got {} values, expected a multiple of 4 (rows and columns turn pairs)",
               file.path(), d_head);
  const int32_t side = c.image_size_px / static_cast<int32_t>(side_px);
  WINNOW_CHECK(side >= 1, Corrupt, kWhere, "{}: image_size, got {}, expected at least {} pixels", file.path(),
               c.image_size_px, side_px);
  c.image_size_px = side * static_cast<int32_t>(side_px);
  if (is_qwen2_5_vl(file)) read_windows(file, c);
}

ClipConfig fitted_to(ClipConfig config, PixelSize picture) {
  const PixelSize size = smart_resize(picture, config.patch_size_px * config.group_side, config.own_size);
  config.fitted = {size.height / config.patch_size_px, size.width / config.patch_size_px};
  return config;
}

int32_t n_video_steps(const ClipConfig& config, int32_t n_frames) {
  return (n_frames + config.n_frame - 1) / config.n_frame;
}

ClipConfig fitted_to_video(ClipConfig config, PixelSize frame, int32_t n_frames, int32_t max_tokens) {
  WINNOW_CHECK(config.reads_video, Unsupported, kWhere,
               "this model reads pictures, got a video, expected a model that reads video (Qwen2-VL)");
  WINNOW_CHECK(n_frames > 0, InvalidArgument, kWhere, "a video without frames, expected at least one");
  const int64_t side_px = int64_t{config.patch_size_px} * config.group_side;
  const int64_t token_px = side_px * side_px;
  const int64_t most = max_tokens > 0 ? max_tokens * token_px : config.own_size.max;
  const int64_t n_step = n_video_steps(config, n_frames);
  const int64_t least = std::max<int64_t>(config.own_size.min, token_px);
  WINNOW_CHECK(most / n_step >= least, InvalidArgument, kWhere,
               "a video of {} frames in {} visual tokens, expected at least {} tokens, or fewer frames",
               n_frames, most / token_px, (least * n_step + token_px - 1) / token_px);
  config.own_size.max = std::min(config.own_size.max, most / n_step);
  return fitted_to(config, frame);
}

std::vector<int32_t> rotary_positions(const ClipConfig& config) {
  const prune::Grid grid = config.grid();
  const std::vector<int32_t> patches = tower_order(config);
  std::vector<int32_t> out;
  out.reserve(4 * patches.size());
  for (int32_t axis = 0; axis < 4; ++axis) {
    for (const int32_t patch : patches) out.push_back(axis % 2 == 0 ? patch / grid.cols : patch % grid.cols);
  }
  return out;
}

ggml_tensor* rotate_patches(ggml_context* ctx, ggml_tensor* x, ggml_tensor* positions, int32_t n_head) {
  const auto d_head = static_cast<int>(x->ne[0] / n_head);
  ggml_tensor* heads = ggml_reshape_3d(ctx, x, d_head, n_head, x->ne[1]);
  int sections[GGML_MROPE_SECTIONS] = {d_head / 4, d_head / 4, d_head / 4, d_head / 4};
  constexpr float kBase = 10000.0F;
  heads = ggml_rope_multi(ctx, heads, positions, nullptr, d_head / 2, sections, GGML_ROPE_TYPE_VISION, 0,
                          kBase, 1.0F, 0.0F, 1.0F, 0.0F, 0.0F);
  return ggml_reshape_2d(ctx, heads, x->ne[0], x->ne[1]);
}

}  // namespace winnow::engine
