// Balanced: importance against redundancy, weighted by alpha.
// Wen et al. 2025, arXiv 2502.11501, section 5, Eq. 6.
//   score_j = alpha * I_j + (1 - alpha) * (1 - R_j)      I and R both min-max normalised over the image
// The paper's choice is the default: I = FastV's attention, R = cosine between the hidden states entering
// layer K of token j and of the prompt's last token. alpha=1 is FastV, alpha=0 redundancy alone. The authors
// released no code; everything else here is ours, to vary one part of the equation at a time:
//   importance  whose attention (last_visual, cls, column, rater as in SparseVLM: raters.h), or l2, the
//               length of the token's own features
//   redundancy  mean or largest cosine to the other visual tokens, nearer to the I(x_i; X_without_i) of the
//               equation; selected: largest cosine to the tokens picked so far. That is a greedy search: the
//               first pick is the most important token, whatever alpha is (nothing repeats yet); after every
//               pick R is taken anew and normalised over the tokens still to be had
//   normalise   minmax, zscore (less the mean, over the standard deviation), rank (share of the other tokens
//               that have a smaller value) or none. A source that is the same for every token normalises to 0
//   features    what lengths and cosines are of: the hidden states entering layer K, or the projected
//               features, which makes it act after the tower; importance and redundancy must then be among
//               those that need no decoder (cls, column, l2; mean, max, selected)
// redundancy=max compares all pairs: some 20 ms at 576 x 4096.

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "winnow/prune/method.h"
#include "winnow/prune/ops.h"
#include "winnow/prune/raters.h"

namespace winnow::prune {
namespace {

std::vector<Need> importance_needs(const std::string& source) {
  if (source == "cls") return {{Signal::ClsAttention, kFeatureBlock}};
  if (source == "column") return {{Signal::ColumnAttention, kFeatureBlock}};
  if (source == "last_visual") return {{Signal::LastVisualAttention}};
  if (source == "rater") return {{Signal::TextAttention}, {Signal::InputEmbeds}, {Signal::TextEmbeds}};
  if (source == "l2") return {};
  return {{Signal::LastTextAttention}};
}

Need features_need(const Params& params) {
  return {params.choice("features") == "projected" ? Signal::Projected : Signal::Hidden};
}

std::vector<float> importance(const Signals& signals, const Params& params) {
  const std::string& source = params.choice("importance");
  if (source == "l2") return row_lengths(signals.view(features_need(params)));
  if (source == "rater") {
    const std::vector<int32_t> raters = text_raters(signals.input_embeds, signals.text_embeds);
    return text_mean(signals.text_attention, signals.text_embeds.rows, raters);
  }
  return head_mean(signals.view(importance_needs(source).front()));
}

std::vector<float> redundancy(const Signals& signals, const Params& params) {
  const MatrixView features = signals.view(features_need(params));
  const std::string& source = params.choice("redundancy");
  if (source == "mean") return mean_cosine_to_others(features);
  if (source == "max") return max_cosine_to_others(features);
  return cosine_to(features, signals.hidden_last.row(0));
}

void z_score_normalise(std::span<float> values) {
  const auto n = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  double square = 0.0;
  for (const float value : values) square += (value - mean) * (value - mean);
  const double deviation = std::sqrt(square / n);
  for (float& value : values) {
    value = deviation > 0.0 ? static_cast<float>((value - mean) / deviation) : 0.0F;
  }
}

void rank_normalise(std::span<float> values) {
  if (values.size() < 2) return std::fill(values.begin(), values.end(), 0.0F);
  std::vector<float> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  for (float& value : values) {
    const auto smaller = std::lower_bound(sorted.begin(), sorted.end(), value) - sorted.begin();
    value = static_cast<float>(smaller) / static_cast<float>(values.size() - 1);
  }
}

void normalise(std::span<float> values, const std::string& how) {
  if (how == "minmax") min_max_normalise(values);
  if (how == "zscore") z_score_normalise(values);
  if (how == "rank") rank_normalise(values);
}

float score(float alpha, float important, float repeated) {
  return alpha * important + (1.0F - alpha) * (1.0F - repeated);
}

/// redundancy=selected. Scores in the plan: of a kept token when it was picked, of the others at the end.
Plan pick_greedily(const MatrixView& features, const std::vector<float>& important, int32_t n_keep,
                   const Params& params) {
  const auto alpha = static_cast<float>(params.real("alpha"));
  const std::vector<float> units = unit_rows(features);
  const MatrixView unit{units.data(), features.rows, features.cols};
  std::vector<float> scores = important;
  std::vector<float> closest(scores.size(), -1.0F);  // largest cosine to a kept token
  std::vector<int32_t> left(scores.size());
  std::iota(left.begin(), left.end(), 0);
  std::vector<int32_t> kept;
  std::vector<float> repeated;
  while (true) {
    const auto best = std::max_element(left.begin(), left.end(), [&](int32_t a, int32_t b) {
      return scores[static_cast<std::size_t>(a)] < scores[static_cast<std::size_t>(b)];
    });
    kept.push_back(*best);
    left.erase(best);
    if (static_cast<int32_t>(kept.size()) == n_keep) break;
    repeated.clear();
    for (const int32_t token : left) {
      float& cosine = closest[static_cast<std::size_t>(token)];
      cosine = std::max(cosine, std::min(dot(unit.row(token), unit.row(kept.back())), 1.0F));
      repeated.push_back(cosine);
    }
    normalise(repeated, params.choice("normalise"));
    for (std::size_t i = 0; i < left.size(); ++i) {
      const auto token = static_cast<std::size_t>(left[i]);
      scores[token] = score(alpha, important[token], repeated[i]);
    }
  }
  std::sort(kept.begin(), kept.end());
  Plan plan = selection_plan(kept);
  plan.scores = std::move(scores);
  return plan;
}

class Balanced final : public Method {
 public:
  const MethodInfo& info() const override { return info_; }

