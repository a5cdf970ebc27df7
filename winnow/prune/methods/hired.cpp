// HiRED: the patches that the tower's [CLS] token attends to most, in raster order, and of a picture cut into
// tiles a budget for each of them.
// Arif et al. 2024, "HiRED: Attention-Guided Token Dropping for Efficient Inference of High-Resolution
// Vision-Language Models", arXiv 2408.10945. Reference: hasanar1f/HiRED @502d6dd79a,
// llava/modeling_llava.py, HiRED_token_selection (the reference adds the heads up; their mean ranks the
// same); budgets: hired_budgets.h. Deviation: padding of tiles has no tokens to choose from, where the
// reference chooses first and then takes the padding's away, so that it keeps fewer.

#include "winnow/prune/hired_budgets.h"
#include "winnow/prune/importance.h"
#include "winnow/prune/method.h"
#include "winnow/prune/ops.h"

namespace winnow::prune {
namespace {

constexpr Need kEarlyAttention{Signal::ClsAttention, 0};

class Hired final : public Method {
 public:
  const MethodInfo& info() const override { return info_; }
  std::vector<Need> needs(const Params&) const override { return {kFeatureAttention}; }
  bool ranks(const Params&) const override { return true; }
  std::vector<Need> tile_needs(const Params&) const override { return {kEarlyAttention}; }

  std::vector<int32_t> tile_quotas(const TileRequest& request, const Params& params) const override {
    const auto regions = params.choice("regions") == "bands" ? HiredRegions::Bands : HiredRegions::Blocks;
    return hired_budgets(request.whole.view(kEarlyAttention), request.whole.grid, request.tiles,
                         request.n_keep, params.real("alpha"), regions);
  }

  Plan select(const Signals& signals, int32_t n_keep, const Params&, Rng&) const override {
    return top_k_plan(head_mean(signals.view(kFeatureAttention)), n_keep);
  }

 private:
  MethodInfo info_{
      .name = "hired",
      .summary = "most [CLS] attention in the tower; a budget of its own for every crop",
      .paper = "Arif et al. 2024, arXiv 2408.10945",
      .stage = Stage::AfterTower,
      .params = {{.name = "alpha",
                  .kind = ParamKind::Real,
                  .default_value = "0.5",
                  .min = 0.0,
                  .max = 1.0,
                  .help = "of a picture cut into tiles: share of the whole picture"},
                 {.name = "regions",
                  .kind = ParamKind::Choice,
                  .default_value = "bands",
                  .choices = {"bands", "blocks"},
                  .help = "where a tile lies in the whole picture: bands of rows (the code), or the "
                          "block that it shows (the paper)"}}};
};

}  // namespace

const Method& hired_method() {
  static const Hired method;
  return method;
}

}  // namespace winnow::prune
