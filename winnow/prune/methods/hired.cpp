// HiRED on one image: the patches that the tower's [CLS] token attends to most, in raster order.
// Arif et al. 2024, "HiRED: Attention-Guided Token Dropping for Efficient Inference of High-Resolution
// Vision-Language Models", arXiv 2408.10945. Reference: hasanar1f/HiRED @502d6dd79a,
// llava/modeling_llava.py, HiRED_token_selection (the reference adds the heads up; their mean ranks the
// same). For the crops of a high-resolution image, each crop is one image to this method, and
// hired_budgets.h says how many tokens each keeps.

#include "winnow/prune/method.h"
#include "winnow/prune/ops.h"

namespace winnow::prune {
namespace {

constexpr Need kClsAttention{Signal::ClsAttention, kFeatureBlock};

class Hired final : public Method {
 public:
  const MethodInfo& info() const override { return info_; }
  std::vector<Need> needs(const Params&) const override { return {kClsAttention}; }
  bool ranks(const Params&) const override { return true; }

  Plan select(const Signals& signals, int32_t n_keep, const Params&, Rng&) const override {
    return top_k_plan(head_mean(signals.view(kClsAttention)), n_keep);
  }

 private:
  MethodInfo info_{.name = "hired",
                   .summary = "most [CLS] attention in the tower; a budget of its own for every crop",
                   .paper = "Arif et al. 2024, arXiv 2408.10945",
                   .stage = Stage::AfterTower};
};

}  // namespace

const Method& hired_method() {
  static const Hired method;
  return method;
}

}  // namespace winnow::prune
