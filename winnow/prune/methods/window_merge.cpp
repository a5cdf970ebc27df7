// MustDrop's first stage: behind the tower's first block every window of patches that look alike becomes one
// token. The rule and its source are in window_merge.h; Liu et al. 2024, arXiv 2411.10803. The whole of
// MustDrop is "then(window_merge, mustdrop)". The threshold decides how many remain; a budget is refused,
// because windows go as a whole.

#include "winnow/prune/window_merge.h"

#include "winnow/base/error.h"
#include "winnow/prune/tower_method.h"

namespace winnow::prune {
namespace {

class WindowMerge final : public TowerMethod {
 public:
  const MethodInfo& info() const override { return info_; }
  MergePlace place() const override { return MergePlace::BehindBlock; }

  std::vector<int32_t> rows_to_merge(int32_t, bool, int32_t n_block, int32_t n_keep,
                                     const Params& params) const override {
    WINNOW_CHECK(n_keep == kMethodDecides, InvalidArgument, "prune.window_merge",
                 "tokens to keep, got {}, expected no budget: the threshold decides", n_keep);
    const int32_t block = params.integer("block");
    WINNOW_CHECK(block < n_block, InvalidArgument, "prune.window_merge",
                 "block, got {}, expected one of the {} that are run", block, n_block);
    std::vector<int32_t> rows(static_cast<std::size_t>(n_block), 0);
    rows[static_cast<std::size_t>(block)] = kMethodDecides;
    return rows;
  }

  Merge merge(const TowerRows& rows, int32_t, const Params& params) const override {
    return merge_windows(rows.hidden, rows.grid, rows.cls,
                         {params.window("window"), static_cast<float>(params.real("threshold"))});
  }

 private:
  MethodInfo info_{.name = "window_merge",
                   .summary = "behind the tower's first block, windows of similar patches become their mean",
                   .paper = "Liu et al. 2024, arXiv 2411.10803",
                   .stage = Stage::InTower,
                   .adaptive = true,
                   .outputs = Outputs::Means,
                   .raster_order = false,
                   .params = {{.name = "threshold",
                               .kind = ParamKind::Real,
                               .default_value = "0.8",
                               .min = -1.0,
                               .max = 1.0,
                               .help = "least mean cosine of a window that is merged"},
                              {.name = "block",
                               .kind = ParamKind::Integer,
                               .default_value = "0",
                               .min = 0.0,
                               .max = 1023.0,
                               .help = "block behind which windows are merged"},
                              {.name = "window",
                               .kind = ParamKind::Window,
                               .default_value = "3x3",
                               .help = "patches of a window"}}};
};

}  // namespace

const Method& window_merge_method() {
  static const WindowMerge method;
  return method;
}

}  // namespace winnow::prune