  Stage stage(const Params& params) const override {
    return params.choice("features") == "projected" ? Stage::AfterTower : Stage::BeforeLayer;
  }

  bool ranks(const Params& params) const override { return params.choice("redundancy") != "selected"; }

  std::vector<Need> needs(const Params& params) const override {
    std::vector<Need> needs = importance_needs(params.choice("importance"));
    needs.push_back(features_need(params));
    if (params.choice("redundancy") == "last_token") needs.push_back({Signal::HiddenLast});
    return needs;
  }

  Plan select(const Signals& signals, int32_t n_keep, const Params& params, Rng&) const override {
    std::vector<float> scores = importance(signals, params);
    normalise(scores, params.choice("normalise"));
    if (params.choice("redundancy") == "selected") {
      return pick_greedily(signals.view(features_need(params)), scores, n_keep, params);
    }
    std::vector<float> repeated = redundancy(signals, params);
    normalise(repeated, params.choice("normalise"));
    const auto alpha = static_cast<float>(params.real("alpha"));
    for (std::size_t j = 0; j < scores.size(); ++j) scores[j] = score(alpha, scores[j], repeated[j]);
    return top_k_plan(std::move(scores), n_keep);
  }

 private:
  MethodInfo info_{
      .name = "balanced",
      .summary = "alpha x importance + (1 - alpha) x (1 - redundancy), both min-max normalised",
      .paper = "Wen et al. 2025, arXiv 2502.11501, Eq. 6",
      .stage = Stage::BeforeLayer,
      .default_layer = 2,
      .min_layer = 1,
      .position = PositionPolicy::Original,
      .params = {
          {.name = "alpha",
           .kind = ParamKind::Real,
           .default_value = "0.5",
           .min = 0.0,
           .max = 1.0,
           .help = "weight of importance"},
          {.name = "features",
           .kind = ParamKind::Choice,
           .default_value = "hidden",
           .choices = {"hidden", "projected"},
           .help = "of l2 and cosines: hidden states entering layer K; or projected, to act after the "
                   "tower"},
          {.name = "importance",
           .kind = ParamKind::Choice,
           .default_value = "last_text",
           .choices = {"last_text", "last_visual", "cls", "column", "rater", "l2"},
           .help = "attention of the last prompt token, the last visual token, the tower's [CLS], all its "
                   "tokens, or SparseVLM's raters; or the features' length"},
          {.name = "normalise",
           .kind = ParamKind::Choice,
           .default_value = "minmax",
           .choices = {"minmax", "zscore", "rank", "none"},
           .help = "how both are made comparable"},
          {.name = "redundancy",
           .kind = ParamKind::Choice,
           .default_value = "last_token",
           .choices = {"last_token", "mean", "max", "selected"},
           .help = "cosine to the last prompt token, mean / largest to the other visual tokens, or "
                   "largest to those picked so far"}}};
};

}  // namespace

const Method& balanced_method() {
  static const Balanced method;
  return method;
}

}  // namespace winnow::prune
