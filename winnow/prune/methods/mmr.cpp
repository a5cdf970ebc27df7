// Maximal marginal relevance: importance against the similarity to what is already kept. The selection rule
// of IDPruner without its trained scorer (12.9 M parameters), so training-free.
// Tan et al. 2026, "IDPruner: Harmonizing Importance and Diversity in Visual Token Pruning for MLLMs", arXiv
// 2602.13315.
//   first = argmax_j I_j;  then argmax_j lambda * I_j - (1 - lambda) * max_(i kept) cos(f_i, f_j)
//   I = importance, min-max normalised over the image;  f = projected features;  raster order
// Reference: YF-T/IDPruner @6aeb9dc3ce, pruning/strategies/idpruner.py (parallel_k = 1, its default).
// Deviations: I comes from attention, feature lengths or the text instead of the scorer (`importance`), and
// its range is divided by as it is (there, 1e-6 is added). Positions are kept, as there.

#include <algorithm>
#include <limits>
#include <vector>

#include "winnow/prune/greedy.h"
#include "winnow/prune/importance.h"
#include "winnow/prune/method.h"
#include "winnow/prune/ops.h"

namespace winnow::prune {
namespace {

class Mmr final : public Method {
 public:
  const MethodInfo& info() const override { return info_; }

  std::vector<Need> needs(const Params& params) const override {
    std::vector<Need> needs{{Signal::Projected}};
    add_importance_needs(params.choice("importance"), needs);
    return needs;
  }

  Plan select(const Signals& signals, int32_t n_keep, const Params& params, Rng&) const override {
    const auto lambda = static_cast<float>(params.real("lambda"));
    const std::vector<float> units = unit_rows(signals.projected);
    const MatrixView unit{units.data(), signals.projected.rows, signals.projected.cols};
    std::vector<float> importance = importance_of(signals, params.choice("importance"));
    min_max_normalise(importance);

    std::vector<float> nearest(importance.size(), -2.0F);  // below every cosine
    const auto score = [&](std::size_t j) { return lambda * importance[j] - (1.0F - lambda) * nearest[j]; };
    std::vector<float> scores;
    for (std::size_t j = 0; j < importance.size(); ++j) scores.push_back(score(j));
    Picks picks(signals.n());
    scores[static_cast<std::size_t>(picks.best(importance))] = std::numeric_limits<float>::infinity();
    PickedRows picked(unit);
    const auto refresh = [&](int32_t token) {
      const auto j = static_cast<std::size_t>(token);
      for (const float cosine : picked.news(token)) nearest[j] = std::max(nearest[j], cosine);
      return score(j);
    };
    pick_lazily(picks, scores, n_keep, refresh, [&](int32_t token) { picked.add(token); });
    return picks.plan();
  }

 private:
  MethodInfo info_{.name = "mmr",
                   .summary =
                       "lambda x importance - (1 - lambda) x largest cosine to a kept token, one after "
                       "the other",
                   .paper = "Tan et al. 2026, arXiv 2602.13315",
                   .stage = Stage::AfterTower,
                   .position = PositionPolicy::Original,
                   .params = {importance_param({"cls", "column", "l2", "text"}),
                              {.name = "lambda",
                               .kind = ParamKind::Real,
                               .default_value = "0.5",
                               .min = 0.0,
                               .max = 1.0,
                               .help = "weight of importance"}}};
};

}  // namespace

const Method& mmr_method() {
  static const Mmr method;
  return method;
}

}  // namespace winnow::prune
