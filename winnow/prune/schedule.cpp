#include "winnow/prune/schedule.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <numeric>
#include <optional>
#include <utility>

#include "winnow/base/error.h"

namespace winnow::prune {
namespace {

/// Digits with at most one point, nothing else (from_chars alone would take "inf", "1e3" and "-2").
std::optional<double> plain_decimal(std::string_view text) {
  if (text.empty() || text.find_first_not_of("0123456789.") != std::string_view::npos) return std::nullopt;
  double value = 0.0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value, std::chars_format::fixed);
  if (error != std::errc{} || stop != end) return std::nullopt;
  return value;
}

/// Half up, clamped to [1, n].
int32_t rounded(double tokens, int32_t n) {
  return static_cast<int32_t>(std::clamp(std::floor(tokens + 0.5), 1.0, static_cast<double>(n)));
}

/// The authors' own layer; of a decoder that is too shallow for it, the layer at the same share of its depth.
int32_t default_layer(const MethodInfo& info, int32_t n_layer) {
  return info.default_layer < n_layer ? info.default_layer : scaled_layer(info.default_layer, n_layer);
}

int32_t resolve_layer(const MethodUse& use, int32_t layer, int32_t n_layer) {
  const MethodInfo& info = use.method->info();
  const Stage stage = use.method->stage(use.params);
  const auto fixed_place = [&](int32_t place, std::string_view side) {
    WINNOW_CHECK(layer < 0, InvalidArgument, "prune.make_step",
                 "layer for {}, got {}, expected none: it acts {} the tower", info.name, layer, side);
    return place;
  };
  if (stage == Stage::BeforeTower) return fixed_place(kBeforeTower, "before");
  if (stage == Stage::InTower) return fixed_place(kInTower, "in");
  if (stage == Stage::AfterTower) return fixed_place(kAfterTower, "after");
  if (layer < 0 && stage == Stage::Either) return kAfterTower;
  const int32_t chosen = layer < 0 ? default_layer(info, n_layer) : layer;
  WINNOW_CHECK(chosen >= info.min_layer && chosen < n_layer, InvalidArgument, "prune.make_step",
               "layer for {}, got {}, expected {} to {} of a decoder with {} layers", info.name, chosen,
               info.min_layer, n_layer - 1, n_layer);
  return chosen;
}

/// Whether a method has a schedule of its own does not depend on how many tokens and layers there are.
bool has_schedule(const MethodUse& use) {
  constexpr ScheduleRequest kLlava{.n_visual = 576, .n_layer = 32};
  return !use.method->schedule(kLlava, use.params).empty();
}

/// What a budget asks for, before rounding.
double target_tokens(const Budget& budget, int32_t n_visual) {
  WINNOW_CHECK(budget.percent || budget.mode != BudgetMode::ReductionRate, InvalidArgument,
               "prune.tokens_to_keep", "budget trr, got the count {}, expected a percentage", budget.value);
  if (!budget.percent) return budget.value;
  if (budget.mode == BudgetMode::ReductionRate) {
    return (budget.value + 100.0 * (budget.tacr - 1)) * n_visual / (100.0 * budget.tacr);
  }
  const double ratio = budget.mode == BudgetMode::Total ? budget.tacr : 1.0;
  return budget.value * n_visual * ratio / 100.0;
}

/// Parameters may ask for what is only there inside the decoder (balanced on projected features by
/// attention).
void check_after_tower(const MethodUse& use) {
  for (const Need& need : use.method->needs(use.params)) {
    WINNOW_CHECK(!is_decoder_signal(need.signal), InvalidArgument, "prune.make_step",
                 "{} acts after the tower, got a need of {}, expected signals of tower, projector and text",
                 use.to_string(), signal_name(need.signal));
  }
}

/// Whether no budget is needed: the parameters or the method itself fix the count.
bool counts_itself(const MethodUse& use) {
  return use.method->info().adaptive || use.method->fixed_count(Grid{1, 1}, use.params).has_value();
}

int64_t total(std::span<const int32_t> counts) {
  return std::accumulate(counts.begin(), counts.end(), int64_t{0});
}

/// The steps of the schedule of one use. A budget of all tokens is one step that keeps them.
std::vector<Step> scheduled_steps(const Step& step, int32_t n_visual, int32_t n_layer) {
  constexpr const char* kWhere = "prune.expand_steps";
  const MethodInfo& info = step.use.method->info();
  const Budget& budget = step.budget;
  const double average = budget.given() ? target_tokens(budget, n_visual) : 0.0;
  if (average >= n_visual) return {{step.use, resolve_layer(step.use, -1, n_layer), budget}};
  std::vector<Step> out;
  int32_t before = std::max(info.min_layer, 0) - 1;
  for (const Scheduled& s : step.use.method->schedule({n_visual, n_layer, average}, step.use.params)) {
    WINNOW_CHECK(s.layer > before && s.layer < n_layer, Unsupported, kWhere,
                 "schedule of {} for a decoder with {} layers, got a step before layer {} after {}, expected "
                 "ascending layers: name one layer",
                 info.name, n_layer, s.layer, before);
    WINNOW_CHECK(
        s.n_keep > 0 || (s.n_keep == 0 && info.may_drop_all) || (s.n_keep == kMethodDecides && info.adaptive),
        Internal, kWhere, "schedule of {}, got {} tokens before layer {}, expected at least 1", info.name,
        s.n_keep, s.layer);
    before = s.layer;
    std::map<std::string, std::string> params(step.use.params.values().begin(),
                                              step.use.params.values().end());
    for (const auto& [name, value] : s.params) params[name] = value;
    Step& own = out.emplace_back(step);
    own.use.params = Params(info.name, info.params, params);
    own.layer = s.layer;
    own.budget = {.value = static_cast<double>(s.n_keep)};
  }
  return out;
}

/// Counts that the parameters fix, one for each grid; empty when they fix none.
std::vector<int32_t> fixed_counts(const MethodUse& use, std::span<const Grid> grids) {
  std::vector<int32_t> counts;
  for (const Grid& grid : grids) {
    const auto count = use.method->fixed_count(grid, use.params);
    if (count) counts.push_back(*count);
  }
  return counts;
}

/// step_quotas() of images that have tokens left.
std::vector<int32_t> quotas_of_images(const Step& step, std::span<const Grid> grids,
                                      std::span<const int32_t> image_tokens, int32_t n_layer) {
  const std::vector<int32_t> fixed = fixed_counts(step.use, grids);
  if (!step.budget.given()) {
    if (!fixed.empty()) return fixed;
    if (step.use.method->info().adaptive) return std::vector<int32_t>(image_tokens.size(), kMethodDecides);
  }
  const int64_t n_visual = total(image_tokens);
  WINNOW_CHECK(n_visual <= INT32_MAX, InvalidArgument, "prune.step_quotas",
               "visual tokens, got {}, expected at most {}", n_visual, INT32_MAX);
  const int32_t asked = tokens_to_keep(step.budget, static_cast<int32_t>(n_visual), step.layer, n_layer);
  if (fixed.empty()) {
    return asked == 0 ? std::vector<int32_t>(image_tokens.size(), 0) : image_quotas(asked, image_tokens);
  }
  WINNOW_CHECK(asked == total(fixed), InvalidArgument, "prune.step_quotas",
               "tokens to keep with {}, got {}, expected {} (or no count at all)", step.use.to_string(),
               asked, total(fixed));
  return fixed;
}

}  // namespace

