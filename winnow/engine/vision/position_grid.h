#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "winnow/prune/signals.h"

namespace winnow::engine {

/// Position embeddings of one grid of patches, interpolated to another: bicubic with a = -0.75, without
/// antialiasing, corners not aligned, the border repeated. Equal to transformers'
/// CLIPVisionEmbeddings.interpolate_pos_encoding, which calls torch.nn.functional.interpolate(size=...,
/// mode="bicubic", align_corners=False). table [n_cls + from.size(), width]: n_cls rows in front stay as they
/// are -> [n_cls + to.size(), width]. Throws InvalidArgument for an empty grid or a table of another size.
std::vector<float> resize_positions(std::span<const float> table, int32_t n_cls, const prune::Grid& from,
                                    const prune::Grid& to);

}  // namespace winnow::engine
