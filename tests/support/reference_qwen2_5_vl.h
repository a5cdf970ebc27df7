#pragma once

// Qwen2.5-VL's tower and merger in plain loops and double precision, for tests: written from the published
// formulas (Bai et al. 2025, arXiv 2502.13923; transformers' Qwen2_5_VisionTransformerPretrainedModel),
// sharing no code with the engine. Patches stay group after group in raster order: attention in windows is
// a question of which patches have the same window, not of their order.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tests/support/reference_llava.h"

namespace winnow::testing {

/// n patches of width d in groups of 2 x 2; head is the number of one.
struct RefQwenTower {
  RefMatrix input;                                // [n, d] patch embeddings
  std::vector<RefMatrix> blocks;                  // output of every block, [n, d]
  std::vector<std::vector<RefMatrix>> attention;  // [block][head], softmaxed, [n, n], 0 between windows
  std::vector<RefMatrix> keys;                    // of every block, rotated, [n, d]
  RefMatrix projected;                            // [n / 4, n_out]
};

/// How numbers are rounded: not at all, or as libmtmd 0.7 does it: patches and their kernels to f16, and the
/// merger's GELU as its tanh form between f16 values.
enum class RefRounding { None, Libmtmd };

/// pixel_values: [rows * cols, 3 * 2 * patch * patch] as transformers' processor gives them; rows and cols
/// count patches; window: side in patches. Throws std::runtime_error for a file that is none.
RefQwenTower reference_qwen2_5_vl(const std::string& mmproj_path, std::span<const float> pixel_values,
                                  int32_t rows, int32_t cols, int32_t window,
                                  RefRounding rounding = RefRounding::None);

}  // namespace winnow::testing