std::string_view budget_mode_name(BudgetMode mode) {
  switch (mode) {
    case BudgetMode::Exact: return "exact";
    case BudgetMode::LayerAverage: return "average";
    case BudgetMode::Total: return "total";
    case BudgetMode::ReductionRate: return "trr";
  }
  return "unknown";
}

BudgetMode parse_budget_mode(std::string_view name) {
  for (const auto mode :
       {BudgetMode::Exact, BudgetMode::LayerAverage, BudgetMode::Total, BudgetMode::ReductionRate}) {
    if (name == budget_mode_name(mode)) return mode;
  }
  fail(ErrorCode::InvalidArgument, "prune.parse_budget_mode",
       "budget, got '{}', expected exact, average, total or trr", name);
}

std::string Budget::to_string() const {
  if (!given()) return "";
  return fmt::format("{}{}", value, percent ? "%" : "");
}

Budget parse_budget(std::string_view text, BudgetMode mode, bool or_zero) {
  const bool percent = text.ends_with('%');
  const auto value = plain_decimal(percent ? text.substr(0, text.size() - 1) : text);
  const bool good =
      value && (*value > 0.0 || (or_zero && *value == 0.0)) &&
      (percent ? *value <= 100.0
               : *value == std::floor(*value) && *value <= 1e9 && text.find('.') == std::string_view::npos);
  WINNOW_CHECK(good, InvalidArgument, "prune.parse_budget",
               "tokens to keep, got '{}', expected a whole number from {} or a percentage {} up to 100%",
               text, or_zero ? 0 : 1, or_zero ? "from 0%" : "above 0%");
  return {*value, percent, mode, 1};
}

