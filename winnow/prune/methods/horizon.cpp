// Information horizon: behind some decoder layer visual tokens hold nothing that the answer needs, so that
// any of them will do: a random part stays, or none. Made to stand behind another method that pruned early.
// "When Token Pruning is Worse than Random: Understanding Visual Token Information in VLLMs", arXiv
// 2512.07580, section 5 ("+Random"); with rule=none it is the withdrawal of all visual tokens (VTW) that the
// paper compares. Reference: YahongWang1/Information-Horizon. Its settings for LLaVA-1.5 (576 tokens, 32
// layers, K = 20):
//   average 192: dart before layer 2 keeps 252, then random 38     or divprune keeps 284, then random 38
//   average  64: dart before layer 1 keeps 60, then random 27      or divprune keeps 96, then random 10
// The horizon lies near layer 16 (recognition) to 24 (reading) there and deeper in stronger models.
// The default layer is the reference's; a decoder of 20 layers or fewer takes the one at the same share of
// its depth. 0 tokens may be asked for (rule=none does so by itself).

#include "winnow/prune/method.h"

namespace winnow::prune {
namespace {

class Horizon final : public Method {
 public:
  const MethodInfo& info() const override { return info_; }
  std::vector<Need> needs(const Params&) const override { return {}; }

  std::optional<int32_t> fixed_count(const Grid&, const Params& params) const override {
    if (params.choice("rule") == "none") return 0;
    return std::nullopt;
  }

  Plan select(const Signals& signals, int32_t n_keep, const Params&, Rng& rng) const override {
    return selection_plan(rng.sample(signals.n(), n_keep));
  }

 private:
  MethodInfo info_{.name = "horizon",
                   .summary = "behind the information horizon: random tokens, or none",
                   .paper = "Wang et al. 2025, arXiv 2512.07580",
                   .stage = Stage::BeforeLayer,
                   .default_layer = 20,
                   .min_layer = 1,
                   .position = PositionPolicy::Compact,
                   .may_drop_all = true,
                   .params = {{.name = "rule",
                               .kind = ParamKind::Choice,
                               .default_value = "random",
                               .choices = {"random", "none"},
                               .help = "which tokens stay; none fixes the count to 0"}}};
};

}  // namespace

const Method& horizon_method() {
  static const Horizon method;
  return method;
}

}  // namespace winnow::prune
