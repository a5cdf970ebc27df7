#include "winnow/prune/describe.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "winnow/prune/schedule.h"

namespace winnow::prune {
namespace {

MethodUse with_defaults(const Method& method) { return parse_method(method.info().name); }

std::string describe_stage(const MethodInfo& info) {
  switch (info.stage) {
    case Stage::BeforeTower: return "before the tower, on the picture";
    case Stage::InTower: return "in the tower";
    case Stage::AfterTower: return "after the tower";
    case Stage::BeforeLayer:
      return fmt::format("before layer K (default {}, from {})", info.default_layer, info.min_layer);
    case Stage::Either: return "after the tower, or before layer K if given";
  }
  return "";
}

std::string describe_position(const MethodInfo& info) {
  const std::string own(position_policy_name(info.position));
  const Step before_layer{parse_method(info.name), info.default_layer, {}};
  const std::string there(position_policy_name(default_position(before_layer)));
  return own == there ? own : fmt::format("{}; {} before a layer", own, there);
}

constexpr std::string_view kIntroduction = R"(# Methods

Written by `winnow methods --markdown`; do not edit by hand. How each works, and where it differs from its reference code,
stands at the head of its file in `winnow/prune/methods/`.

A method is used as `--prune NAME[:param=value,...]`. K is the decoder layer, counted from 0, whose input is pruned
(`--layer K`). Positions are what happens to position ids unless `--position` says otherwise: `original` keeps every
token's id, `compact` renumbers the shorter sequence, `regrid` spreads the kept tokens evenly over their image's ids.
Ties go to the token with the lower index.

Of a picture that a model cuts into tiles (LLaVA-NeXT, LLaVA-OneVision), methods that act after the tower select from each tile by itself, which share the budget by
their tokens, and newline tokens go first; divprune compares all tokens, hired shares by a rule of its own. Before a layer all of the picture's
tokens are alike. The temporal steps of a video (Qwen2-VL) are such tiles. Methods on the picture and in the
tower need a model without tiles, those in the tower one that reads pictures of one size.

Methods combine; blanks do not count, and a shell wants such text in quotes:

- `window(METHOD, ROWSxCOLUMNS)` shares the budget among windows of the grid (2x2 unless said) and keeps each one's best tokens,
  for any method that ranks tokens: `window(balanced:alpha=0.3,importance=cls, 3x3)`. `window_fastv` is `window(fastv)`.
- `then(METHOD@LAYER, METHOD@LAYER, ...)` prunes several times, in ascending order of LAYER: a number, or `tower` for after the
  tower; without `@` the method's own place. Budgets stand in the same order (`--keep 50%,25%`; each percentage counts what the step
  before left), or there is one for the last step when parameters fix the other counts.

| method | acts | rule | needs | positions | paper |
|---|---|---|---|---|---|
)";

}  // namespace

std::string describe_range(const ParamSpec& spec) {
  switch (spec.kind) {
    case ParamKind::Real:
    case ParamKind::Integer: return fmt::format("{} to {}", spec.min, spec.max);
    case ParamKind::Choice: return fmt::format("{}", fmt::join(spec.choices, ", "));
    case ParamKind::Window: return "ROWSxCOLUMNS";
  }
  return "";
}

std::string describe_needs(const Method& method) {
  std::vector<std::string> names;
  for (const Need& need : method.needs(with_defaults(method).params)) {
    const std::string_view name = signal_name(need.signal);  // once, however many blocks it is read from
    if (std::find(names.begin(), names.end(), name) == names.end()) names.emplace_back(name);
  }
  return names.empty() ? "nothing" : fmt::format("{}", fmt::join(names, ", "));
}

std::string methods_markdown() {
  std::string text(kIntroduction);
  for (const Method* method : methods()) {
    const MethodInfo& info = method->info();
    text += fmt::format("| `{}` | {} | {} | {} | {} | {} |\n", info.name, describe_stage(info), info.summary,
                        describe_needs(*method), describe_position(info), info.paper);
  }
  text += "\n## Parameters\n\n| method | parameter | default | range | meaning |\n|---|---|---|---|---|\n";
  for (const Method* method : methods()) {
    for (const ParamSpec& spec : method->info().params) {
      text += fmt::format("| `{}` | `{}` | {} | {} | {} |\n", method->info().name, spec.name,
                          spec.default_value.empty() ? "not set" : spec.default_value, describe_range(spec),
                          spec.help);
    }
  }
  return text;
}

std::string methods_table() {
  std::size_t width = 0;
  for (const Method* method : methods()) width = std::max(width, method->info().name.size());
  std::string text;
  for (const Method* method : methods()) {
    const MethodInfo& info = method->info();
    const auto line = [&](std::string_view name, std::string_view what, std::string_view value) {
      text += fmt::format("{:<{}}  {:<10} {}\n", name, width, what, value);
    };
    line(info.name, "rule", info.summary);
    line("", "acts", describe_stage(info));
    line("", "needs", describe_needs(*method));
    line("", "positions", describe_position(info));
    for (const ParamSpec& spec : info.params) {
      line("", "parameter",
           fmt::format("{}={} ({}): {}", spec.name, spec.default_value, describe_range(spec), spec.help));
    }
    line("", "paper", info.paper);
  }
  return text;
}

}  // namespace winnow::prune
