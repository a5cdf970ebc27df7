// Average pooling of the projected features: the image is cut into n_keep cells (cells.h) and each output is
// the mean of its cell, so every input token is used exactly once and any count works. The baseline of arXiv
// 2502.11501 (Wen et al. 2025, section 3); with window=RxC it is the plain R x C pooling of Matryoshka /
// LLaVA-NeXT-Video (torch.nn.functional.avg_pool2d with ceil_mode, edge windows divided by their own size).
// An output takes the position of the cell's centre token. An image that was already pruned is pooled over
// runs of its remaining tokens.

#include <vector>

#include "winnow/base/error.h"
#include "winnow/prune/cells.h"
#include "winnow/prune/method.h"

namespace winnow::prune {
namespace {

class Pooling final : public Method {
 public:
  const MethodInfo& info() const override { return info_; }
  std::vector<Need> needs(const Params&) const override { return {}; }

  std::optional<int32_t> fixed_count(const Grid& grid, const Params& params) const override {
    if (!params.has("window")) return std::nullopt;
    return window_count(grid, params.window("window"));
  }

  Plan select(const Signals& signals, int32_t n_keep, const Params& params, Rng&) const override {
    const bool whole = signals.token_of.empty();
    WINNOW_CHECK(whole || !params.has("window"), Unsupported, "prune.pooling",
                 "window on an image that was already pruned, got {} of {} tokens, expected all", signals.n(),
                 signals.grid.size());
    const Grid grid = whole ? signals.grid : Grid{1, signals.n()};
    const std::vector<Cell> cells =
        params.has("window") ? window_cells(grid, params.window("window")) : even_cells(grid, n_keep);
    Plan plan;
    std::vector<int32_t> sources;
    for (const Cell& cell : cells) {
      sources.clear();
      for (int32_t row = cell.row_begin; row < cell.row_end; ++row) {
        for (int32_t col = cell.col_begin; col < cell.col_end; ++col)
          sources.push_back(row * grid.cols + col);
      }
      const std::vector<float> weights(sources.size(), 1.0F / static_cast<float>(sources.size()));
      plan.add_merged(sources, weights, cell.centre(grid.cols));
    }
    return plan;
  }

 private:
  MethodInfo info_{.name = "pooling",
                   .summary = "the mean of each of n_keep cells of the grid",
                   .paper = "baseline",
                   .stage = Stage::AfterTower,
                   .params = {{.name = "window",
                               .kind = ParamKind::Window,
                               .help = "pool ROWSxCOLUMNS windows; this fixes the count"}}};
};

}  // namespace

const Method& pooling_method() {
  static const Pooling method;
  return method;
}

}  // namespace winnow::prune
