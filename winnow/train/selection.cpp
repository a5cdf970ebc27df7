#include "winnow/train/selection.h"

#include <algorithm>
#include <cmath>

#include "winnow/base/error.h"

namespace winnow::train {

using torch::Tensor;

namespace {

/// Rows of one picture out of a matrix of all, [rows, cols].
MatrixView rows_of(const Tensor& all, int64_t picture, int64_t rows) {
  const int64_t cols = all.size(-1);
  return {all.data_ptr<float>() + picture * rows * cols, rows, cols};
}

}  // namespace

void check_trainable(const prune::MethodUse& use) {
  for (const prune::Need& need : use.method->needs(use.params)) {
    const bool of_tower = need.signal == prune::Signal::Projected || need.signal == prune::Signal::Tower ||
                          need.signal == prune::Signal::ClsAttention;
    WINNOW_CHECK(of_tower && need.block == prune::kFeatureBlock, Unsupported, "train.selection",
                 "{} reads {}, which a training does not have; expected a method that acts behind the tower "
                 "on features "
                 "or [CLS] attention",
                 use.method->info().name, prune::signal_name(need.signal));
  }
}

std::vector<prune::Plan> select_tokens(const prune::MethodUse& use, double share, const ModelShape& shape,
                                       const Model::TowerOut& tower, const Tensor& projected, uint64_t seed) {
  const Tensor features = tower.features.detach().to(torch::kCPU).contiguous();
  const Tensor tokens = projected.detach().to(torch::kCPU).contiguous();
  const Tensor attention = tower.cls_attention.to(torch::kCPU).contiguous();
  const int32_t n = shape.n_visual(), side = shape.side();
  const auto n_keep = std::clamp(static_cast<int32_t>(std::lround(share * n)), 1, n);
  std::vector<prune::Plan> plans;
  for (int64_t picture = 0; picture * n < tokens.size(0); ++picture) {
    prune::Signals signals;
    signals.grid = {side, side};
    signals.projected = rows_of(tokens, picture, n);
    signals.tower = rows_of(features, picture, n);
    signals.tower_taps = {
        {.block = prune::kFeatureBlock, .cls_attention = rows_of(attention, picture, shape.tower_head)}};
    Rng rng(seed, static_cast<uint64_t>(picture));
    plans.push_back(prune::run_method(use, signals, n_keep, rng));
  }
  return plans;
}

Tensor apply_plans(const Tensor& projected, std::span<const prune::Plan> plans, int64_t n_visual) {
  std::vector<int64_t> source, target;
  std::vector<float> weight;
  int64_t n_out = 0;
  bool selection = true;
  for (std::size_t picture = 0; picture < plans.size(); ++picture) {
    const prune::Plan& plan = plans[picture];
    selection = selection && plan.is_selection();
    for (int32_t out = 0; out < plan.n_out(); ++out, ++n_out) {
      const auto weights = plan.weights(out);
      for (std::size_t i = 0; i < weights.size(); ++i) {
        source.push_back(static_cast<int64_t>(picture) * n_visual + plan.sources(out)[i]);
        target.push_back(n_out);
        weight.push_back(weights[i]);
      }
    }
  }
  const auto to = [&](const auto& values, torch::ScalarType type) {
    return torch::tensor(values, type).to(projected.device());
  };
  const Tensor rows = projected.index_select(0, to(source, torch::kLong));
  if (selection) return rows;
  const Tensor weighted = rows * to(weight, torch::kFloat).unsqueeze(1);
  return torch::zeros({n_out, projected.size(1)}, projected.options())
      .index_add(0, to(target, torch::kLong), weighted);
}

}  // namespace winnow::train
