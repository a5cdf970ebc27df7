// FastV without the question: the query is the last visual token instead of the last prompt token.
// Wen et al. 2025, arXiv 2502.11501, section 4 (FastV_VIS), made to measure what language guidance is worth.
//   s_j = 1/H sum_h A^(K-1)_h[last visual, j];  everything else as in fastv.cpp
// The authors released no code for it.

#include "winnow/prune/method.h"
#include "winnow/prune/ops.h"

namespace winnow::prune {
namespace {

class FastVVis final : public Method {
 public:
  const MethodInfo& info() const override { return info_; }
  std::vector<Need> needs(const Params&) const override { return {{Signal::LastVisualAttention}}; }
  bool ranks(const Params&) const override { return true; }
  Plan select(const Signals& signals, int32_t n_keep, const Params&, Rng&) const override {
    return top_k_plan(head_mean(signals.last_visual_attention), n_keep);
  }

 private:
  MethodInfo info_{.name = "fastv_vis",
                   .summary = "most attention from the last visual token in layer K-1, mean over heads",
                   .paper = "Wen et al. 2025, arXiv 2502.11501",
                   .stage = Stage::BeforeLayer,
                   .default_layer = 2,
                   .min_layer = 1,
                   .position = PositionPolicy::Original};
};

}  // namespace

const Method& fastv_vis_method() {
  static const FastVVis method;
  return method;
}

}  // namespace winnow::prune
