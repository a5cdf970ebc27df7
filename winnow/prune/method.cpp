#include "winnow/prune/method.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "winnow/base/error.h"
#include "winnow/prune/ops.h"
#include "winnow/prune/syntax.h"
#include "winnow/prune/window.h"

namespace winnow::prune {
namespace {

constexpr int32_t kMaxGridSide = 32768;  // rows * cols stays inside int32

std::string expected_shape(SignalShape shape, int32_t n) {
  switch (shape) {
    case SignalShape::PerToken: return fmt::format("[{}, width]", n);
    case SignalShape::PerHead: return fmt::format("[heads, {}]", n);
    case SignalShape::OneRow: return fmt::format("[1, {}]", n);
    case SignalShape::OneVector: return "[1, width]";
    case SignalShape::Text: return "[tokens, width]";
    case SignalShape::AllTokens: return fmt::format("[{} or more, width]", n);
  }
  return "";
}

bool fits(SignalShape shape, const MatrixView& view, int32_t n) {
  if (view.rows < 1 || view.cols < 1) return false;
  switch (shape) {
    case SignalShape::PerToken: return view.rows == n;
    case SignalShape::PerHead: return view.cols == n;
    case SignalShape::OneRow: return view.rows == 1 && view.cols == n;
    case SignalShape::OneVector: return view.rows == 1;
    case SignalShape::Text: return true;
    case SignalShape::AllTokens: return view.rows >= n;
  }
  return false;
}

void check_signal(std::string_view method, const Need& need, const Signals& signals) {
  const MatrixView view = signals.view(need);
  const std::string_view name = signal_name(need.signal);
  WINNOW_CHECK(view.present(), InvalidArgument, "prune.run_method",
               "signal of {}, got no {} (block {}), expected it", method, name, need.block);
  const SignalShape shape = signal_shape(need.signal);
  WINNOW_CHECK(fits(shape, view, signals.n()), InvalidArgument, "prune.run_method",
               "shape of {} for {}, got [{}, {}], expected {}", name, method, view.rows, view.cols,
               expected_shape(shape, signals.n()));
  WINNOW_CHECK(all_finite(view.all()), InvalidArgument, "prune.run_method",
               "values of {} for {}, got NaN or infinity, expected finite numbers", name, method);
}

/// Signals that a method compares must agree in width, and those of the text in the number of tokens.
void check_together(std::string_view method, const std::vector<Need>& needs, const Signals& signals) {
  constexpr std::array<std::array<Signal, 2>, 10> kSameWidth = {{{Signal::Hidden, Signal::HiddenLast},
                                                                 {Signal::Hidden, Signal::PreviousHidden},
                                                                 {Signal::HiddenNormed, Signal::TextNormed},
                                                                 {Signal::LayerKeys, Signal::TextKeys},
                                                                 {Signal::ClipImage, Signal::ClipText},
                                                                 {Signal::Projected, Signal::TextEmbeds},
                                                                 {Signal::Projected, Signal::ClsToken},
                                                                 {Signal::Projected, Signal::HiddenLast},
                                                                 {Signal::InputEmbeds, Signal::TextEmbeds},
                                                                 {Signal::Hidden, Signal::InputEmbeds}}};
  const auto wanted = [&](Signal signal) {
    return std::any_of(needs.begin(), needs.end(), [&](const Need& need) { return need.signal == signal; });
  };
  for (const auto& [first, second] : kSameWidth) {
    if (!wanted(first) || !wanted(second)) continue;
    const MatrixView a = signals.view({first}), b = signals.view({second});
    WINNOW_CHECK(a.cols == b.cols, InvalidArgument, "prune.run_method",
                 "width of {} for {}, got {}, expected {} as in {}", signal_name(second), method, b.cols,
                 a.cols, signal_name(first));
  }
  int64_t n_text = signals.text_ids.empty() ? -1 : std::ssize(signals.text_ids);
  for (const Signal signal : {Signal::TextEmbeds, Signal::TextNormed, Signal::TextKeys}) {
    if (!wanted(signal)) continue;
    const int64_t rows = signals.view({signal}).rows;
    WINNOW_CHECK(n_text < 0 || rows == n_text, InvalidArgument, "prune.run_method",
                 "text tokens in {} for {}, got {}, expected {} as elsewhere", signal_name(signal), method,
                 rows, n_text);
    n_text = rows;
  }
  if (wanted(Signal::TextAttention) && n_text > 0) {
    const int64_t rows = signals.text_attention.rows;
    WINNOW_CHECK(rows % n_text == 0, InvalidArgument, "prune.run_method",
                 "rows of text_attention for {}, got {}, expected a multiple of the {} text tokens", method,
                 rows, n_text);
  }
}

/// A method that breaks these is a bug, but the engine gathers by index: never let it pass.
void check_plan(std::string_view method, const Plan& plan, int32_t n, int32_t n_in, int32_t n_keep) {
  const auto n_out = static_cast<std::size_t>(plan.n_out());
  const bool count = n_keep == kMethodDecides ? plan.n_out() <= n_in : plan.n_out() == n_keep;
  const bool shapes = count && plan.offsets.size() == n_out + 1 && plan.offsets.front() == 0 &&
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
    WINNOW_CHECK(plan.index[i] >= 0 && plan.index[i] < n_in && std::isfinite(plan.weight[i]), Internal,
                 "prune.run_method", "plan of {}, got token {} with weight {}, expected a token below {}",
                 method, plan.index[i], plan.weight[i], n_in);
  }
  WINNOW_CHECK(all_finite(plan.scores), InvalidArgument, "prune.run_method",
               "scores of {}, got values beyond float32, expected smaller signals", method);
}

std::map<std::string, std::string> parse_assignments(std::string_view method, std::string_view text) {
  std::map<std::string, std::string> given;
  while (true) {
    const std::size_t comma = text.find(',');
    const std::string_view part = trimmed(text.substr(0, comma));
    const std::size_t equals = part.find('=');
    WINNOW_CHECK(equals != std::string_view::npos && equals > 0, InvalidArgument, "prune.parse_method",
                 "parameter of {}, got '{}', expected name=value", method, part);
    const auto [at, fresh] = given.emplace(trimmed(part.substr(0, equals)), trimmed(part.substr(equals + 1)));
    WINNOW_CHECK(fresh, InvalidArgument, "prune.parse_method",
                 "parameter of {}, got '{}' twice, expected it once", method, at->first);
    if (comma == std::string_view::npos) return given;
    text.remove_prefix(comma + 1);
  }
}

/// NAME[:param=value,...]
MethodUse parse_plain(std::string_view text) {
  const std::size_t colon = text.find(':');
  const Method& method = find_method(trimmed(text.substr(0, colon)));
  std::map<std::string, std::string> given;
  if (colon != std::string_view::npos) given = parse_assignments(method.info().name, text.substr(colon + 1));
  return {&method, Params(method.info().name, method.info().params, given)};
}

/// What stands in the parentheses of window(): a plain method and perhaps a size. The method's own parameters
/// have commas too, but every one of them has a '='.
MethodUse parse_windowed(std::string_view arguments) {
  const std::vector<std::string_view> parts = split_outside(arguments, ',');
  Window window = kDefaultWindow;
  if (parts.size() > 1 && parts.back().find('=') == std::string_view::npos) {
    const auto size = parse_window(parts.back());
    WINNOW_CHECK(size, InvalidArgument, "prune.parse_method",
                 "size of window(), got '{}', expected ROWSxCOLUMNS such as 2x2", parts.back());
    window = *size;
    arguments = arguments.substr(0, arguments.rfind(','));
  }
  const auto inner = parse_call(arguments);
  WINNOW_CHECK(!inner, InvalidArgument, "prune.parse_method",
               "window() needs a method that ranks tokens, {}() does not", inner->name);
  return window_of(parse_plain(arguments), window);
}

}  // namespace

