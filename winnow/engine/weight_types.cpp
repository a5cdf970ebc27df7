#include "winnow/engine/weight_types.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cctype>

#include "winnow/base/error.h"

namespace winnow::engine {
namespace {

constexpr WeightType kTypes[] = {
    {"f32", GGML_TYPE_F32, 0},    {"f16", GGML_TYPE_F16, 1},    {"bf16", GGML_TYPE_BF16, 32},
    {"q8_0", GGML_TYPE_Q8_0, 7},  {"q4_0", GGML_TYPE_Q4_0, 2},  {"q4_1", GGML_TYPE_Q4_1, 3},
    {"q5_0", GGML_TYPE_Q5_0, 8},  {"q5_1", GGML_TYPE_Q5_1, 9},  {"q4_K", GGML_TYPE_Q4_K, 14},
    {"q5_K", GGML_TYPE_Q5_K, 16}, {"q6_K", GGML_TYPE_Q6_K, 18},
};

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

}  // namespace

ggml_type parse_weight_type(const std::string& name) {
  for (const WeightType& row : kTypes) {
    if (lower(row.name) == lower(name)) return row.type;
  }
  fail(ErrorCode::InvalidArgument, "engine.parse_weight_type",
       "unknown weight type, got {}, expected one of {}", name, fmt::join(weight_type_names(), ", "));
}

std::vector<std::string> weight_type_names() {
  std::vector<std::string> names;
  for (const WeightType& row : kTypes) names.emplace_back(row.name);
  return names;
}

const WeightType& weight_type(ggml_type type) {
  for (const WeightType& row : kTypes) {
    if (row.type == type) return row;
  }
  fail(ErrorCode::InvalidArgument, "engine.weight_type", "unknown weight type number {}, expected one of {}",
       static_cast<int>(type), fmt::join(weight_type_names(), ", "));
}

ggml_type output_weight_type(ggml_type type, int64_t n_embd) {
  if (!ggml_is_quantized(type) || type == GGML_TYPE_Q8_0) return type;
  return n_embd % ggml_blck_size(GGML_TYPE_Q6_K) == 0 ? GGML_TYPE_Q6_K : GGML_TYPE_Q8_0;
}

ggml_type mmproj_weight_type(ggml_type type) { return type == GGML_TYPE_F32 ? GGML_TYPE_F32 : GGML_TYPE_F16; }

}  // namespace winnow::engine
