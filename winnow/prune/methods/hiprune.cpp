// HiPrune: anchors of a middle tower block with their neighbours, the rest by the attention of a deep block.
// Liu et al. 2025, "HiPrune: Training-Free Visual Token Pruning via Hierarchical Attention in Vision-Language
// Models", arXiv 2508.00553. Reference: Danielement321/HiPrune @6e83a12408,
// LLaVA/llava/model/llava_arch.py, encode_images.
//   attention of a block = mean over heads and over all query rows ([CLS] among them) of a patch's column
//   anchors   = the round(n_keep * alpha / 5) largest in the object block (halves round to even)
//   shallow   = anchors and their left, right, upper and lower neighbours
//   the rest  = largest in the block whose output the projector reads, until there are n_keep
// Object block: the ninth of 24, in other towers the one at that place. The reference finds neighbours in the
// flat raster, +-1 and +-24 cut to [0, 575], so that a token at the edge has neighbours in another row.
// Default: neighbours in the grid; neighbours=flat: the reference, with the grid's own width.
// Deviation: where the shallow set alone exceeds n_keep (small counts, alpha near 1; the reference fails), it
// is cut there: anchors first, then the neighbours of the best. In an image that was already pruned only the
// remaining tokens count.

#include <algorithm>
#include <cmath>

#include "winnow/prune/method.h"
#include "winnow/prune/ops.h"

namespace winnow::prune {
namespace {

constexpr int32_t kTokensPerAnchor = 5;
constexpr Need kDeep{Signal::ColumnAttention, kFeatureBlock};

Need object_need(const Params& params) {
  return {Signal::ColumnAttention, block_at(params.integer("object_block"), 24)};
}

/// Grid indices beside a cell.
std::vector<int32_t> neighbours_in_grid(int32_t cell, const Grid& grid) {
  const int32_t row = cell / grid.cols, col = cell % grid.cols;
  std::vector<int32_t> cells;
  if (row > 0) cells.push_back(cell - grid.cols);
  if (col > 0) cells.push_back(cell - 1);
  if (col + 1 < grid.cols) cells.push_back(cell + 1);
  if (row + 1 < grid.rows) cells.push_back(cell + grid.cols);
  return cells;
}

std::vector<int32_t> neighbours_in_raster(int32_t cell, const Grid& grid) {
  std::vector<int32_t> cells;
  for (const int32_t step : {-grid.cols, -1, 1, grid.cols}) {
    cells.push_back(std::clamp(cell + step, 0, grid.size() - 1));
  }
  return cells;
}

class HiPrune final : public Method {
 public:
  const MethodInfo& info() const override { return info_; }
  std::vector<Need> needs(const Params& params) const override { return {object_need(params), kDeep}; }

  Plan select(const Signals& signals, int32_t n_keep, const Params& params, Rng&) const override {
    const std::vector<float> object = head_mean(signals.view(object_need(params)));
    std::vector<float> deep = head_mean(signals.view(kDeep));
    const auto n_anchor =
        static_cast<int32_t>(std::nearbyint(n_keep * params.real("alpha") / kTokensPerAnchor));

    std::vector<bool> is_kept(deep.size(), false);
    int32_t n_kept = 0;
    const auto keep = [&](int32_t token) {
      if (token < 0 || is_kept[token] || n_kept == n_keep) return;
      is_kept[token] = true;
      ++n_kept;
    };
    const std::vector<int32_t> anchors = best_first(object, n_anchor);
    for (const int32_t anchor : anchors) keep(anchor);

    std::vector<int32_t> token_at(signals.grid.size(), -1);
    for (int32_t token = 0; token < signals.n(); ++token) token_at[signals.cell(token)] = token;
    const bool flat = params.choice("neighbours") == "flat";
    for (const int32_t anchor : anchors) {
      const int32_t cell = signals.cell(anchor);
      for (const int32_t beside :
           flat ? neighbours_in_raster(cell, signals.grid) : neighbours_in_grid(cell, signals.grid)) {
        keep(token_at[beside]);
      }
    }
    for (const int32_t token : best_first(deep, signals.n())) keep(token);

    std::vector<int32_t> kept;
    for (int32_t token = 0; token < signals.n(); ++token) {
      if (is_kept[token]) kept.push_back(token);
    }
    Plan plan = selection_plan(kept);
    plan.scores = std::move(deep);
    return plan;
  }

 private:
  MethodInfo info_{.name = "hiprune",
                   .summary =
                       "anchors of a middle tower block with their neighbours, the rest by the mean "
                       "attention of a deep block",
                   .paper = "Liu et al. 2025, arXiv 2508.00553",
                   .stage = Stage::AfterTower,
                   .params = {{.name = "alpha",
                               .kind = ParamKind::Real,
                               .default_value = "0.1",
                               .min = 0.0,
                               .max = 1.0,
                               .help = "share of n_keep for anchors with their neighbours"},
                              {.name = "object_block",
                               .kind = ParamKind::Integer,
                               .default_value = "9",
                               .min = 1,
                               .max = 24,
                               .help = "block of the anchors, counted from 1 in a tower of 24"},
                              {.name = "neighbours",
                               .kind = ParamKind::Choice,
                               .default_value = "grid",
                               .choices = {"grid", "flat"},
                               .help = "in the grid, or in the flat raster as the reference takes them"}}};
};

}  // namespace

const Method& hiprune_method() {
  static const HiPrune method;
  return method;
}

}  // namespace winnow::prune
