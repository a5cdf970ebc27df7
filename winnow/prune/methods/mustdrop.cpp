// MustDrop, its stage inside the decoder: a visual token goes when the text hardly attends to it, neither as
// a whole nor with any single token, unless the tower's [CLS] token holds it for a key token. Liu et al.
// 2024, "Multi-Stage Vision Token Dropping: Towards Efficient Multimodal Large Language Model", arXiv
// 2411.10803, section 3.3. With A the attention of layer K-1, mean over heads, rows = all text tokens t:
//   g_j = sum_t A[t, j];   dropped iff g_j < global x sum_j g_j  and  max_t A[t, j] < individual
//   key tokens, never dropped: the ceil(0.08 N) of largest [CLS] attention in the tower's last block, of the
//   image's N tokens
// Reference: liuting20/MustDrop @909afa538b, LlamaDynamicvitModel.dual_attention_filter and clip_encoder.py.
// - Without a budget the thresholds decide how many remain. The paper's, tuned by hand for averages on
// LLaVA-1.5:
//   global / individual = 0.001 / 0.001 (192 of 576), 0.0012 / 0.001 (128), 0.011 / 0.01 (64).
// - With a budget exactly n_keep remain: the key tokens, then those of largest
//   max(g_j / (global x sum g), max_t A[t, j] / individual), which is both thresholds moved together until
//   the count is right. With the count that the thresholds give it is the same set.
// - Schedule: after layers 2, 6, 10, 14 of 32, that is before 3, 7, 11, 15. For an average (of what layers
// see)
//   each step keeps the same part of the step before; the authors publish no counts.
// - block=feature takes the [CLS] attention of the block that feeds the projector, for model files without
// the
//   last one.
// - The last stage is the engine's (MethodInfo::trims_cache): when the prompt has run, the cache rows of
// layers
//   2 to 14 of 32 are cut down to the tokens that survived the last step.
// The first stage, merging of 3x3 windows behind the tower's first block, is window_merge: the whole method
// is "then(window_merge, mustdrop)". The authors then take 0.08 of the merged tokens for the key set; here N
// stays the cells of the grid, because a method knows no other count at every step: a few more are protected.

#include <algorithm>
#include <cmath>
#include <numeric>

#include "winnow/base/error.h"
#include "winnow/prune/method.h"
#include "winnow/prune/ops.h"
#include "winnow/prune/staged.h"

namespace winnow::prune {
namespace {

constexpr std::size_t kMustDropStages = 4;

Need cls_need(const Params& params) {
  return {Signal::ClsAttention, params.choice("block") == "next" ? kNextBlock : kFeatureBlock};
}

std::vector<int32_t> up_to(int32_t count) {
  std::vector<int32_t> all(static_cast<std::size_t>(count));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

/// How far each token is above the thresholds: >= 1 stays.
std::vector<float> margins(const Signals& signals, const Params& params) {
  const auto n_text = static_cast<int32_t>(signals.text_ids.size());
  const int64_t rows = signals.text_attention.rows;
  WINNOW_CHECK(n_text >= 1 && rows % n_text == 0, InvalidArgument, "prune.mustdrop",
               "rows of text_attention, got {} for {} text tokens, expected a multiple of at least 1", rows,
               n_text);
  const auto n = static_cast<std::size_t>(signals.n());
  const std::vector<int32_t> heads = up_to(static_cast<int32_t>(rows / n_text));
  const std::vector<float> attention = text_head_mean(signals.text_attention, n_text, up_to(n_text), heads);
  std::vector<double> sum(n, 0.0);
  std::vector<float> peak(n, 0.0F);
  for (std::size_t at = 0; at < attention.size(); ++at) {
    sum[at % n] += static_cast<double>(attention[at]);
    peak[at % n] = std::max(peak[at % n], attention[at]);
  }
  const double total = std::accumulate(sum.begin(), sum.end(), 0.0);
  std::vector<float> margin;
  for (std::size_t j = 0; j < n; ++j) {
    const double share = total > 0.0 ? sum[j] / total : 0.0;
    margin.push_back(saturated(
        std::max(share / params.real("global"), static_cast<double>(peak[j]) / params.real("individual"))));
  }
  return margin;
}

class MustDrop final : public Method {
 public:
  const MethodInfo& info() const override { return info_; }

  std::vector<Need> needs(const Params& params) const override {
    return {{Signal::TextAttention}, cls_need(params)};
  }

  std::vector<Scheduled> schedule(const ScheduleRequest& request, const Params&) const override {
    const Staged staged(info_.name, {3, 7, 11, 15});
    if (request.average <= 0.0) return staged.steps(request, Counts(kMustDropStages, kMethodDecides));
    return staged.solved(request,
                         [&](double t) { return geometric_counts(request.n_visual, kMustDropStages, t); });
  }

  Plan select(const Signals& signals, int32_t n_keep, const Params& params, Rng&) const override {
    std::vector<float> margin = margins(signals, params);
    const auto n_key = static_cast<int32_t>(std::ceil(params.real("keys") * signals.grid.size()));
    const std::vector<int32_t> keys =
        top_k(head_mean(signals.view(cls_need(params))), std::min(n_key, signals.n()));
    std::vector<bool> is_key(margin.size(), false);
    for (const int32_t key : keys) is_key[static_cast<std::size_t>(key)] = true;

    // Key tokens first, then by margin: the tokens of either kind are ranked among themselves.
    std::vector<int32_t> ranked = best_first(margin, signals.n());
    std::stable_partition(ranked.begin(), ranked.end(),
                          [&](int32_t token) { return is_key[static_cast<std::size_t>(token)]; });
    const auto stays = [&](int32_t token) {
      const auto at = static_cast<std::size_t>(token);
      return is_key[at] || margin[at] >= 1.0F;
    };
    if (n_keep == kMethodDecides) {
      n_keep = std::max(1, static_cast<int32_t>(std::count_if(ranked.begin(), ranked.end(), stays)));
    }
    ranked.resize(static_cast<std::size_t>(n_keep));
    std::sort(ranked.begin(), ranked.end());
    Plan plan = selection_plan(ranked);
    plan.scores = std::move(margin);
    return plan;
  }

 private:
  MethodInfo info_{
      .name = "mustdrop",
      .summary = "attention from the text above a share or a peak, and the [CLS] token's key tokens",
      .paper = "Liu et al. 2024, arXiv 2411.10803",
      .stage = Stage::BeforeLayer,
      .default_layer = 3,
      .min_layer = 1,
      .position = PositionPolicy::Compact,
      .adaptive = true,
      .trims_cache = true,
      .params = {
          {.name = "global",
           .kind = ParamKind::Real,
           .default_value = "0.001",
           .min = 1e-6,
           .max = 1.0,
           .help = "share of the text's attention to the image below which a token may go"},
          {.name = "individual",
           .kind = ParamKind::Real,
           .default_value = "0.001",
           .min = 1e-6,
           .max = 1.0,
           .help = "largest attention of one text token below which it may go"},
          {.name = "keys",
           .kind = ParamKind::Real,
           .default_value = "0.08",
           .min = 0.0,
           .max = 1.0,
           .help = "part of the image's tokens that the [CLS] token protects"},
          {.name = "block",
           .kind = ParamKind::Choice,
           .default_value = "next",
           .choices = {"next", "feature"},
           .help = "tower block of the [CLS] attention: the last, or the one that feeds the projector"}}};
};

}  // namespace

const Method& mustdrop_method() {
  static const MustDrop method;
  return method;
}

}  // namespace winnow::prune
