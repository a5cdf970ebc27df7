// Average pooling of the projected features: the image is cut into n_keep cells (cells.h) and each output is
// the mean of its cell, so every input token is used exactly once and any count works. The baseline of arXiv
// 2502.11501 (Wen et al. 2025, section 3); with window=RxC it is the plain R x C pooling of Matryoshka /
// LLaVA-NeXT-Video (torch.nn.functional.avg_pool2d with ceil_mode, edge windows divided by their own size).
// An output takes the position of the cell's centre token. An image that was already pruned is pooled over
// runs of its remaining tokens.
//
// After the projector and before it are two things, because the projector is not linear. This method is the
// former: no model needs to be trained for it. A mean before the projector (DeCo, Yao et al. 2024, arXiv
// 2405.20985) belongs to models that were trained so, and the model file asks for it
// (winnow.projector.pool_size, docs/design.md). Merging 2 x 2 tokens without training is window=2x2;
// Qwen2-VL's merger puts the four side by side in front of trained weights, which again is the model file's
// (clip.vision.spatial_merge_size).

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
    const bool windows = params.has("window");
    return mean_plan(windows ? window_cells(grid, params.window("window")) : even_cells(grid, n_keep), grid);
  }

 private:
  MethodInfo info_{.name = "pooling",
                   .summary = "the mean of each of n_keep cells of the grid",
                   .paper = "baseline",
                   .stage = Stage::AfterTower,
                   .outputs = Outputs::Means,
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
