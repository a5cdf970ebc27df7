#include "winnow/engine/projector/mlp.h"

#include "winnow/base/error.h"

namespace winnow::engine {
namespace {

constexpr const char* kWhere = "engine.projector";
constexpr const char* kQwen2Merger = "qwen2vl_merger";
constexpr const char* kQwen25Merger = "qwen2.5vl_merger";

}  // namespace

MlpConfig read_mlp_config(const GgufFile& file, int32_t d_tower, prune::Grid patches) {
  const std::string type = file.text_or("clip.projector_type", "mlp");
  const bool qwen = type == kQwen2Merger || type == kQwen25Merger;
  WINNOW_CHECK(type == "mlp" || qwen, Unsupported, kWhere,
               "{}: projector, got '{}', expected 'mlp', '{}' or '{}'", file.path(), type, kQwen2Merger,
               kQwen25Merger);
  PatchMerge merge = read_patch_merge(file, patches);
  if (qwen) merge = {patches, file.has("clip.vision.spatial_merge_size") ? merge.side : 2, false, true};
  MlpConfig config{merge, merge.width(d_tower), 1, 1, 0.0F, type == kQwen25Merger};
  if (qwen) config.norm_eps = static_cast<float>(file.real("clip.vision.attention.layer_norm_epsilon"));
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
  std::vector<TensorSpec> table = {
      {"mm.0.weight", {c.n_hidden, c.n_in}, WeightUse::Matrix},
      {"mm.0.bias", {c.n_hidden}},
      {"mm.2.weight", {c.n_out, c.n_hidden}, WeightUse::Matrix},
      {"mm.2.bias", {c.n_out}},
  };
  if (c.norm_eps > 0.0F) {
    table.push_back({"v.post_ln.weight", {c.d_patch()}});
    if (!c.rms_norm) table.push_back({"v.post_ln.bias", {c.d_patch()}});
  }
  return table;
}

std::vector<float> run_mlp(const MlpConfig& config, const Weights& weights, std::span<const float> features,
                           const Execution& execution) {
  std::vector<float> merged;
  if (config.merge.side > 1) features = merged = merge_patches(config.merge, features);
  const int64_t n = std::ssize(features) / config.n_in;
  Graph graph(64, execution.observer);
  ggml_context* ctx = graph.ctx();
  ggml_tensor* x = graph.input(GGML_TYPE_F32, {config.n_in, n}, features.data());
  if (config.norm_eps > 0.0F) {
    x = ggml_reshape_2d(ctx, x, config.d_patch(), n * config.n_in / config.d_patch());
    ggml_tensor* scale = weights.at("v.post_ln.weight");
    x = config.rms_norm ? rms_norm(ctx, x, scale, config.norm_eps)
                        : layer_norm(ctx, x, scale, weights.at("v.post_ln.bias"), config.norm_eps);
    x = ggml_reshape_2d(ctx, x, config.n_in, n);
  }
  x = linear(ctx, x, weights.at("mm.0.weight"), weights.at("mm.0.bias"));
  x = linear(ctx, ggml_gelu_erf(ctx, x), weights.at("mm.2.weight"), weights.at("mm.2.bias"));
  graph.output(x);
  if (config.merge.by_group) {
    graph.observe("vis.merger_raw", x, {n, config.n_out});
  } else {
    graph.observe("proj", x, {1, n, config.n_out});
  }
  graph.run(execution.backends);
  return graph.read(x);
}

}  // namespace winnow::engine
