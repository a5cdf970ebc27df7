#include "winnow/engine/tower_request.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "winnow/base/error.h"
#include "winnow/engine/session.h"
#include "winnow/engine/step_signals.h"
#include "winnow/engine/vision/qwen2_vl.h"
#include "winnow/prune/picture_method.h"

namespace winnow::engine {
namespace {

constexpr const char* kWhere = "engine.tower_request";

/// Tokens that a step up to the tower's end leaves of each of n_images equal images.
std::vector<int32_t> tower_quotas(const prune::Step& step, const prune::Grid& grid, const Model& model,
                                  int32_t n_images) {
  const std::vector<prune::Grid> grids(static_cast<std::size_t>(n_images), grid);
  const std::vector<int32_t> tokens(grids.size(), grid.size());
  return prune::step_quotas(step, grids, tokens, model.llama().n_layer);
}

/// Merging in the tower and smaller pictures know one input of one size whose tokens all remain.
void check_one_input(const Model& model, const prune::MethodUse& use) {
  WINNOW_CHECK(
      !model.tiling().cuts(), Unsupported, kWhere,
      "{} changes what the tower reads, which is not there for tiles, got {}, expected a model that does "
      "not cut pictures (LLaVA-1.5)",
      use.method->info().name, model.options().mmproj_path);
  WINNOW_CHECK(
      !model.clip().takes_any_size(), Unsupported, kWhere,
      "{} changes what the tower reads, which is not there for pictures of any size, got {}, expected "
      "a model that reads pictures of one size (LLaVA-1.5)",
      use.method->info().name, model.options().mmproj_path);
}

}  // namespace

prune::Grid picture_grid(const Model& model, std::span<const prune::Step> steps, int32_t n_images) {
  prune::Grid grid = model.grid();
  for (const prune::Step& step : steps) {
    if (step.layer != prune::kBeforeTower) continue;
    WINNOW_CHECK(&step == steps.data(), InvalidArgument, kWhere,
                 "{} acts on the picture, got another step in front of it", step.use.method->info().name);
    check_one_input(model, step.use);
    const prune::PictureMethod* method = prune::as_picture_method(step.use);
    WINNOW_ASSERT(method != nullptr);
    const std::vector<int32_t> quotas = tower_quotas(step, grid, model, n_images);
    grid = method->grid(grid, *std::min_element(quotas.begin(), quotas.end()), step.use.params);
  }
  return grid;
}

TokenLayout picture_layout(const Model& model, std::span<const prune::Step> steps, int32_t n_images,
                           PixelSize picture) {
  const prune::Grid grid = picture_grid(model, steps, n_images);
  if (model.clip().takes_any_size()) {
    PatchMerge merge = model.mlp().merge;
    merge.patches = fitted_to(model.clip(), picture).grid();
    return single_layout(merge.grid());
  }
  if (!model.tiling().cuts()) return single_layout(grid);
  return tiled_layout(grid, choose_canvas(picture, model.tiling().resolutions, model.clip().image_size_px));
}

TokenLayout video_layout(const Model& model, PixelSize frame, int32_t n_frames, int32_t max_tokens) {
  WINNOW_CHECK(model.clip().reads_video, Unsupported, kWhere,
               "{} reads pictures, got a video, expected a model that reads video (Qwen2-VL)",
               model.options().mmproj_path);
  WINNOW_CHECK(n_frames > 0, InvalidArgument, kWhere, "a video without frames, expected at least one");
  PatchMerge merge = model.mlp().merge;
  merge.patches = fitted_to_video(model.clip(), frame, n_frames, max_tokens).grid();
  return video_layout(merge.grid(), n_video_steps(model.clip(), n_frames));
}

TowerRequest Session::tower_request(const PruneOptions& options, int32_t n_images, int32_t image) const {
  TowerRequest request;
  const auto add = [&](const prune::MethodUse& use) {
    check_tower_needs(*model_, use);
    for (const prune::Need& need : encoder_needs(use, model_->tiling().cuts())) {
      const bool known = std::find(request.needs.begin(), request.needs.end(), need) != request.needs.end();
      if (is_of_tower(need.signal) && !known) request.needs.push_back(need);
    }
  };
  std::vector<prune::Step> steps = resolve_steps(*model_, options.steps);
  const prune::Grid grid = picture_grid(*model_, steps, n_images);
  if (grid.size() != model_->grid().size()) request.grid = grid;
  for (prune::Step& step : steps) {
    if (step.layer == prune::kInTower) {
      check_one_input(*model_, step.use);
      WINNOW_CHECK(!request.merge, InvalidArgument, kWhere,
                   "steps in the tower, got {} after {}, expected one at most", step.use.method->info().name,
                   request.merge->use.method->info().name);
      const auto quotas = tower_quotas(step, grid, *model_, n_images);
      request.merge = {step.use, quotas.at(static_cast<std::size_t>(image))};
      continue;
    }
    if (step.layer == prune::kOwnSchedule) {  // its parameters may change from step to step
      step.budget = {};
      for (const prune::Step& own : prune::expand_steps({&step, 1}, grid.size(), model_->llama().n_layer)) {
        add(own.use);
      }
    }
    add(step.use);
  }
  return request;
}

}  // namespace winnow::engine
