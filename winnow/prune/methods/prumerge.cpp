// PruMerge: the patches that the tower's [CLS] token attends to most, each with its nearest neighbours added,
// and one token of the rest.
// Shang et al. 2024, "LLaVA-PruMerge: Adaptive Token Reduction for Efficient Large Multimodal Models", arXiv
// 2403.15388. Reference: 42Shawn/LLaVA-PruMerge @097c04116a,
// llava/model/multimodal_encoder/clip_encoder.py, token_prune_merge_advanced.
//   a      = softmax(q_CLS K^T / sqrt(C)) without the [CLS] column: one head as wide as the tower (block 23)
//   kept   = the k largest of a, largest first; k = floor(n * share of a above Q3 + 1.5 (Q3 - Q1))
//   merged = x_i + sum of a_m x_m over the 32 tokens m with the most similar keys (prumerge.h)
//   last   = sum of a_m x_m over the tokens that were not kept
// Paper and code disagree: the paper averages with the weights a, the code adds unnormalised sums. Default:
// the code (merge=sum); merge=mean: weighted means. With a count, k = n_keep - 1. Deviations: fewer than 33
// tokens use all the others as neighbours, where the reference fails; block=feature reads the block whose
// output the projector reads, for model files without the one behind it.

#include "winnow/prune/prumerge.h"

#include "winnow/prune/ops.h"
#include "winnow/prune/outliers.h"

namespace winnow::prune {
namespace {

class PruMerge final : public Method {
 public:
  const MethodInfo& info() const override { return info_; }
  std::vector<Need> needs(const Params& params) const override { return prumerge_needs(params); }

  Plan select(const Signals& signals, int32_t n_keep, const Params& params, Rng&) const override {
    const std::span<const float> attention = prumerge_attention(signals, params);
    const auto k =
        n_keep == kMethodDecides ? static_cast<int32_t>(signals.n() * outlier_share(attention)) : n_keep - 1;
    return prumerge_plan(signals, params, best_first(attention, k));
  }

 private:
  MethodInfo info_{.name = "prumerge",
                   .summary =
                       "most [CLS] attention (one wide head), each with its neighbours by key added, "
                       "and one token of the rest",
                   .paper = "Shang et al. 2024, arXiv 2403.15388",
                   .stage = Stage::AfterTower,
                   .adaptive = true,
                   .outputs = Outputs::Sums,
                   .raster_order = false,
                   .before_projector = true,
                   .params = prumerge_params()};
};

}  // namespace

const Method& prumerge_method() {
  static const PruMerge method;
  return method;
}

}  // namespace winnow::prune
