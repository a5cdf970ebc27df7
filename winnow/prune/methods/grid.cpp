// Uniform positions: the image is cut into n_keep cells as near to squares as the grid allows (cells.h), and
// the centre token of each stays. A baseline that shows what even coverage alone is worth. An image that was
// already pruned has no whole grid any more: its remaining tokens are then cut into n_keep runs of raster
// order.

#include "winnow/prune/cells.h"
#include "winnow/prune/method.h"

namespace winnow::prune {
namespace {

class GridMethod final : public Method {
 public:
  const MethodInfo& info() const override { return info_; }
  std::vector<Need> needs(const Params&) const override { return {}; }
  Plan select(const Signals& signals, int32_t n_keep, const Params&, Rng&) const override {
    const Grid grid = signals.token_of.empty() ? signals.grid : Grid{1, signals.n()};
    Plan plan;
    for (const Cell& cell : even_cells(grid, n_keep)) plan.add_kept(cell.centre(grid.cols));
    return plan;
  }

 private:
  MethodInfo info_{.name = "grid",
                   .summary = "the centre token of each of n_keep equal cells",
                   .paper = "baseline",
                   .stage = Stage::Either};
};

}  // namespace

const Method& grid_method() {
  static const GridMethod method;
  return method;
}

}  // namespace winnow::prune
