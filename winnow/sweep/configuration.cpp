#include "winnow/sweep/configuration.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "winnow/base/error.h"
#include "winnow/eval/config_name.h"
#include "winnow/prune/cascade.h"
#include "winnow/prune/syntax.h"

namespace winnow::sweep {
namespace {

constexpr const char* kWhere = "sweep.configurations";

using Cascade = std::vector<prune::PlacedUse>;

bool keeps_all(const prune::MethodUse& use) { return use.method->info().keeps_all; }

bool keeps_all(const Cascade& cascade) {
  return std::all_of(cascade.begin(), cascade.end(),
                     [](const prune::PlacedUse& placed) { return keeps_all(placed.use); });
}

/// True when no budget can be asked for.
bool fixes_count(const Cascade& cascade, const engine::Model& model) {
  return std::all_of(cascade.begin(), cascade.end(), [&](const prune::PlacedUse& placed) {
    return keeps_all(placed.use) || placed.use.method->fixed_count(model.grid(), placed.use.params);
  });
}

/// The budgets of the list that are meant for a cascade: those with one part for each of its steps, or, if
/// there is none, the single ones.
std::vector<std::string> keeps_for(const Cascade& cascade, const ConfigurationRequest& request,
                                   const std::string& method) {
  std::vector<std::string> single, whole;
  for (const std::string& keep : request.keeps) {
    const std::size_t n_parts = prune::split_outside(keep, ',').size();
    if (n_parts == 1) single.push_back(keep);
    if (n_parts > 1 && n_parts == cascade.size()) whole.push_back(keep);
  }
  std::vector<std::string> out = whole.empty() ? single : whole;
  WINNOW_CHECK(!out.empty(), InvalidArgument, kWhere,
               "budgets for '{}', got none in '{}', expected one with {} part{}", method,
               fmt::join(request.keeps, "; "), cascade.size(), cascade.size() == 1 ? "" : "s");
  return out;
}

/// A method with a budget; the request's layer goes to those that can take one.
Configuration configuration(const ConfigurationRequest& request, const engine::Model& model,
                            const std::string& method, const std::string& word) {
  const std::string keep = word == kOwnBudget ? "" : word;
  const Cascade cascade = prune::parse_cascade(method);
  const prune::MethodUse& first = cascade.front().use;
  const prune::Stage stage = first.method->stage(first.params);
  const bool takes_layer = cascade.size() == 1 && !cascade.front().layer &&
                           (stage == prune::Stage::BeforeLayer || stage == prune::Stage::Either);
  Configuration c;
  c.prune.steps = prune::parse_steps(method, keep, prune::parse_budget_mode(request.budget),
                                     takes_layer ? request.layer : -1, model.llama().n_layer, tacr(model));
  std::erase_if(c.prune.steps, [](const prune::Step& step) { return keeps_all(step.use); });
  c.name = eval::config_name(method, c.prune.steps.empty() ? "" : keep);
  if (!request.position.empty()) c.prune.position = prune::parse_position_policy(request.position);
  return c;
}

}  // namespace

void check(const ConfigurationRequest& request) {
  const auto mode = prune::parse_budget_mode(request.budget);
  for (const std::string& method : request.methods) prune::parse_cascade(method);
  for (const std::string& keep : request.keeps) {
    if (keep != kOwnBudget) prune::parse_budgets(keep, mode);
  }
  if (!request.position.empty()) prune::parse_position_policy(request.position);
  WINNOW_CHECK(!request.methods.empty(), InvalidArgument, kWhere, "no methods, expected at least one");
}

std::vector<Configuration> configurations(const ConfigurationRequest& request, const engine::Model& model) {
  std::vector<Configuration> out;
  const auto add = [&](const std::string& method, const std::string& word) {
    Configuration c = configuration(request, model, method, word);
    const bool is_new =
        std::none_of(out.begin(), out.end(), [&](const Configuration& o) { return o.name == c.name; });
    if (is_new) out.push_back(std::move(c));
  };
  for (const std::string& method : request.methods) {
    const Cascade cascade = prune::parse_cascade(method);
    if (keeps_all(cascade) || fixes_count(cascade, model)) {
      add(method, "");
    } else {
      for (const std::string& keep : keeps_for(cascade, request, method)) add(method, keep);
    }
  }
  return out;
}

int32_t tacr(const engine::Model& model) {
  const int32_t side = model.mlp().merge.side;
  return side * side;
}

std::vector<std::string> split_methods(std::string_view text) {
  std::vector<std::string> out;
  for (const std::string_view use : prune::split_uses(text)) {
    WINNOW_CHECK(!use.empty(), InvalidArgument, kWhere,
                 "methods, got '{}', expected names between the commas", text);
    out.push_back(fmt::format("{}", fmt::join(prune::split_outside(use, ','), ",")));
  }
  return out;
}

std::vector<std::string> split_keeps(std::string_view text) {
  std::vector<std::string> out;
  for (std::string_view part : prune::split_outside(text, ',')) {
    if (part.starts_with('(') && part.ends_with(')')) part = prune::trimmed(part.substr(1, part.size() - 2));
    WINNOW_CHECK(!part.empty(), InvalidArgument, kWhere,
                 "budgets, got '{}', expected 144, 25% or auto between the commas", text);
    out.emplace_back(part);
  }
  return out;
}

}  // namespace winnow::sweep
