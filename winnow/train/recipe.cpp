#include "winnow/train/recipe.h"

#include <algorithm>

#include "winnow/base/error.h"

namespace winnow::train {
namespace {

constexpr int64_t kWarmUp = 100;
constexpr double kDecayShare = 0.35;
constexpr double kFloor = 0.03;

double course(int64_t step, int64_t total) {
  const int64_t warm_up = std::min(kWarmUp, total / 5 + 1);
  const double up = static_cast<double>(step + 1) / static_cast<double>(warm_up);
  const double left = static_cast<double>(total - step) / (kDecayShare * static_cast<double>(total));
  return std::min({1.0, up, kFloor + (1.0 - kFloor) * left});
}

}  // namespace

Recipe recipe_named(const std::string& name) {
  using Task = Stage::Task;
  if (name == "default") {
    return {.name = name,
            .stages = {{"tower", Task::Pictures, 2000, 32, 1.0},
                       {"decoder", Task::Questions, 1600, 16, 0.0},
                       {"all", Task::Questions, 3600, 16, 0.3, true, true}}};
  }
  if (name == "text") {
    Recipe recipe = recipe_named("default");
    recipe.name = name;
    recipe.stages.insert(recipe.stages.begin() + 1, {"text", Task::Descriptions, 800, 16, 0.0});
    return recipe;
  }
  if (name == "tune") {
    return {.name = name,
            .stages = {{"tune", Task::Questions, 800, 16, 0.0, true, true}},
            .peak_rate = 1e-3,
            .validate_every = 200};
  }
  if (name == "mini") {
    return {.name = name,
            .stages = {{"tower", Task::Pictures, 30, 8, 1.0},
                       {"text", Task::Descriptions, 10, 4, 0.0},
                       {"decoder", Task::Questions, 20, 4, 0.0},
                       {"all", Task::Questions, 20, 4, 0.3, true, true}},
            .n_questions = 8,
            .validate_every = 20,
            .checkpoint_every = 10,
            .validation_samples = 2};
  }
  fail(ErrorCode::InvalidArgument, "train.recipe",
       "unknown recipe, got '{}', expected default, text, tune or mini", name);
}

ModelShape shape_named(const std::string& name) {
  ModelShape shape;
  if (name == "mini") {
    shape.tower_embd = 64;
    shape.tower_layers = 2;
    shape.tower_head = 2;
    shape.tower_ff = 128;
    shape.n_embd = 64;
    shape.n_layer = 3;
    shape.n_head = 2;
    shape.n_ff = 128;
  }
  return shape;
}

StepRates rates_at(const Recipe& recipe, int64_t stage_idx, int64_t step) {
  const Stage& stage = recipe.stages[static_cast<std::size_t>(stage_idx)];
  StepRates rates;
  if (stage.task == Stage::Task::Pictures) {
    const double rate = recipe.tower_peak_rate * course(step, stage.steps);
    rates.lr = {{Part::Tower, rate}, {Part::TowerHead, rate}};
    rates.decay = 0.05;
    return rates;
  }
  int64_t before = 0, total = 0;
  for (std::size_t i = 0; i < recipe.stages.size(); ++i) {
    if (recipe.stages[i].task == Stage::Task::Pictures) continue;
    if (static_cast<int64_t>(i) < stage_idx) before += recipe.stages[i].steps;
    total += recipe.stages[i].steps;
  }
  const double rate = recipe.peak_rate * course(before + step, total);
  rates.lr = {{Part::Projector, rate}, {Part::Decoder, rate}};
  if (stage.tower_rate > 0.0) {
    rates.lr[Part::Tower] = rate * stage.tower_rate;
    rates.lr[Part::TowerHead] = rate * stage.tower_rate;
  }
  return rates;
}

}  // namespace winnow::train
