// winnow methods: what each method needs, where it acts, its paper.

#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "winnow/cli/command.h"
#include "winnow/prune/describe.h"

namespace winnow::cli {
namespace {

using nlohmann::ordered_json;

ordered_json methods_json() {
  ordered_json out = ordered_json::array();
  for (const prune::Method* method : prune::methods()) {
    const prune::MethodInfo& info = method->info();
    ordered_json params = ordered_json::array();
    for (const prune::ParamSpec& spec : info.params) {
      params.push_back({{"name", spec.name},
                        {"default", spec.default_value},
                        {"range", prune::describe_range(spec)},
                        {"help", spec.help}});
    }
    ordered_json needs = ordered_json::array();
    for (const prune::Need& need : method->needs(prune::Params(info.name, info.params, {}))) {
      needs.push_back(prune::signal_name(need.signal));
    }
    out.push_back({{"name", info.name},
                   {"summary", info.summary},
                   {"paper", info.paper},
                   {"stage", prune::stage_name(info.stage)},
                   {"default_layer", info.default_layer},
                   {"position", prune::position_policy_name(info.position)},
                   {"adaptive", info.adaptive},
                   {"before_projector", info.before_projector},
                   {"across_tiles", info.across_tiles},
                   {"needs", needs},
                   {"parameters", params}});
  }
  return out;
}

}  // namespace

void add_methods(CLI::App& app, Action& action) {
  auto json = std::make_shared<bool>(false);
  auto markdown = std::make_shared<bool>(false);
  CLI::App& command = *app.add_subcommand("methods", "List the pruning methods");
  command.add_flag("--json", *json, "As JSON");
  command.add_flag("--markdown", *markdown, "As docs/methods.md");
  command.callback([json, markdown, &action] {
    action = [json, markdown] {
      fmt::print("{}", *json ? methods_json().dump(2) + "\n"
                             : (*markdown ? prune::methods_markdown() : prune::methods_table()));
      return 0;
    };
  });
}

}  // namespace winnow::cli
