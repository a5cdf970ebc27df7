// GreedyPrune, approximately: the most salient tokens, each of which suppresses those that look like it.
// Pei et al. 2025, "GreedyPrune: Retenting Critical Visual Token Set for Large Vision Language Models", arXiv
// 2506.13166.
//   visit tokens by saliency, best first; keep one that is not suppressed and suppress every j with
//   cos(f_i, f_j) > tau; stop at n_keep; when tokens run out, fill with suppressed ones by saliency
// The authors released no code. The rule and tau = 0.9 are those of a third party's port, on the projected
// features; raster order. The paper's saliency is text or [CLS] attention (`importance=cls`, the default),
// the port's the cosine to the mean text embedding (`importance=text`). Treat its numbers as those of this
// rule, not as the paper's.

#include <algorithm>
#include <vector>

#include "winnow/prune/greedy.h"
#include "winnow/prune/importance.h"
#include "winnow/prune/method.h"
#include "winnow/prune/ops.h"
#include "winnow/prune/similarity.h"

namespace winnow::prune {
namespace {

class GreedyPrune final : public Method {
 public:
  const MethodInfo& info() const override { return info_; }

  std::vector<Need> needs(const Params& params) const override {
    std::vector<Need> needs{{Signal::Projected}};
    add_importance_needs(params.choice("importance"), needs);
    return needs;
  }

  Plan select(const Signals& signals, int32_t n_keep, const Params& params, Rng&) const override {
    const auto tau = static_cast<float>(params.real("tau"));
    const std::vector<float> units = unit_rows(signals.projected);
    const MatrixView unit{units.data(), signals.projected.rows, signals.projected.cols};
    const std::vector<int32_t> order = descending_order(importance_of(signals, params.choice("importance")));

    Picks picks(signals.n());
    std::vector<float> picked;  // [picks, d]
    std::vector<float> cosines;
    for (const int32_t token : order) {
      if (picks.size() == n_keep) break;
      const std::span<const float> row = unit.row(token);
      cosines.resize(static_cast<std::size_t>(picks.size()));
      inner_with({picked.data(), picks.size(), unit.cols}, row, cosines);
      const bool suppressed = std::any_of(cosines.begin(), cosines.end(),
                                          [&](float cosine) { return std::min(cosine, 1.0F) > tau; });
      if (suppressed) continue;
      picks.take(token);
      picked.insert(picked.end(), row.begin(), row.end());
    }
    picks.fill(order, n_keep);
    return picks.plan();
  }

 private:
  MethodInfo info_{.name = "greedyprune",
                   .summary = "most important first; each suppresses tokens with a cosine above tau",
                   .paper = "Pei et al. 2025, arXiv 2506.13166 (approximate)",
                   .stage = Stage::AfterTower,
                   .params = {importance_param({"cls", "column", "text"}),
                              {.name = "tau",
                               .kind = ParamKind::Real,
                               .default_value = "0.9",
                               .min = -1.0,
                               .max = 1.0,
                               .help = "cosine above which a token is a repetition"}}};
};

}  // namespace

const Method& greedyprune_method() {
  static const GreedyPrune method;
  return method;
}

}  // namespace winnow::prune
