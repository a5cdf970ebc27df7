#pragma once

#include <torch/torch.h>

#include <string>

namespace winnow::train {

/// "auto" (CUDA when LibTorch has it), "cpu", "cuda". Throws InvalidArgument, Unsupported.
torch::Device parse_device(const std::string& name);

/// Whether products run in bfloat16: "f32", "bf16", or "auto": on CPUs whichever a trial of 50 ms finds
/// faster (AMX and AVX-512 BF16 gain much, others lose much), on a GPU f32 (docs/model.md). Throws
/// InvalidArgument.
bool use_bf16(const std::string& precision, const torch::Device& device);

}  // namespace winnow::train
