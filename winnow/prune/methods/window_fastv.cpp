// Window FastV: FastV's scores, but the best tokens of each window of the 2-D grid, so that no part of the
// image is left out. Wen et al. 2025, arXiv 2502.11501, section 3 (algorithm "Window FastV"). The paper
// leaves the window size open and has no code. Here: window=2x2 (edge windows smaller); windows share n_keep
// in proportion to their tokens, by cumulative rounding floor(k A_(i+1) / A) - floor(k A_i / A) with A_i the
// tokens before window i. Windows are counted row by row with every other row backwards, so that a count that
// does not divide is spread in both directions (half a token per window: a chessboard, not stripes).
// In an image that was already pruned only the remaining tokens of a window count.

#include <algorithm>
#include <vector>

#include "winnow/prune/cells.h"
#include "winnow/prune/method.h"
#include "winnow/prune/ops.h"

namespace winnow::prune {
namespace {

/// Tokens of each window, tokens ascending; windows row by row, odd rows from the right.
std::vector<std::vector<int32_t>> tokens_by_window(const Signals& signals, const Window& window) {
  const int32_t across = (signals.grid.cols - 1) / window.cols + 1;
  std::vector<std::vector<int32_t>> members(static_cast<std::size_t>(window_count(signals.grid, window)));
  for (int32_t token = 0; token < signals.n(); ++token) {
    const int32_t cell = signals.cell(token);
    const int32_t row = cell / signals.grid.cols / window.rows;
    const int32_t col = cell % signals.grid.cols / window.cols;
    const int32_t along = row % 2 == 0 ? col : across - 1 - col;
    const int32_t window_idx = row * across + along;
    members[static_cast<std::size_t>(window_idx)].push_back(token);
  }
  return members;
}

class WindowFastV final : public Method {
 public:
  const MethodInfo& info() const override { return info_; }
  std::vector<Need> needs(const Params&) const override { return {{Signal::LastTextAttention}}; }

  Plan select(const Signals& signals, int32_t n_keep, const Params& params, Rng&) const override {
    std::vector<float> scores = head_mean(signals.last_text_attention);
    const int64_t n = signals.n();
    std::vector<int32_t> kept;
    std::vector<float> window_scores;
    int64_t before = 0;
    for (const std::vector<int32_t>& tokens : tokens_by_window(signals, params.window("window"))) {
      const int64_t after = before + static_cast<int64_t>(tokens.size());
      const auto quota = static_cast<int32_t>(n_keep * after / n - n_keep * before / n);
      before = after;
      window_scores.clear();
      for (const int32_t token : tokens) window_scores.push_back(scores[static_cast<std::size_t>(token)]);
      for (const int32_t best : top_k(window_scores, quota))
        kept.push_back(tokens[static_cast<std::size_t>(best)]);
    }
    std::sort(kept.begin(), kept.end());
    Plan plan = selection_plan(kept);
    plan.scores = std::move(scores);
    return plan;
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
