#pragma once

#include <cstdint>
#include <span>

#include "winnow/engine/decoder/llama.h"
#include "winnow/engine/projector/mlp.h"
#include "winnow/engine/vision/clip.h"

namespace winnow::engine {

// Counted floating-point operations: a multiply-add is two; matrix products and attention only. FastV's
// formula 4nd^2 + 2n^2d + 2ndm (arXiv 2403.06764) counts multiply-adds of a plain MLP; here the gated MLP has
// three matrices and attention is causal, so these numbers are what the engine really computes.

/// Prefill of a prompt: tokens_per_layer[il] tokens enter layer il. The last layer computes queries and MLP
/// for the last token only, and the head runs once.
double decoder_prefill_flops(const LlamaConfig& config, std::span<const int32_t> tokens_per_layer);
/// One image through the tower, whose blocks worked on these rows (EncodedImage::tower_rows).
double tower_flops(const ClipConfig& config, std::span<const BlockRows> rows);
/// n visual tokens through the projector.
double projector_flops(const MlpConfig& config, int64_t n);

}  // namespace winnow::engine
