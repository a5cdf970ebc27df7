// M3: nested average pools, from every token to one. Cai et al. 2024, "Matryoshka Multimodal Models", arXiv
// 2405.17430: a model trained at 576, 144, 36, 9 and 1 tokens chooses its scale when it runs.
//   output = mean of a window of the projected features, windows of 1, 2, 4, 8, 24 tokens a side on 24 x 24
// Reference: mu-cai/matryoshka-mm @ec30cd37f5, avg_pool2d with kernel = stride = int(sqrt(576 / S)).
// For other grids: both sides are divided by their smallest common prime factor until they have none; the
// last scale is one token. Each window is then made of whole windows of the scale before, which is what
// nested means, and on 24 x 24 it gives the authors' chain. A budget instead of a scale gives pooling's
// cells, which are the same windows for the counts of the chain whose windows are nearly square. Training at
// all scales is the model's affair: any model can be pooled, only those of the paper were made for it.

#include <algorithm>
#include <vector>

#include "winnow/base/error.h"
#include "winnow/prune/cells.h"
#include "winnow/prune/method.h"

namespace winnow::prune {
namespace {

/// Smallest number above 1 that divides both, or 0.
int32_t common_factor(int32_t a, int32_t b) {
  for (int32_t factor = 2; factor <= std::min(a, b); ++factor) {
    if (a % factor == 0 && b % factor == 0) return factor;
  }
  return 0;
}

/// Windows of a scale; the last one for scales beyond.
Window window_of_scale(const Grid& grid, int32_t scale) {
  Grid outputs = grid;
  for (; scale > 0 && outputs.size() > 1; --scale) {
    const int32_t factor = common_factor(outputs.rows, outputs.cols);
    outputs = factor > 0 ? Grid{outputs.rows / factor, outputs.cols / factor} : Grid{1, 1};
  }
  return {grid.rows / outputs.rows, grid.cols / outputs.cols};
}

class M3 final : public Method {
 public:
  const MethodInfo& info() const override { return info_; }
  std::vector<Need> needs(const Params&) const override { return {}; }

  std::optional<int32_t> fixed_count(const Grid& grid, const Params& params) const override {
    if (!params.has("scale")) return std::nullopt;
    return window_count(grid, window_of_scale(grid, params.integer("scale")));
  }

  Plan select(const Signals& signals, int32_t n_keep, const Params& params, Rng&) const override {
    const bool whole = signals.token_of.empty();
    const bool scaled = params.has("scale");
    WINNOW_CHECK(whole || !scaled, Unsupported, "prune.m3",
                 "scale on an image that was already pruned, got {} of {} tokens, expected all", signals.n(),
                 signals.grid.size());
    const Grid grid = whole ? signals.grid : Grid{1, signals.n()};
    return mean_plan(scaled ? window_cells(grid, window_of_scale(grid, params.integer("scale")))
                            : even_cells(grid, n_keep),
                     grid);
  }

 private:
  MethodInfo info_{.name = "m3",
                   .summary = "the mean of each window of one of the nested scales of the grid",
                   .paper = "Cai et al. 2024, arXiv 2405.17430",
                   .stage = Stage::AfterTower,
                   .outputs = Outputs::Means,
                   .params = {{.name = "scale",
                               .kind = ParamKind::Integer,
                               .min = 0.0,
                               .max = 16.0,
                               .help = "0: every token; 1, 2 ...: 144, 36, 9, 1 of 24 x 24; this fixes the "
                                       "count"}}};
};

}  // namespace

const Method& m3_method() {
  static const M3 method;
  return method;
}

}  // namespace winnow::prune
