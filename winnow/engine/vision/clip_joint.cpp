#include "winnow/engine/vision/clip_joint.h"

namespace winnow::engine {

std::unique_ptr<const ClipJoint> ClipJoint::open(const GgufFile& file, const ClipConfig& tower,
                                                 ggml_backend_dev_t device, bool f32) {
  const auto text = read_clip_text_config(file);
  if (!text) return nullptr;
  return std::unique_ptr<const ClipJoint>(new ClipJoint(file, tower, *text, device, f32));
}

ClipJoint::ClipJoint(const GgufFile& file, const ClipConfig& tower, const ClipTextConfig& text,
                     ggml_backend_dev_t device, bool f32)
    : file_(file),
      text_(text),
      d_tower_(tower.n_embd),
      tower_eps_(tower.eps),
      device_(device),
      f32_(f32),
      tokenizer_(file) {
  check_tensors(file, {clip_token_embedding(text, tokenizer_.n_tokens())});
  check_tensors(file, tensors());
}

std::vector<TensorSpec> ClipJoint::tensors() const {
  std::vector<TensorSpec> table = clip_text_tensors(text_);
  table.push_back({"v.post_ln.weight", {d_tower_}});
  table.push_back({"v.post_ln.bias", {d_tower_}});
  // Small: the authors project in float32 whatever the model's type is.
  table.push_back({"visual_projection.weight", {text_.n_joint, d_tower_}});
  return table;
}

/// Loaded late: most runs never ask, and the tower is some 250 MB.
const Weights& ClipJoint::weights() const {
  std::call_once(loaded_, [&] {
    const WeightOptions options{.f32 = f32_, .matrix_type = GGML_TYPE_COUNT};
    weights_ =
        std::make_unique<const Weights>(file_, tensors(), device_, options, "loading CLIP's text tower");
  });
  return *weights_;
}

std::vector<float> ClipJoint::image(const std::vector<float>& features, const Execution& execution) const {
  const Weights& w = weights();
  constexpr std::size_t kNodes = 64;
  Graph graph(kNodes, execution.observer);
  ggml_context* ctx = graph.ctx();
  const int64_t n = std::ssize(features) / d_tower_;
  ggml_tensor* x = graph.input(GGML_TYPE_F32, {d_tower_, n}, features.data());
  x = layer_norm(ctx, x, w.at("v.post_ln.weight"), w.at("v.post_ln.bias"), tower_eps_);
  ggml_tensor* joint = graph.output(linear(ctx, x, w.at("visual_projection.weight"), nullptr));
  graph.run(execution.backends);
  return graph.read(joint);
}

std::vector<float> ClipJoint::text(std::string_view question, const Execution& execution) const {
  std::vector<float> rows;
  const std::vector<int32_t> ids = tokenizer_.tokenize(question);
  for (const auto& segment : clip_segments(ids, text_.n_ctx, tokenizer_.end_token())) {
    const std::vector<float> row = run_clip_text(text_, weights(), file_, segment, execution);
    rows.insert(rows.end(), row.begin(), row.end());
  }
  return rows;
}

}  // namespace winnow::engine