int32_t tokens_to_keep(const Budget& budget, int32_t n_visual, int32_t layer, int32_t n_layer) {
  WINNOW_CHECK(n_visual >= 1 && n_layer >= 1 && layer < n_layer, InvalidArgument, "prune.tokens_to_keep",
               "got {} visual tokens, layer {} of {}, expected at least one token and a layer inside",
               n_visual, layer, n_layer);
  WINNOW_CHECK(budget.given(), InvalidArgument, "prune.tokens_to_keep", "budget, got nothing, expected one");
  WINNOW_CHECK(budget.tacr >= 1, InvalidArgument, "prune.tokens_to_keep",
               "training-aware ratio, got {}, expected at least 1", budget.tacr);
  const double target = target_tokens(budget, n_visual);
  if (target == 0.0 && (budget.mode != BudgetMode::LayerAverage || layer <= 0)) return 0;
  if (budget.mode != BudgetMode::LayerAverage || layer <= 0 || target >= n_visual) {
    return rounded(target, n_visual);
  }
  const double seen = static_cast<double>(layer) * n_visual;
  const double remaining = target * n_layer - seen;
  WINNOW_CHECK(
      remaining >= 0.0, InvalidArgument, "prune.tokens_to_keep",
      "layer average, got {:.6g} of {} tokens with a step before layer {}, expected at least {:.1f}: "
      "that is what the "
      "first layers alone come to",
      target, n_visual, layer, seen / n_layer);
  return rounded(remaining / (n_layer - layer), n_visual);
}

double layer_average(int32_t before, int32_t after, int32_t layer, int32_t n_layer) {
  WINNOW_ASSERT(n_layer >= 1 && layer <= n_layer);
  const double full = std::max(layer, 0);
  return (full * before + (n_layer - full) * after) / n_layer;
}

std::vector<int32_t> image_quotas(int32_t n_keep, std::span<const int32_t> image_tokens) {
  for (const int32_t tokens : image_tokens) {
    WINNOW_CHECK(tokens >= 1, InvalidArgument, "prune.image_quotas",
                 "tokens of an image, got {}, expected at least 1", tokens);
  }
  if (image_tokens.empty()) return {};
  const int64_t sum = total(image_tokens);
  const int64_t keep = std::clamp<int64_t>(n_keep, static_cast<int64_t>(image_tokens.size()), sum);

  std::vector<int32_t> quotas;
  for (const int32_t tokens : image_tokens) {
    quotas.push_back(static_cast<int32_t>(std::max<int64_t>(1, keep * tokens / sum)));
  }
  // What an image still lacks of its exact share, in units of 1 / sum; negative when it has too much.
  const auto lack = [&](std::size_t i) { return keep * image_tokens[i] - int64_t{quotas[i]} * sum; };
  int64_t left = keep - total(quotas);
  while (left != 0) {
    std::size_t best = image_tokens.size();
    for (std::size_t i = 0; i < image_tokens.size(); ++i) {
      const bool possible = left > 0 ? quotas[i] < image_tokens[i] : quotas[i] > 1;
      if (!possible) continue;
      if (best == image_tokens.size() || (left > 0 ? lack(i) > lack(best) : lack(i) <= lack(best))) best = i;
    }
    quotas[best] += left > 0 ? 1 : -1;
    left += left > 0 ? -1 : 1;
  }
  return quotas;
}

