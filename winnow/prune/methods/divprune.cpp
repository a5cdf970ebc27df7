// DivPrune: tokens that are as far from each other as can be (greedy max-min distance), importance ignored.
// Alvar et al. 2025, "DivPrune: Diversity-based Visual Token Pruning for Large Multimodal Models", arXiv
// 2503.02175.
//   D_ij = 1 - cos(f_i, f_j) of the projected features
//   first = argmax_j min_(i != j) D_ij;  then argmax_j min_(i kept) D_ij until n_keep are kept;  raster order
// Reference: vbdi/divprune @799e2d950a, LLaVA/llava/model/llava_arch.py, DivPrune. As there, and unlike the
// runs behind the paper's tables, the kept tokens are sorted (their authors, issue 8: sorting gives slightly
// better scores). Of a picture cut into tiles it compares all tokens of the prompt's image, newlines too.
// Deviations, only where the reference is undefined: a kept token is never picked again
// (there, exact duplicates can be), and a row of zeros, whose cosine is NaN there, counts as a copy of
// everything and goes first. Distances to the nearest kept token only fall, so most are never brought up to
// date (pick_lazily).

#include <algorithm>
#include <limits>
#include <vector>

#include "winnow/prune/greedy.h"
#include "winnow/prune/method.h"
#include "winnow/prune/ops.h"

namespace winnow::prune {
namespace {

/// Distances before anything is near: that of opposite vectors, none for a row of zeros.
std::vector<float> far_away(const MatrixView& unit) {
  std::vector<float> distance;
  for (int64_t j = 0; j < unit.rows; ++j) distance.push_back(all_zero(unit.row(j)) ? 0.0F : 2.0F);
  return distance;
}

class DivPrune final : public Method {
 public:
  const MethodInfo& info() const override { return info_; }
  std::vector<Need> needs(const Params&) const override { return {{Signal::Projected}}; }

  Plan select(const Signals& signals, int32_t n_keep, const Params&, Rng&) const override {
    const std::vector<float> units = unit_rows(signals.projected);
    const MatrixView unit{units.data(), signals.projected.rows, signals.projected.cols};
    Picks picks(signals.n());
    const std::vector<float> largest = max_cosine_to_others(signals.projected);
    std::vector<float> distance = far_away(unit);
    for (std::size_t j = 0; j < distance.size(); ++j)
      distance[j] = std::min(distance[j], std::max(0.0F, 1.0F - largest[j]));
    const int32_t first = picks.best(distance);

    distance = far_away(unit);
    std::vector<float> scores = distance;
    scores[static_cast<std::size_t>(first)] = std::numeric_limits<float>::infinity();
    PickedRows picked(unit);
    const auto refresh = [&](int32_t token) {
      float& nearest = distance[static_cast<std::size_t>(token)];
      for (const float cosine : picked.news(token))
        nearest = std::min(nearest, std::max(0.0F, 1.0F - cosine));
      return nearest;
    };
    pick_lazily(picks, scores, n_keep, refresh, [&](int32_t token) { picked.add(token); });
    return picks.plan();
  }

 private:
  MethodInfo info_{.name = "divprune",
                   .summary = "farthest by cosine from the nearest token kept so far, one after the other",
                   .paper = "Alvar et al. 2025, arXiv 2503.02175",
                   .stage = Stage::AfterTower,
                   .across_tiles = true};
};

}  // namespace

const Method& divprune_method() {
  static const DivPrune method;
  return method;
}

}  // namespace winnow::prune
