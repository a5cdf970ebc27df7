#include "winnow/engine/projector/mlp.h"

#include "winnow/base/error.h"

namespace winnow::engine {
namespace {

constexpr const char* kWhere = "engine.projector";

}  // namespace

MlpConfig read_mlp_config(const GgufFile& file, int32_t d_tower, prune::Grid patches) {
  const std::string type = file.text_or("clip.projector_type", "mlp");
  WINNOW_CHECK(type == "mlp", Unsupported, kWhere, "{}: projector, got '{}', expected 'mlp'", file.path(),
               type);
  const PatchMerge merge = read_patch_merge(file, patches);
  MlpConfig config{merge, merge.width(d_tower), 1, 1};
  if (const GgufTensor* first = file.find("mm.0.weight")) {
    config.n_hidden = static_cast<int32_t>(first->ne[1]);
    WINNOW_CHECK(merge.side == 1 || first->ne[0] == config.n_in, Corrupt, kWhere,
                 "{}: tensor 'mm.0.weight' reads {} values, {} x {} {} patches of width {} give {}",
                 file.path(), first->ne[0], merge.side, merge.side, merge.mean ? "averaged" : "merged",
                 d_tower, config.n_in);
  }
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
  std::vector<float> merged;
  if (config.merge.side > 1) features = merged = merge_patches(config.merge, features);
  const int64_t n = std::ssize(features) / config.n_in;
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
