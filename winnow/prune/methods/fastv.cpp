// FastV: before decoder layer K, the n_keep visual tokens that the prompt's last token attends to most in
// layer K-1. Chen et al. 2024, "An Image is Worth 1/2 Tokens After Layer 2", arXiv 2403.06764.
//   s_j = 1/H sum_h A^(K-1)_h[last, j];  kept in ascending order, hidden states gathered, original position
//   ids
// Reference: pkunlp-icler/FastV @d1659729b5, the Hugging Face fastv_forward. As there, and unlike the paper's
// text (attention received from all tokens), only the last row counts. With a KV cache the set is fixed at
// prefill.

#include "winnow/prune/method.h"
#include "winnow/prune/ops.h"

namespace winnow::prune {
namespace {

class FastV final : public Method {
 public:
  const MethodInfo& info() const override { return info_; }
  std::vector<Need> needs(const Params&) const override { return {{Signal::LastTextAttention}}; }
  bool ranks(const Params&) const override { return true; }
  Plan select(const Signals& signals, int32_t n_keep, const Params&, Rng&) const override {
    return top_k_plan(head_mean(signals.last_text_attention), n_keep);
  }

 private:
  MethodInfo info_{.name = "fastv",
                   .summary = "most attention from the last prompt token in layer K-1, mean over heads",
                   .paper = "Chen et al. 2024, arXiv 2403.06764",
                   .stage = Stage::BeforeLayer,
                   .default_layer = 2,
                   .min_layer = 1,
                   .position = PositionPolicy::Original};
};

}  // namespace

const Method& fastv_method() {
  static const FastV method;
  return method;
}

}  // namespace winnow::prune
