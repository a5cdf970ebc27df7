#pragma once

// What Qwen2-VL's tower (Wang et al. 2024, arXiv 2409.12191) has that CLIP's has not, as data and small
// pieces; the blocks are the same. Pictures of about their own size, 2-D rotary positions, two frames to a
// patch, patches in squares of 2 x 2. Qwen2.5-VL's (Bai et al. 2025, arXiv 2502.13923) has RMSNorm, a gated
// MLP and windows (windows.h) besides.

#include <ggml.h>

#include <vector>

#include "winnow/engine/vision/clip.h"

namespace winnow::engine {

/// clip.projector_type is llama.cpp's "qwen2.5vl_merger".
bool is_qwen2_5_vl(const GgufFile& file);
/// It is that or "qwen2vl_merger".
bool is_qwen2_vl(const GgufFile& file);

/// Fills in what a file of that kind says beside the keys of every tower: clip.vision.spatial_merge_size (2),
/// clip.vision.image_min_pixels and image_max_pixels. Files of llama.cpp say neither, and their
/// feed_forward_length is another width, so n_ff comes from the tensor. Of Qwen2.5-VL
/// clip.vision.n_wa_pattern (every block of that number attends to all) and clip.vision.window_size (pixels;
/// 112 where files of llama.cpp do not say it). Throws NotFound, Corrupt, Unsupported.
void read_qwen2_vl(const GgufFile& file, ClipConfig& config);

/// The tower for a picture of this size. Throws as smart_resize().
ClipConfig fitted_to(ClipConfig config, PixelSize picture);

/// The same for one temporal step of a video. All steps together have the pixels of max_tokens visual tokens
/// at most; 0: those that the largest picture has. Throws Unsupported for a tower without video,
/// InvalidArgument for no frames and for more than that is for.
ClipConfig fitted_to_video(ClipConfig config, PixelSize frame, int32_t n_frames, int32_t max_tokens);

/// Temporal steps of a video.
int32_t n_video_steps(const ClipConfig& config, int32_t n_frames);

/// Rows and columns of the patches in the tower's order, as ggml's vision rotation takes them: [4, n_patch] =
/// row, column, row, column.
std::vector<int32_t> rotary_positions(const ClipConfig& config);

/// Queries or keys ne {n_embd, n}, of each head the first half of the pairs turned by the row and the second
/// by the column, with frequencies 10000^(-4i / d_head) in each (transformers, VisionRotaryEmbedding).
ggml_tensor* rotate_patches(ggml_context* ctx, ggml_tensor* x, ggml_tensor* positions, int32_t n_head);

}  // namespace winnow::engine
