#include "winnow/prune/method.h"

#include <cmath>
#include <utility>

#include "winnow/base/error.h"
#include "winnow/prune/ops.h"

namespace winnow::prune {
namespace {

constexpr int32_t kMaxGridSide = 32768;  // rows * cols stays inside int32

void check_grid(const Signals& signals) {
  const Grid& grid = signals.grid;
  WINNOW_CHECK(grid.rows >= 1 && grid.cols >= 1 && grid.rows <= kMaxGridSide && grid.cols <= kMaxGridSide,
               InvalidArgument, "prune.run_method", "token grid, got {}x{}, expected sides from 1 to {}",
               grid.rows, grid.cols, kMaxGridSide);
  for (const int32_t cell : signals.token_of) {
    WINNOW_CHECK(cell >= 0 && cell < grid.size(), InvalidArgument, "prune.run_method",
                 "grid index of a remaining token, got {}, expected 0 to {}", cell, grid.size() - 1);
  }
}

bool is_attention(Signal signal) {
  return signal == Signal::ClsAttention || signal == Signal::ColumnAttention ||
         signal == Signal::LastTextAttention || signal == Signal::LastVisualAttention;
}

void check_signal(std::string_view method, const Need& need, const Signals& signals) {
  const MatrixView view = signals.view(need);
  const std::string_view name = signal_name(need.signal);
  WINNOW_CHECK(view.present(), InvalidArgument, "prune.run_method",
               "signal of {}, got no {} (block {}), expected it", method, name, need.block);
  const int64_t n = signals.n();
  if (is_attention(need.signal)) {
    WINNOW_CHECK(view.rows >= 1 && view.cols == n, InvalidArgument, "prune.run_method",
                 "shape of {} for {}, got [{}, {}], expected [heads, {}]", name, method, view.rows, view.cols,
                 n);
  } else {
    const int64_t rows = need.signal == Signal::HiddenLast ? 1 : n;
    WINNOW_CHECK(view.rows == rows && view.cols >= 1, InvalidArgument, "prune.run_method",
                 "shape of {} for {}, got [{}, {}], expected [{}, width]", name, method, view.rows, view.cols,
                 rows);
  }
  if (need.signal == Signal::HiddenLast && signals.hidden.present()) {
    WINNOW_CHECK(view.cols == signals.hidden.cols, InvalidArgument, "prune.run_method",
                 "width of {} for {}, got {}, expected {} as in hidden", name, method, view.cols,
                 signals.hidden.cols);
  }
  WINNOW_CHECK(all_finite(view.all()), InvalidArgument, "prune.run_method",
               "values of {} for {}, got NaN or infinity, expected finite numbers", name, method);
}

/// A method that breaks these is a bug, but the engine gathers by index: never let it pass.
void check_plan(std::string_view method, const Plan& plan, int32_t n, int32_t n_keep) {
  const auto n_out = static_cast<std::size_t>(plan.n_out());
  const bool shapes = plan.n_out() == n_keep && plan.offsets.size() == n_out + 1 &&
                      plan.offsets.front() == 0 &&
                      plan.index.size() == static_cast<std::size_t>(plan.offsets.back()) &&
                      plan.weight.size() == plan.index.size() &&
                      (plan.scores.empty() || plan.scores.size() == static_cast<std::size_t>(n));
  WINNOW_CHECK(shapes, Internal, "prune.run_method",
               "plan of {}, got {} outputs of {} sources, expected {} outputs", method, plan.n_out(),
               plan.index.size(), n_keep);
  for (std::size_t out = 0; out < n_out; ++out) {
    const int32_t at = plan.position_of[out];
    WINNOW_CHECK(plan.offsets[out] < plan.offsets[out + 1] && at >= 0 && at < n, Internal, "prune.run_method",
                 "plan of {}, got output {} at position {}, expected sources and a position below {}", method,
                 out, at, n);
  }
  for (std::size_t i = 0; i < plan.index.size(); ++i) {
    WINNOW_CHECK(plan.index[i] >= 0 && plan.index[i] < n && std::isfinite(plan.weight[i]), Internal,
                 "prune.run_method", "plan of {}, got token {} with weight {}, expected a token below {}",
                 method, plan.index[i], plan.weight[i], n);
  }
  WINNOW_CHECK(all_finite(plan.scores), InvalidArgument, "prune.run_method",
               "scores of {}, got values beyond float32, expected smaller signals", method);
}

std::map<std::string, std::string> parse_assignments(std::string_view method, std::string_view text) {
  std::map<std::string, std::string> given;
  while (true) {
    const std::size_t comma = text.find(',');
    const std::string_view part = text.substr(0, comma);
    const std::size_t equals = part.find('=');
    WINNOW_CHECK(equals != std::string_view::npos && equals > 0, InvalidArgument, "prune.parse_method",
                 "parameter of {}, got '{}', expected name=value", method, part);
    const auto [at, fresh] = given.emplace(part.substr(0, equals), part.substr(equals + 1));
    WINNOW_CHECK(fresh, InvalidArgument, "prune.parse_method",
                 "parameter of {}, got '{}' twice, expected it once", method, at->first);
    if (comma == std::string_view::npos) return given;
    text.remove_prefix(comma + 1);
  }
}

}  // namespace

std::string_view stage_name(Stage stage) {
  switch (stage) {
    case Stage::AfterTower: return "after_tower";
    case Stage::BeforeLayer: return "before_layer";
    case Stage::Either: return "either";
  }
  return "unknown";
}

std::string_view position_policy_name(PositionPolicy policy) {
  switch (policy) {
    case PositionPolicy::Original: return "original";
    case PositionPolicy::Compact: return "compact";
    case PositionPolicy::Regrid: return "regrid";
  }
  return "unknown";
}

PositionPolicy parse_position_policy(std::string_view name) {
  for (const auto policy : {PositionPolicy::Original, PositionPolicy::Compact, PositionPolicy::Regrid}) {
    if (name == position_policy_name(policy)) return policy;
  }
  fail(ErrorCode::InvalidArgument, "prune.parse_position_policy",
       "position policy, got '{}', expected original, compact or regrid", name);
}

const Method& find_method(std::string_view name) {
  std::vector<std::string_view> known;
  for (const Method* method : methods()) {
    if (method->info().name == name) return *method;
    known.emplace_back(method->info().name);
  }
  fail(ErrorCode::NotFound, "prune.find_method", "unknown method, got '{}', expected one of {}", name,
       fmt::join(known, ", "));
}

std::string MethodUse::to_string() const {
  WINNOW_ASSERT(method != nullptr);
  const std::string values = params.to_string();
  return values.empty() ? method->info().name : method->info().name + ":" + values;
}

MethodUse parse_method(std::string_view text) {
  const std::size_t colon = text.find(':');
  const Method& method = find_method(text.substr(0, colon));
  std::map<std::string, std::string> given;
  if (colon != std::string_view::npos) given = parse_assignments(method.info().name, text.substr(colon + 1));
  return {&method, Params(method.info().name, method.info().params, given)};
}

Plan run_method(const MethodUse& use, const Signals& signals, int32_t n_keep, Rng& rng) {
  WINNOW_ASSERT(use.method != nullptr);
  const Method& method = *use.method;
  const std::string& name = method.info().name;
  check_grid(signals);
  const int32_t n = signals.n();
  WINNOW_CHECK(n_keep >= 1 && n_keep <= n, InvalidArgument, "prune.run_method",
               "tokens to keep with {}, got {}, expected 1 to {}", name, n_keep, n);
  WINNOW_CHECK(n_keep == n || !method.info().keeps_all, InvalidArgument, "prune.run_method",
               "tokens to keep with {}, got {}, expected all {}", name, n_keep, n);
  const auto fixed = method.fixed_count(signals.grid, use.params);
  WINNOW_CHECK(!fixed || n_keep == *fixed, InvalidArgument, "prune.run_method",
               "tokens to keep with {}, got {}, expected {} on a {}x{} grid", use.to_string(), n_keep,
               fixed.value_or(0), signals.grid.rows, signals.grid.cols);
  if (n_keep == n) return identity_plan(n);

  for (const Need& need : method.needs(use.params)) check_signal(name, need, signals);
  Plan plan = method.select(signals, n_keep, use.params, rng);
  check_plan(name, plan, n, n_keep);
  return plan;
}

}  // namespace winnow::prune
