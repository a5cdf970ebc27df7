// Window FastV: FastV's scores, but the best tokens of each window of the 2-D grid (window.h has the rule).
// Wen et al. 2025, arXiv 2502.11501, section 3 (algorithm "Window FastV"). The same as window(fastv, RxC),
// under the paper's name.

#include "winnow/prune/method.h"
#include "winnow/prune/ops.h"
#include "winnow/prune/window.h"

namespace winnow::prune {
namespace {

class WindowFastV final : public Method {
 public:
  const MethodInfo& info() const override { return info_; }
  std::vector<Need> needs(const Params&) const override { return {{Signal::LastTextAttention}}; }

  Plan select(const Signals& signals, int32_t n_keep, const Params& params, Rng&) const override {
    return windowed_plan(signals, head_mean(signals.last_text_attention), n_keep, params.window("window"));
  }

 private:
  MethodInfo info_{.name = "window_fastv",
                   .summary = "FastV's best tokens inside each window of the grid",
                   .paper = "Wen et al. 2025, arXiv 2502.11501",
                   .stage = Stage::BeforeLayer,
                   .default_layer = 2,
                   .min_layer = 1,
                   .position = PositionPolicy::Original,
                   .params = {{.name = "window",
                               .kind = ParamKind::Window,
                               .default_value = "2x2",
                               .help = "ROWSxCOLUMNS of one window"}}};
};

}  // namespace

const Method& window_fastv_method() {
  static const WindowFastV method;
  return method;
}

}  // namespace winnow::prune