Step make_step(MethodUse use, const Budget& budget, int32_t layer, int32_t n_layer) {
  constexpr const char* kWhere = "prune.make_step";
  WINNOW_ASSERT(use.method != nullptr);
  Step step{std::move(use), kOwnSchedule, budget};
  const MethodInfo& info = step.use.method->info();
  const Stage stage = step.use.method->stage(step.use.params);
  const bool in_decoder = stage == Stage::BeforeLayer || stage == Stage::Either;
  const bool own = layer < 0 && in_decoder && has_schedule(step.use);
  if (!own) step.layer = resolve_layer(step.use, layer, n_layer);
  if (step.layer == kAfterTower) check_after_tower(step.use);
  if (info.keeps_all) {
    step.budget = {100.0, true, budget.mode, budget.tacr};
    return step;
  }
  WINNOW_CHECK(own || counts_itself(step.use) || budget.given(), InvalidArgument, kWhere,
               "tokens to keep with {}, got nothing, expected a count or a percentage", info.name);
  WINNOW_CHECK(budget.value != 0.0 || (info.may_drop_all && step.layer >= 0), InvalidArgument, kWhere,
               "tokens to keep with {}, got 0, expected at least 1", info.name);
  return step;
}

Step make_step(MethodUse use, std::string_view keep, BudgetMode mode, int32_t layer, int32_t n_layer) {
  const bool none = keep.empty() || use.method->info().keeps_all;
  return make_step(std::move(use), none ? Budget{.mode = mode} : parse_budget(keep, mode, true), layer,
                   n_layer);
}

Step make_step(std::string_view method, std::string_view keep, BudgetMode mode, int32_t layer,
               int32_t n_layer) {
  return make_step(parse_method(method), keep, mode, layer, n_layer);
}

Step at_one_place(const Step& step, int32_t n_layer) {
  if (step.layer != kOwnSchedule) return step;
  WINNOW_CHECK(step.budget.given() || counts_itself(step.use), InvalidArgument, "prune.at_one_place",
               "tokens to keep with {} in a cascade, got nothing, expected a count or a percentage",
               step.use.method->info().name);
  return {step.use, resolve_layer(step.use, -1, n_layer), step.budget};
}

bool runs_own_schedule(std::span<const Step> steps) {
  return !steps.empty() && steps.back().layer == kOwnSchedule &&
         std::all_of(steps.begin(), steps.end() - 1, [](const Step& s) { return s.layer <= kInTower; });
}

std::vector<Step> expand_steps(std::span<const Step> steps, int32_t n_visual, int32_t n_layer) {
  std::vector<Step> out;
  if (runs_own_schedule(steps)) {
    out.assign(steps.begin(), steps.end() - 1);
    const std::vector<Step> scheduled = scheduled_steps(steps.back(), n_visual, n_layer);
    out.insert(out.end(), scheduled.begin(), scheduled.end());
    return out;
  }
  for (const Step& step : steps) out.push_back(at_one_place(step, n_layer));
  return out;
}

PositionPolicy default_position(const Step& step) {
  WINNOW_ASSERT(step.use.method != nullptr);
  const Method& method = *step.use.method;
  if (method.info().stage == Stage::BeforeLayer && step.layer == kAfterTower) return PositionPolicy::Compact;
  const bool follows_host = method.stage(step.use.params) == Stage::Either && step.layer >= 0;
  return follows_host ? PositionPolicy::Original : method.position(step.use.params);
}

std::vector<int32_t> step_quotas(const Step& step, std::span<const Grid> grids,
                                 std::span<const int32_t> image_tokens, int32_t n_layer) {
  WINNOW_ASSERT(step.use.method != nullptr && step.layer != kOwnSchedule &&
                grids.size() == image_tokens.size());
  if (step.use.method->info().keeps_all) return {image_tokens.begin(), image_tokens.end()};
  std::vector<Grid> grids_left;
  std::vector<int32_t> tokens_left;
  for (std::size_t i = 0; i < grids.size(); ++i) {
    if (image_tokens[i] == 0) continue;
    grids_left.push_back(grids[i]);
    tokens_left.push_back(image_tokens[i]);
  }
  std::vector<int32_t> quotas(image_tokens.size(), 0);
  if (tokens_left.empty()) return quotas;
  const std::vector<int32_t> of_left = quotas_of_images(step, grids_left, tokens_left, n_layer);
  auto next = of_left.begin();
  for (std::size_t i = 0; i < quotas.size(); ++i) {
    if (image_tokens[i] > 0) quotas[i] = *next++;
  }
  return quotas;
}

}  // namespace winnow::prune
