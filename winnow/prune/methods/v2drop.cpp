// V2Drop: the visual tokens that the layer before changed most. It needs no attention.
// "Variation-aware Vision Token Dropping for Faster Large Vision-Language Models", arXiv 2509.01552,
// section 3.
//   v_j = | h_j entering layer K - h_j entering layer K-1 |    l2 norm; l1 and 1 - cosine are the paper's
//   variants
// Reference: xuyang-liu16/V2Drop @219e03ede8, llava/model/language_model/V2Drop.py.
// Schedule: before layers 3, 17, 22 of 32. The paper's settings (issue 6 of the repository) drop 50 / 70 /
// 100% for an average of 192 of 576, 72 / 75 / 100% for 128, 95 / 95 / 100% for 64, where "100%" leaves one
// token; what layers see then is 193.8, 131.0 and 66.7. The released code (50 / 50 / 100%, 202.8) is none of
// them: schedule=released. Other averages lie on the line through the settings.

#include <cmath>

#include "winnow/prune/method.h"
#include "winnow/prune/ops.h"
#include "winnow/prune/staged.h"

namespace winnow::prune {
namespace {

const std::vector<Setting>& settings() {
  static const std::vector<Setting> settings{
      {64, {0.05, 0.05 * 0.05, 0}}, {128, {0.28, 0.28 * 0.25, 0}}, {192, {0.5, 0.5 * 0.3, 0}}};
  return settings;
}

double taxicab(std::span<const float> a, std::span<const float> b) {
  double sum = 0.0;
  for (std::size_t c = 0; c < a.size(); ++c) {
    sum += std::abs(static_cast<double>(a[c]) - static_cast<double>(b[c]));
  }
  return sum;
}

double variation(const std::string& norm, std::span<const float> now, std::span<const float> before) {
  if (norm == "l1") return taxicab(now, before);
  if (norm == "cosine") return 1.0 - static_cast<double>(cosine(now, before));
  return std::sqrt(squared_distance(now, before));
}

class V2Drop final : public Method {
 public:
  const MethodInfo& info() const override { return info_; }
  bool ranks(const Params&) const override { return true; }
  std::vector<Need> needs(const Params&) const override {
    return {{Signal::Hidden}, {Signal::PreviousHidden}};
  }

  std::vector<Scheduled> schedule(const ScheduleRequest& request, const Params& params) const override {
    const auto counts = [&](std::span<const double> shares) {
      Counts kept;
      for (const double share : shares) kept.push_back(whole_tokens(share, request.n_visual, 1));
      return kept;
    };
    const Staged staged(info_.name, {3, 17, 22});
    if (request.average <= 0.0 && params.choice("schedule") == "released") {
      return staged.steps(request, counts(std::vector<double>{0.5, 0.25, 0.0}));
    }
    return staged.published(request, settings(), 192, counts);
  }

  Plan select(const Signals& signals, int32_t n_keep, const Params& params, Rng&) const override {
    const std::string& norm = params.choice("norm");
    std::vector<float> scores;
    for (int64_t j = 0; j < signals.n(); ++j) {
      scores.push_back(saturated(variation(norm, signals.hidden.row(j), signals.previous_hidden.row(j))));
    }
    return top_k_plan(std::move(scores), n_keep);
  }

 private:
  MethodInfo info_{
      .name = "v2drop",
      .summary = "largest change of the hidden state in layer K-1",
      .paper = "Chen et al. 2025, arXiv 2509.01552",
      .stage = Stage::BeforeLayer,
      .default_layer = 3,
      .min_layer = 1,
      .position = PositionPolicy::Original,
      .params = {{.name = "norm",
                  .kind = ParamKind::Choice,
                  .default_value = "l2",
                  .choices = {"l2", "l1", "cosine"},
                  .help = "how the change is measured (cosine: 1 - cosine)"},
                 {.name = "schedule",
                  .kind = ParamKind::Choice,
                  .default_value = "paper",
                  .choices = {"paper", "released"},
                  .help = "counts without a budget: the paper's, or those in the released code"}}};
};

}  // namespace

const Method& v2drop_method() {
  static const V2Drop method;
  return method;
}

}  // namespace winnow::prune
