#pragma once

// Qwen2-VL's tower and merger in plain loops and double precision, for tests: written from the paper (Wang et
// al. 2024, arXiv 2409.12191) and transformers' Qwen2VisionTransformer, sharing no arithmetic with the
// engine. All temporal steps of a video are one sequence, in which attention sees the own step only.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tests/support/reference_llava.h"

namespace winnow::testing {

/// t steps of h x w patches, rows in the tower's order: step after step, 2 x 2 patches after 2 x 2.
struct RefVideo {
  RefMatrix input;                // [t * h * w, d] patch embeddings
  std::vector<RefMatrix> blocks;  // output of every block
  RefMatrix projected;            // [t * h * w / 4, n_embd]
};

/// pixels: [t * h * w, 3 * 2 * patch * patch] as transformers' processor gives them.
RefVideo ref_qwen2_vl(const std::string& mmproj_path, std::span<const float> pixels, int64_t t, int64_t h,
                      int64_t w);

}  // namespace winnow::testing
