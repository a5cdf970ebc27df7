#include "winnow/engine/model.h"

#include "winnow/base/error.h"
#include "winnow/base/log.h"
#include "winnow/engine/stopwatch.h"

namespace winnow::engine {
namespace {

constexpr const char* kWhere = "engine.model";

/// Types ggml can quantise to without calibration data and multiply.
bool can_store_weights(ggml_type type) {
  if (type == GGML_TYPE_F32 || type == GGML_TYPE_F16 || type == GGML_TYPE_BF16) return true;
  return ggml_is_quantized(type) && ggml_get_type_traits(type)->to_float != nullptr &&
         !ggml_quantize_requires_imatrix(type);
}

/// "auto" keeps what is stored; see docs/performance.md for what other types bring.
ggml_type matrix_type(const std::string& name, const char* part) {
  if (name == "auto" || name == "stored") return GGML_TYPE_COUNT;
  for (int type = 0; type < GGML_TYPE_COUNT; ++type) {
    const auto candidate = static_cast<ggml_type>(type);
    const char* type_name = ggml_type_name(candidate);
    if (type_name != nullptr && name == type_name && can_store_weights(candidate)) return candidate;
  }
  fail(ErrorCode::InvalidArgument, kWhere,
       "{} type, got '{}', expected auto, stored, f32, f16, bf16, q8_0, ...", part, name);
}

/// A checked tensor of one row, as float32.
std::vector<float> read_row(const GgufFile& file, const std::string& name) {
  const GgufTensor& tensor = *file.find(name);
  std::vector<float> row(static_cast<std::size_t>(tensor.n_elements()));
  rows_to_f32(file.bytes(tensor).data(), tensor.type, 1, tensor.n_elements(), row.data());
  return row;
}

}  // namespace

Model::Model(const ModelOptions& options)
    : options_(options),
      text_(options.text_path),
      mmproj_(options.mmproj_path),
      device_(find_device(options.device)) {
  const Stopwatch watch;
  const ggml_type tower_type = matrix_type(options.tower_type, "tower");
  const ggml_type text_type = matrix_type(options.text_type, "text");
  llama_ = read_llama_config(text_);
  clip_ = read_clip_config(mmproj_, options.tower_blocks);
  if (options.all_blocks) clip_.n_layer_run = clip_.n_layer_stored;
  mlp_ = read_mlp_config(mmproj_, clip_.n_embd, clip_.grid());
  tiling_ = read_tiling(mmproj_, clip_.image_size_px);
  check_tensors(text_, llama_tensors(llama_));
  check_tensors(mmproj_, clip_tensors(clip_));
  check_tensors(mmproj_, mlp_tensors(mlp_));
  check_tensors(mmproj_, tiling_tensors(tiling_, mlp_.n_out));
  clip_joint_ = ClipJoint::open(mmproj_, clip_, device_, options.f32);
  WINNOW_CHECK(mlp_.n_out == llama_.n_embd, InvalidArgument, kWhere,
               "{} projects to width {}, {} reads width {}: these two files do not belong together",
               options.mmproj_path, mlp_.n_out, options.text_path, llama_.n_embd);
  check_tokenizer(text_);
  tokenizer_ = std::make_unique<Tokenizer>(options.text_path);
  WINNOW_CHECK(tokenizer_->n_tokens() <= llama_.n_vocab, Corrupt, kWhere,
               "{}: the tokenizer has {} tokens, the embedding {} rows", options.text_path,
               tokenizer_->n_tokens(), llama_.n_vocab);

  WeightOptions weights{.f32 = options.f32, .matrix_type = text_type};
  decoder_weights_ =
      std::make_unique<Weights>(text_, llama_tensors(llama_), device_, weights, "loading the decoder");
  weights.matrix_type = GGML_TYPE_COUNT;
  projector_weights_ =
      std::make_unique<Weights>(mmproj_, mlp_tensors(mlp_), device_, weights, "loading the projector");
  weights.matrix_type = tower_type;
  tower_weights_ =
      std::make_unique<Weights>(mmproj_, clip_tensors(clip_), device_, weights, "loading the tower");
  if (tiling_.cuts()) image_newline_ = read_row(mmproj_, tiling_.newline_name);
  load_ms_ = watch.ms();
  log(LogLevel::Info, "decoder weights: {}; tower weights: {}", decoder_weights_->placement(),
      tower_weights_->placement());
}

std::shared_ptr<const Model> Model::load(const ModelOptions& options) {
  return std::shared_ptr<const Model>(new Model(options));
}

}  // namespace winnow::engine
