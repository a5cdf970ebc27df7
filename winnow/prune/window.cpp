#include "winnow/prune/window.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "winnow/base/error.h"
#include "winnow/prune/cells.h"
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

class WindowOf final : public Method {
 public:
  WindowOf(const MethodUse& inner, const Window& window)
      : inner_(inner), window_(window), info_(inner.method->info()) {
    info_.summary = fmt::format("the best tokens of {} inside each window of the grid", info_.name);
    info_.name = fmt::format("window({}, {}x{})", inner.to_string(), window.rows, window.cols);
    info_.adaptive = false;
    info_.raster_order = true;
    info_.params.clear();
  }

  const MethodInfo& info() const override { return info_; }
  Stage stage(const Params&) const override { return inner_.method->stage(inner_.params); }
  std::vector<Need> needs(const Params&) const override { return inner_.method->needs(inner_.params); }
  std::vector<Need> tile_needs(const Params&) const override {
    return inner_.method->tile_needs(inner_.params);
  }
  std::vector<int32_t> tile_quotas(const TileRequest& request, const Params&) const override {
    return inner_.method->tile_quotas(request, inner_.params);
  }
  Plan select(const Signals& signals, int32_t n_keep, const Params&, Rng& rng) const override {
    Plan ranked = inner_.method->select(signals, n_keep, inner_.params, rng);
    WINNOW_CHECK(ranked.scores.size() == static_cast<std::size_t>(signals.n()), Internal, "prune.window",
                 "scores of {}, got {}, expected {}", inner_.to_string(), ranked.scores.size(), signals.n());
    return windowed_plan(signals, std::move(ranked.scores), n_keep, window_);
  }

 private:
  MethodUse inner_;
  Window window_;
  MethodInfo info_;
};

}  // namespace

Plan windowed_plan(const Signals& signals, std::vector<float> scores, int32_t n_keep, const Window& window) {
  WINNOW_ASSERT(scores.size() == static_cast<std::size_t>(signals.n()));
  const int64_t n = signals.n();
  std::vector<int32_t> kept;
  std::vector<float> window_scores;
  int64_t before = 0;
  for (const std::vector<int32_t>& tokens : tokens_by_window(signals, window)) {
    const int64_t after = before + static_cast<int64_t>(tokens.size());
    const auto quota = static_cast<int32_t>(n_keep * after / n - n_keep * before / n);
    before = after;
    window_scores.clear();
    for (const int32_t token : tokens) window_scores.push_back(scores[static_cast<std::size_t>(token)]);
    for (const int32_t best : top_k(window_scores, quota)) {
      kept.push_back(tokens[static_cast<std::size_t>(best)]);
    }
  }
  std::sort(kept.begin(), kept.end());
  Plan plan = selection_plan(kept);
  plan.scores = std::move(scores);
  return plan;
}

MethodUse window_of(const MethodUse& inner, const Window& window) {
  WINNOW_ASSERT(inner.method != nullptr);
  WINNOW_CHECK(inner.method->ranks(inner.params), InvalidArgument, "prune.window",
               "window() needs a method that ranks tokens, {} does not", inner.to_string());
  auto method = std::make_shared<const WindowOf>(inner, window);
  return {method.get(), {}, method};
}

}  // namespace winnow::prune
