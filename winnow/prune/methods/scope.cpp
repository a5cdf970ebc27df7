// SCOPE: tokens that are salient and stand for many others (facility location).
// Deng et al. 2025, "SCOPE: Saliency-Coverage Oriented Token Pruning for Efficient Multimodal LLMs", arXiv
// 2510.24214.
//   cover_i = max(0, max_(j kept) cos(f_i, f_j)), f = tower features;  gain_j = sum_i max(0, cos_ij -
//   cover_i) pick argmax_j gain_j * a_j^alpha  (combine=add: gain_j + a_j^alpha);  raster order a_j = sum
//   over heads of the [CLS] attention (importance=column, for towers without [CLS]: of the column's)
// Reference: kinredon/SCOPE @6bf73069e0, scope/clip_encoder.py, SCOPE. No deviations; a row of zeros, whose
// cosine is NaN there, covers nothing.
//
// A gain never grows while tokens are picked, so a score from an earlier pick is an upper bound, and only
// candidates whose bound is on top are computed anew (lazy greedy). The terms are added in a fixed order, in
// which rounding keeps them from growing too: the picks are exactly those of computing everything each time.
// All cosines are kept up to 4096 tokens; beyond that a row of them is computed when it is asked for.

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <vector>

#include "winnow/prune/greedy.h"
#include "winnow/prune/importance.h"
#include "winnow/prune/method.h"
#include "winnow/prune/ops.h"
#include "winnow/prune/similarity.h"

namespace winnow::prune {
namespace {

/// What a token with these cosines to the others adds to the cover. In double: there may be many terms.
float gain(std::span<const float> cosines, const std::vector<float>& cover) {
  double sum = 0.0;
  for (std::size_t i = 0; i < cover.size(); ++i) {
    sum += static_cast<double>(std::max(0.0F, cosines[i] - cover[i]));
  }
  return static_cast<float>(sum);
}

/// Picks by score(gain, token), which must not fall when the gain rises.
template <class Score>
Picks cover_greedily(Products& cosines, int32_t n_keep, const Score& score) {
  const int64_t n = cosines.n();
  std::vector<float> cover(static_cast<std::size_t>(n), 0.0F);
  std::vector<float> scores;
  for (int64_t first = 0; first < n; first += Products::kMostAtOnce) {
    const MatrixView rows = cosines.rows(first, std::min(Products::kMostAtOnce, n - first));
    for (int64_t r = 0; r < rows.rows; ++r)
      scores.push_back(score(gain(rows.row(r), cover), static_cast<int32_t>(first + r)));
  }
  Picks picks(static_cast<int32_t>(n));
  pick_lazily(
      picks, scores, n_keep,
      [&](int32_t token) { return score(gain(cosines.rows(token).row(0), cover), token); },
      [&](int32_t token) {
        const std::span<const float> row = cosines.rows(token).row(0);
        for (std::size_t i = 0; i < cover.size(); ++i) cover[i] = std::max(cover[i], row[i]);
      });
  return picks;
}

class Scope final : public Method {
 public:
  const MethodInfo& info() const override { return info_; }

  std::vector<Need> needs(const Params& params) const override {
    std::vector<Need> needs{{Signal::Tower}};
    add_importance_needs(params.choice("importance"), needs);
    return needs;
  }

  Plan select(const Signals& signals, int32_t n_keep, const Params& params, Rng&) const override {
    const bool multiply = params.choice("combine") == "multiply";
    const std::vector<float> saliency = powered_attention(signals, params);
    const std::vector<float> units = unit_rows(signals.tower);
    Products cosines({units.data(), signals.tower.rows, signals.tower.cols});
    const auto score = [&](float value, int32_t token) {
      const float weight = saliency[static_cast<std::size_t>(token)];
      return multiply ? value * weight : value + weight;
    };
    return cover_greedily(cosines, n_keep, score).plan();
  }

 private:
  /// a^alpha, a summed over heads; finite and not negative, whatever the signal holds.
  std::vector<float> powered_attention(const Signals& signals, const Params& params) const {
    const Need attention = needs(params).back();
    const auto n_head = static_cast<float>(signals.view(attention).rows);
    const auto alpha = static_cast<float>(params.real("alpha"));
    std::vector<float> saliency = importance_of(signals, params.choice("importance"));
    for (float& value : saliency) {
      value = std::min(std::pow(std::max(0.0F, value * n_head), alpha), FLT_MAX);
    }
    return saliency;
  }

  MethodInfo info_{.name = "scope",
                   .summary = "gain in coverage of all tokens (by cosine) x saliency, one after the other",
                   .paper = "Deng et al. 2025, arXiv 2510.24214",
                   .stage = Stage::AfterTower,
                   .params = {{.name = "alpha",
                               .kind = ParamKind::Real,
                               .default_value = "1",
                               .min = 0.0,
                               .max = 4.0,
                               .help = "power of the saliency, 0 is coverage alone"},
                              {.name = "combine",
                               .kind = ParamKind::Choice,
                               .default_value = "multiply",
                               .choices = {"multiply", "add"},
                               .help = "how saliency and gain become one score"},
                              importance_param({"cls", "column"})}};
};

}  // namespace

const Method& scope_method() {
  static const Scope method;
  return method;
}

}  // namespace winnow::prune
