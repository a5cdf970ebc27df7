// PruMerge+: PruMerge with patches from all over the image beside those of most attention.
// Shang et al. 2024, arXiv 2403.15388. Reference: 42Shawn/LLaVA-PruMerge @097c04116a,
// llava/model/multimodal_encoder/clip_encoder.py, token_prune_merge_advanced_plus with if_adaptive.
// Without a count: behind PruMerge's k tokens every stride-th token below n - 1 that is not among them, where
// stride = floor(floor(1 / share) / 3) and share is that of the outliers; merging and the last token are
// PruMerge's (prumerge.cpp, prumerge.h).
// With a count the reference has no rule. Here, as EffiVLM-Bench does: PruMerge's own k, cut to n_keep - 1,
// then tokens spread evenly over the others until there are n_keep - 1.
// Deviations: a stride below 1 is 1, and a share of 0 counts as 1 / n, where the reference fails; the
// reference's constant 575 is n - 1; when every token is kept there is no token of the rest (the reference's
// would be zero).

#include <algorithm>

#include "winnow/prune/ops.h"
#include "winnow/prune/outliers.h"
#include "winnow/prune/prumerge.h"

namespace winnow::prune {
namespace {

/// Tokens that are not kept, ascending.
std::vector<int32_t> others(const std::vector<int32_t>& kept, int32_t n) {
  std::vector<bool> is_kept(n, false);
  for (const int32_t token : kept) is_kept[token] = true;
  std::vector<int32_t> tokens;
  for (int32_t token = 0; token < n; ++token) {
    if (!is_kept[token]) tokens.push_back(token);
  }
  return tokens;
}

/// The authors' own count.
std::vector<int32_t> kept_by_stride(std::span<const float> attention, double share) {
  const auto n = static_cast<int32_t>(attention.size());
  std::vector<int32_t> kept = best_first(attention, static_cast<int32_t>(n * share));
  const int32_t step = static_cast<int32_t>(1.0 / std::max(share, 1.0 / n)) / 3;
  const int32_t stride = std::max(1, step);
  for (const int32_t token : others(kept, n)) {
    if (token % stride == 0 && token < n - 1) kept.push_back(token);
  }
  return kept;
}

std::vector<int32_t> kept_by_count(std::span<const float> attention, double share, int32_t count) {
  const auto n = static_cast<int32_t>(attention.size());
  const int32_t k = std::min(count, static_cast<int32_t>(n * share));
  std::vector<int32_t> kept = best_first(attention, k);
  const std::vector<int32_t> rest = others(kept, n);
  const int64_t extra = count - k;
  for (int64_t i = 0; i < extra; ++i) {
    kept.push_back(rest[i * static_cast<int64_t>(rest.size()) / extra]);
  }
  return kept;
}

class PruMergePlus final : public Method {
 public:
  const MethodInfo& info() const override { return info_; }
  std::vector<Need> needs(const Params& params) const override { return prumerge_needs(params); }

  Plan select(const Signals& signals, int32_t n_keep, const Params& params, Rng&) const override {
    const std::span<const float> attention = prumerge_attention(signals, params);
    const double share = outlier_share(attention);
    return prumerge_plan(signals, params,
                         n_keep == kMethodDecides ? kept_by_stride(attention, share)
                                                  : kept_by_count(attention, share, n_keep - 1));
  }

 private:
  MethodInfo info_{.name = "prumerge_plus",
                   .summary = "prumerge with tokens spread over the image beside those of most attention",
                   .paper = "Shang et al. 2024, arXiv 2403.15388",
                   .stage = Stage::AfterTower,
                   .adaptive = true,
                   .outputs = Outputs::Sums,
                   .raster_order = false,
                   .before_projector = true,
                   .params = prumerge_params()};
};

}  // namespace

const Method& prumerge_plus_method() {
  static const PruMergePlus method;
  return method;
}

}  // namespace winnow::prune
