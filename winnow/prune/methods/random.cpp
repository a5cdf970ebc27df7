// Random tokens, uniform without replacement, in ascending order. The baseline of arXiv 2502.11501 (Wen et
// al. 2025, section 3): it has no position bias by construction and beats several published methods.

#include "winnow/prune/method.h"

namespace winnow::prune {
namespace {

class Random final : public Method {
 public:
  const MethodInfo& info() const override { return info_; }
  std::vector<Need> needs(const Params&) const override { return {}; }
  Plan select(const Signals& signals, int32_t n_keep, const Params&, Rng& rng) const override {
    return selection_plan(rng.sample(signals.n(), n_keep));
  }

 private:
  MethodInfo info_{.name = "random",
                   .summary = "uniform without replacement, from the seed",
                   .paper = "baseline",
                   .stage = Stage::Either};
};

}  // namespace

const Method& random_method() {
  static const Random method;
  return method;
}

}  // namespace winnow::prune
