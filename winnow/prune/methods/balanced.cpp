// Balanced: importance against redundancy, weighted by alpha.
// Wen et al. 2025, arXiv 2502.11501, section 5, Eq. 6.
//   score_j = alpha * I_j + (1 - alpha) * (1 - R_j)      I and R both min-max normalised over the image
// The paper's choice is the default: I = FastV's attention, R = cosine between the hidden states entering
// layer K of token j and of the prompt's last token. alpha=1 is FastV, alpha=0 redundancy alone. The authors
// released no code; the other sources (last visual token or [CLS] attention; mean or largest cosine to the
// other visual tokens, nearer to the I(x_i; X_without_i) of the equation) are ours. A source that is constant
// over the image normalises to 0. redundancy=max compares all pairs: tens of milliseconds at 576 x 4096.

#include <vector>

#include "winnow/prune/method.h"
#include "winnow/prune/ops.h"

namespace winnow::prune {
namespace {

Need importance_need(const Params& params) {
  const std::string& source = params.choice("importance");
  if (source == "cls") return {Signal::ClsAttention, kFeatureBlock};
  if (source == "last_visual") return {Signal::LastVisualAttention};
  return {Signal::LastTextAttention};
}

std::vector<float> redundancy(const Signals& signals, const Params& params) {
  const std::string& source = params.choice("redundancy");
  if (source == "mean") return mean_cosine_to_others(signals.hidden);
  if (source == "max") return max_cosine_to_others(signals.hidden);
  return cosine_to(signals.hidden, signals.hidden_last.row(0));
}

class Balanced final : public Method {
 public:
  const MethodInfo& info() const override { return info_; }

  std::vector<Need> needs(const Params& params) const override {
    std::vector<Need> needs{importance_need(params), {Signal::Hidden}};
    if (params.choice("redundancy") == "last_token") needs.push_back({Signal::HiddenLast});
    return needs;
  }

  Plan select(const Signals& signals, int32_t n_keep, const Params& params, Rng&) const override {
    std::vector<float> scores = head_mean(signals.view(importance_need(params)));
    std::vector<float> repeated = redundancy(signals, params);
    min_max_normalise(scores);
    min_max_normalise(repeated);
    const auto alpha = static_cast<float>(params.real("alpha"));
    for (std::size_t j = 0; j < scores.size(); ++j) {
      scores[j] = alpha * scores[j] + (1.0F - alpha) * (1.0F - repeated[j]);
    }
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
      .params = {{.name = "alpha",
                  .kind = ParamKind::Real,
                  .default_value = "0.5",
                  .min = 0.0,
                  .max = 1.0,
                  .help = "weight of importance"},
                 {.name = "importance",
                  .kind = ParamKind::Choice,
                  .default_value = "last_text",
                  .choices = {"last_text", "last_visual", "cls"},
                  .help = "whose attention: last prompt token, last visual token, [CLS] of the tower"},
                 {.name = "redundancy",
                  .kind = ParamKind::Choice,
                  .default_value = "last_token",
                  .choices = {"last_token", "mean", "max"},
                  .help = "cosine to the last prompt token, or mean / largest to the other visual tokens"}}};
};

}  // namespace

const Method& balanced_method() {
  static const Balanced method;
  return method;
}

}  // namespace winnow::prune
