#pragma once

// The types that model files are written in, and which tensor gets which.

#include <ggml.h>

#include <cstdint>
#include <string>
#include <vector>

namespace winnow::engine {

/// A storage type, its name in files and on the command line, and its llama_ftype in general.file_type.
struct WeightType {
  const char* name;
  ggml_type type;
  uint32_t file_type;
};

/// "f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "q4_K", "q5_K", "q6_K", upper or lower case.
/// Throws InvalidArgument.
ggml_type parse_weight_type(const std::string& name);
std::vector<std::string> weight_type_names();
/// Throws InvalidArgument for a type that is none of them.
const WeightType& weight_type(ggml_type type);

/// Type of the output matrix (token_embd.weight when tied) in a text model whose matrices have `type`: what
/// llama.cpp's default file types give it, q6_K for every quantised type but q8_0; q8_0 where rows of n_embd
/// values are no whole number of q6_K's blocks.
ggml_type output_weight_type(ggml_type type, int64_t n_embd);

/// Type of an mmproj file's matrices beside a text model of `type`: f16, f32 only for f32.
ggml_type mmproj_weight_type(ggml_type type);

}  // namespace winnow::engine