int32_t scaled_layer(int32_t layer, int32_t n_layer) {
  constexpr int32_t kPublished = 32;
  return std::clamp((layer * n_layer + kPublished / 2) / kPublished, 1, std::max(1, n_layer - 1));
}

std::string_view stage_name(Stage stage) {
  switch (stage) {
    case Stage::BeforeTower: return "before_tower";
    case Stage::InTower: return "in_tower";
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
  const auto call = parse_call(text);
  if (!call) return parse_plain(text);
  WINNOW_CHECK(call->name != "then", InvalidArgument, "prune.parse_method",
               "got a cascade, '{}', expected one method", text);
  WINNOW_CHECK(call->name == "window", NotFound, "prune.parse_method",
               "unknown combination, got '{}(...)', expected window(METHOD, ROWSxCOLUMNS)", call->name);
  return parse_windowed(call->arguments);
}

void check_layout(const Signals& signals) {
  constexpr const char* kWhere = "prune.check_layout";
  const Grid& grid = signals.grid;
  WINNOW_CHECK(grid.rows >= 1 && grid.cols >= 1 && grid.rows <= kMaxGridSide && grid.cols <= kMaxGridSide,
               InvalidArgument, kWhere, "token grid, got {}x{}, expected sides from 1 to {}", grid.rows,
               grid.cols, kMaxGridSide);
  for (const int32_t cell : signals.token_of) {
    WINNOW_CHECK(cell >= 0 && cell < grid.size(), InvalidArgument, kWhere,
                 "grid index of a remaining token, got {}, expected 0 to {}", cell, grid.size() - 1);
  }
  WINNOW_CHECK(signals.ids.empty() || std::ssize(signals.ids) == signals.n(), InvalidArgument, kWhere,
               "position ids, got {}, expected one for each of the {} tokens", signals.ids.size(),
               signals.n());
}

Plan run_method(const MethodUse& use, const Signals& signals, int32_t n_keep, Rng& rng) {
  WINNOW_ASSERT(use.method != nullptr);
  const Method& method = *use.method;
  const std::string& name = method.info().name;
  check_layout(signals);
  const int32_t n = signals.n();
  const MethodInfo& info = method.info();
  const int32_t least = info.may_drop_all ? 0 : 1;
  WINNOW_CHECK((n_keep >= least && n_keep <= n) || (n_keep == kMethodDecides && info.adaptive),
               InvalidArgument, "prune.run_method", "tokens to keep with {}, got {}, expected {} to {}", name,
               n_keep, least, n);
  WINNOW_CHECK(n_keep == n || !info.keeps_all, InvalidArgument, "prune.run_method",
               "tokens to keep with {}, got {}, expected all {}", name, n_keep, n);
  const auto fixed = method.fixed_count(signals.grid, use.params);
  WINNOW_CHECK(!fixed || n_keep == *fixed, InvalidArgument, "prune.run_method",
               "tokens to keep with {}, got {}, expected {} on a {}x{} grid", use.to_string(), n_keep,
               fixed.value_or(0), signals.grid.rows, signals.grid.cols);
  if (n_keep == n) return identity_plan(n);
  if (n_keep == 0) return {};

  const std::vector<Need> needs = method.needs(use.params);
  for (const Need& need : needs) check_signal(name, need, signals);
  check_together(name, needs, signals);
  const bool with_cls = std::any_of(needs.begin(), needs.end(),
                                    [](const Need& need) { return need.signal == Signal::ClsToken; });
  Plan plan = method.select(signals, n_keep, use.params, rng);
  check_plan(name, plan, n, with_cls ? n + 1 : n, n_keep);
  return plan;
}

}  // namespace winnow::prune
