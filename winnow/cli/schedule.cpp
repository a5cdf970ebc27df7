#include "winnow/cli/schedule.h"

#include <fmt/format.h>

#include <utility>
#include <vector>

namespace winnow::cli {
namespace {

/// What step `step_idx` did, image by image.
std::vector<const engine::StepResult*> results_of(const engine::PrefillResult& prefill,
                                                  std::size_t step_idx) {
  std::vector<const engine::StepResult*> out;
  for (const engine::StepResult& result : prefill.steps) {
    if (result.step == static_cast<int32_t>(step_idx)) out.push_back(&result);
  }
  return out;
}

std::string place_of(int32_t layer) {
  if (layer == prune::kBeforeTower) return "before the tower";
  if (layer == prune::kInTower) return "in the tower";
  return layer < 0 ? "after the tower" : fmt::format("before layer {}", layer);
}

std::string_view stage_of(int32_t layer) {
  return stage_name(layer == prune::kBeforeTower ? prune::Stage::BeforeTower
                    : layer == prune::kInTower   ? prune::Stage::InTower
                    : layer < 0                  ? prune::Stage::AfterTower
                                                 : prune::Stage::BeforeLayer);
}

}  // namespace

nlohmann::ordered_json schedule_json(const engine::PrefillResult& prefill) {
  using nlohmann::ordered_json;
  ordered_json steps = ordered_json::array();
  for (std::size_t i = 0; i < prefill.schedule.size(); ++i) {
    const prune::Step& step = prefill.schedule[i];
    ordered_json kept = ordered_json::array();
    for (const engine::StepResult* result : results_of(prefill, i)) kept.push_back(result->plan.n_out());
    steps.push_back({{"method", step.use.to_string()},
                     {"stage", stage_of(step.layer)},
                     {"layer", step.layer < 0 ? ordered_json(nullptr) : ordered_json(step.layer)},
                     {"budget", step.budget.to_string()},
                     {"budget_mode", prune::budget_mode_name(step.budget.mode)},
                     {"kept_per_image", kept}});
  }
  return steps;
}

std::string schedule_text(const engine::PrefillResult& prefill) {
  std::string out;
  for (std::size_t i = 0; i < prefill.schedule.size(); ++i) {
    int32_t before = 0, after = 0;
    for (const engine::StepResult* result : results_of(prefill, i)) {
      before += result->n_before;
      after += result->plan.n_out();
    }
    const int32_t layer = prefill.schedule[i].layer;
    out += fmt::format("{}{} {} -> {}", out.empty() ? "" : ", ", place_of(layer), before, after);
  }
  return out;
}

}  // namespace winnow::cli
