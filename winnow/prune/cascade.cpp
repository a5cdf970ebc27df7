#include "winnow/prune/cascade.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "winnow/base/error.h"
#include "winnow/prune/syntax.h"

namespace winnow::prune {
namespace {

constexpr std::string_view kTower = "tower";

/// As written behind '@'; steps in the tower or in front of it have no other place and are written without.
std::string place_text(int32_t layer) {
  if (layer == kBeforeTower) return "the picture";
  if (layer == kInTower) return "the tower's blocks";
  return layer == kAfterTower ? std::string(kTower) : std::to_string(layer);
}

int32_t parse_layer(std::string_view text) {
  if (text == kTower) return kAfterTower;
  int32_t layer = 0;
  const bool digits = !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), layer);
  WINNOW_CHECK(digits && read.ec == std::errc{}, InvalidArgument, "prune.parse_cascade",
               "layer of a step, got '{}', expected tower or a number", text);
  return layer;
}

/// METHOD[@LAYER]
PlacedUse parse_placed(std::string_view text) {
  const std::vector<std::string_view> parts = split_outside(text, '@');
  WINNOW_CHECK(parts.size() <= 2, InvalidArgument, "prune.parse_cascade",
               "step, got '{}', expected METHOD or METHOD@LAYER", text);
  PlacedUse placed{parse_method(parts[0])};
  if (parts.size() == 2) placed.layer = parse_layer(parts[1]);
  return placed;
}

Step placed_step(PlacedUse placed, const Budget& budget, int32_t n_layer) {
  const MethodUse& use = placed.use;
  WINNOW_CHECK(placed.layer != kAfterTower || use.method->stage(use.params) != Stage::BeforeLayer,
               InvalidArgument, "prune.parse_steps",
               "place of {}, got tower, expected a decoder layer: it acts inside the decoder",
               use.method->info().name);
  return make_step(std::move(placed.use), budget, placed.layer.value_or(-1), n_layer);
}

/// As the engine runs them: any number after the tower, then one for each layer.
void check_ascending(std::span<const Step> steps) {
  for (std::size_t i = 1; i < steps.size(); ++i) {
    const int32_t before = steps[i - 1].layer;
    const int32_t layer = steps[i].layer;
    if (layer == kOwnSchedule) continue;  // the last, behind steps in the tower
    WINNOW_CHECK(layer > before || (layer == before && layer == kAfterTower), InvalidArgument,
                 "prune.parse_steps", "place of {}, got {} after {}, expected ascending layers",
                 steps[i].use.method->info().name, place_text(layer), place_text(before));
  }
}

void check_mode(std::span<const Step> steps, BudgetMode mode) {
  const auto n_budget = std::count_if(steps.begin(), steps.end(), [](const Step& step) {
    return step.budget.given() && !step.use.method->info().keeps_all;
  });
  WINNOW_CHECK(mode == BudgetMode::Exact || n_budget <= 1, InvalidArgument, "prune.parse_steps",
               "budget {} for {} steps, expected exact: the other kinds speak of one step in a run",
               budget_mode_name(mode), n_budget);
}

}  // namespace

std::vector<PlacedUse> parse_cascade(std::string_view text) {
  const std::vector<std::string_view> at_parts = split_outside(text, '@');
  const auto call = at_parts.size() == 1 ? parse_call(text) : std::nullopt;
  if (!call || call->name != "then") return {parse_placed(text)};
  std::vector<PlacedUse> cascade;
  for (const std::string_view step : split_uses(call->arguments)) cascade.push_back(parse_placed(step));
  return cascade;
}

std::vector<Budget> parse_budgets(std::string_view text, BudgetMode mode) {
  std::vector<Budget> budgets;
  text = trimmed(text);
  while (!text.empty() || !budgets.empty()) {
    const std::size_t comma = text.find(',');
    const std::string_view part = trimmed(text.substr(0, comma));
    budgets.push_back(part.empty() ? Budget{.mode = mode} : parse_budget(part, mode, true));
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  return budgets;
}

std::vector<Step> parse_steps(std::string_view text, std::string_view keeps, BudgetMode mode, int32_t layer,
                              int32_t n_layer, int32_t tacr) {
  std::vector<PlacedUse> cascade = parse_cascade(text);
  if (layer >= 0) {
    WINNOW_CHECK(cascade.size() == 1 && !cascade[0].layer, InvalidArgument, "prune.parse_steps",
                 "layer, got {} beside '{}', expected it inside, as METHOD@LAYER", layer, trimmed(text));
    cascade[0].layer = layer;
  }
  std::vector<Budget> budgets = parse_budgets(keeps, mode);
  WINNOW_CHECK(budgets.size() <= 1 || budgets.size() == cascade.size(), InvalidArgument, "prune.parse_steps",
               "budgets, got {} ('{}'), expected {} (one for each step) or one for the last", budgets.size(),
               trimmed(keeps), cascade.size());
  budgets.insert(budgets.begin(), cascade.size() - budgets.size(), Budget{.mode = mode});
  std::vector<Step> steps;
  for (std::size_t i = 0; i < cascade.size(); ++i) {
    budgets[i].tacr = tacr;
    const Step step = placed_step(std::move(cascade[i]), budgets[i], n_layer);
    steps.push_back(step);
  }
  if (!runs_own_schedule(steps)) {
    for (Step& step : steps) step = at_one_place(step, n_layer);
  }
  check_ascending(steps);
  check_mode(steps, mode);
  return steps;
}

std::string steps_to_string(std::span<const Step> steps) {
  std::vector<std::string> parts;
  for (const Step& step : steps) {
    const bool placed = step.layer >= kAfterTower;
    parts.push_back(placed ? fmt::format("{}@{}", step.use.to_string(), place_text(step.layer))
                           : step.use.to_string());
  }
  return parts.size() == 1 ? parts[0] : fmt::format("then({})", fmt::join(parts, ", "));
}

std::string budgets_to_string(std::span<const Step> steps) {
  std::vector<std::string> parts;
  for (const Step& step : steps) parts.push_back(step.budget.to_string());
  return fmt::format("{}", fmt::join(parts, ","));
}

}  // namespace winnow::prune
