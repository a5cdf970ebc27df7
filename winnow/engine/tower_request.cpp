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

/// Tokens that a step up to the tower's end leaves of each of n_images equal images of n_step such grids.
std::vector<int32_t> tower_quotas(const prune::Step& step, const prune::Grid& grid, const Model& model,
                                  int32_t n_images, int32_t n_step = 1) {
  const std::vector<prune::Grid> grids(static_cast<std::size_t>(n_images), grid);
  const std::vector<int32_t> tokens(grids.size(), n_step * grid.size());
  return prune::step_quotas(step, grids, tokens, model.llama().n_layer);
}

/// Merging in the tower and smaller pictures know one input whose tokens all remain.
void check_one_input(const Model& model, const prune::MethodUse& use) {
  WINNOW_CHECK(
      !model.tiling().cuts(), Unsupported, kWhere,
      "{} changes what the tower reads, which is not there for tiles, got {}, expected a model that does "
      "not cut pictures (LLaVA-1.5)",
      use.method->info().name, model.options().mmproj_path);
}

/// Merging in the tower knows one size of it.
void check_one_size(const Model& model, const prune::MethodUse& use) {
  WINNOW_CHECK(
      !model.clip().takes_any_size(), Unsupported, kWhere,
      "{} changes what the tower reads, which is not there for pictures of any size, got {}, expected "
      "a model that reads pictures of one size (LLaVA-1.5)",
      use.method->info().name, model.options().mmproj_path);
}

/// The step in front of the tower; nullptr: there is none.
const prune::Step* picture_step(const Model& model, std::span<const prune::Step> steps) {
  const prune::Step* found = nullptr;
  for (const prune::Step& step : steps) {
    if (step.layer != prune::kBeforeTower) continue;
    WINNOW_CHECK(&step == steps.data(), InvalidArgument, kWhere,
                 "{} acts on the picture, got another step in front of it", step.use.method->info().name);
    check_one_input(model, step.use);
    found = &step;
  }
  return found;
}

}  // namespace

prune::Grid picture_grid(const Model& model, std::span<const prune::Step> steps, int32_t n_images,
                         const prune::Grid& full, int32_t n_step) {
  const prune::Step* step = picture_step(model, steps);
  if (step == nullptr) return full;
  const prune::PictureMethod* method = prune::as_picture_method(step->use);
  WINNOW_ASSERT(method != nullptr);
  const std::vector<int32_t> quotas = tower_quotas(*step, full, model, n_images, n_step);
  const int32_t quota = *std::min_element(quotas.begin(), quotas.end());
  const bool of_step = n_step == 1 || method->fixed_count(full, step->use.params);
  return method->grid(full, of_step ? quota : std::max(quota / n_step, 1), step->use.params);
}

TokenLayout picture_layout(const Model& model, std::span<const prune::Step> steps, int32_t n_images,
                           PixelSize picture) {
  if (model.clip().takes_any_size()) {
    PatchMerge merge = model.mlp().merge;
    merge.patches = fitted_to(model.clip(), picture).grid();
    return single_layout(picture_grid(model, steps, n_images, merge.grid()));
  }
  const prune::Grid grid = picture_grid(model, steps, n_images, model.grid());
  if (!model.tiling().cuts()) return single_layout(grid);
  const Tiling& tiling = model.tiling();
  if (tiling.reads_whole(n_images)) return whole_layout(grid);
  return tiled_layout(grid, choose_canvas(picture, tiling.resolutions, model.clip().image_size_px),
                      tiling.max_tiles);
}

TokenLayout video_layout(const Model& model, std::span<const prune::Step> steps, int32_t n_images,
                         PixelSize frame, int32_t n_frames, int32_t max_tokens) {
  PatchMerge merge = model.mlp().merge;
  merge.patches = fitted_to_video(model.clip(), frame, n_frames, max_tokens).grid();
  const int32_t n_step = n_video_steps(model.clip(), n_frames);
  return video_layout(picture_grid(model, steps, n_images, merge.grid(), n_step), n_step);
}

TowerRequest Session::tower_request(const PruneOptions& options, int32_t n_images, int32_t image) const {
  TowerRequest request;
  request.whole = model_->tiling().reads_whole(n_images);
  const auto add = [&](const prune::MethodUse& use) {
    check_tower_needs(*model_, use);
    for (const prune::Need& need : encoder_needs(use, model_->tiling().cuts())) {
      const bool known = std::find(request.needs.begin(), request.needs.end(), need) != request.needs.end();
      if (is_of_tower(need.signal) && !known) request.needs.push_back(need);
    }
  };
  std::vector<prune::Step> steps = resolve_steps(*model_, options.steps);
  prune::Grid grid = model_->grid();
  if (const prune::Step* step = picture_step(*model_, steps); step != nullptr) {
    if (model_->clip().takes_any_size()) {
      request.picture = {*step, n_images};
    } else {
      grid = picture_grid(*model_, steps, n_images, grid);
      if (grid.size() != model_->grid().size()) request.grid = grid;
    }
  }
  for (prune::Step& step : steps) {
    if (step.layer == prune::kInTower) {
      check_one_input(*model_, step.use);
      check_one_size(*model_, step.use);
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
