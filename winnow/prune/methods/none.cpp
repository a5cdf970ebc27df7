// No pruning: every token stays, in order. The reference that all savings and losses are measured against.

#include "winnow/base/error.h"
#include "winnow/prune/method.h"

namespace winnow::prune {
namespace {

class None final : public Method {
 public:
  const MethodInfo& info() const override { return info_; }
  std::vector<Need> needs(const Params&) const override { return {}; }
  Plan select(const Signals& signals, int32_t n_keep, const Params&, Rng&) const override {
    WINNOW_ASSERT(n_keep == signals.n());
    return identity_plan(n_keep);
  }

 private:
  MethodInfo info_{.name = "none",
                   .summary = "keeps every token",
                   .paper = "baseline",
                   .stage = Stage::Either,
                   .position = PositionPolicy::Original,
                   .keeps_all = true};
};

}  // namespace

const Method& none_method() {
  static const None method;
  return method;
}

}  // namespace winnow::prune
