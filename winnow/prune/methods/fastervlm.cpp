// FasterVLM: the n_keep patches that the tower's [CLS] token attends to most, in raster order.
// Zhang et al. 2024, "[CLS] Attention is All You Need for Training-Free Visual Token Pruning", arXiv
// 2412.01818v1.
//   score_j = 1/H sum_h A_h[CLS, j]   with A the softmaxed attention of the block whose output the projector
//   reads
// Reference: Theia-4869/FasterVLM @f5d5f12037, llava/model/llava_arch.py, encode_images. No deviations; ties,
// which the reference leaves open, go to the lower index.

#include "winnow/prune/importance.h"
#include "winnow/prune/method.h"
#include "winnow/prune/ops.h"

namespace winnow::prune {
namespace {

class FasterVlm final : public Method {
 public:
  const MethodInfo& info() const override { return info_; }
  std::vector<Need> needs(const Params&) const override { return {kFeatureAttention}; }
  bool ranks(const Params&) const override { return true; }
  Plan select(const Signals& signals, int32_t n_keep, const Params&, Rng&) const override {
    return top_k_plan(head_mean(signals.view(kFeatureAttention)), n_keep);
  }

 private:
  MethodInfo info_{.name = "fastervlm",
                   .summary = "most [CLS] attention in the tower, mean over heads",
                   .paper = "Zhang et al. 2024, arXiv 2412.01818v1",
                   .stage = Stage::AfterTower};
};

}  // namespace

const Method& fastervlm_method() {
  static const FasterVlm method;
  return method;
}

}  // namespace winnow::prune
