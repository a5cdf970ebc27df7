#include "winnow/engine/projector/mlp.h"

#include "winnow/base/error.h"

namespace winnow::engine {

MlpConfig read_mlp_config(const GgufFile& file, int32_t n_in) {
  const std::string type = file.text_or("clip.projector_type", "mlp");
  WINNOW_CHECK(type == "mlp", Unsupported, "engine.projector", "{}: projector, got '{}', expected 'mlp'",
               file.path(), type);
  MlpConfig config{n_in, 1, 1};
  if (const GgufTensor* first = file.find("mm.0.weight"))
    config.n_hidden = static_cast<int32_t>(first->ne[1]);
  if (const GgufTensor* second = file.find("mm.2.weight")) config.n_out = static_cast<int32_t>(second->ne[1]);
  return config;
}

std::vector<TensorSpec> mlp_tensors(const MlpConfig& c) {
  return {
      {"mm.0.weight", {c.n_hidden, c.n_in}, WeightUse::Matrix},
      {"mm.0.bias", {c.n_hidden}},
      {"mm.2.weight", {c.n_out, c.n_hidden}, WeightUse::Matrix},
      {"mm.2.bias", {c.n_out}},
  };
}

std::vector<float> run_mlp(const MlpConfig& config, const Weights& weights, std::span<const float> features,
                           const Execution& execution) {
  const auto n = static_cast<int64_t>(features.size()) / config.n_in;
  Graph graph(64, execution.observer);
  ggml_context* ctx = graph.ctx();
  ggml_tensor* x = graph.input(GGML_TYPE_F32, {config.n_in, n}, features.data());
  x = linear(ctx, x, weights.at("mm.0.weight"), weights.at("mm.0.bias"));
  x = linear(ctx, ggml_gelu_erf(ctx, x), weights.at("mm.2.weight"), weights.at("mm.2.bias"));
  graph.output(x);
  graph.observe("proj", x, {1, n, config.n_out});
  graph.run(execution.backends);
  return graph.read(x);
}

}  // namespace winnow::engine
