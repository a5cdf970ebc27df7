#pragma once

// Lists of methods and budgets -> the configurations that are compared.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "winnow/engine/session.h"

namespace winnow::sweep {

/// The word for what a method does when nobody names a count.
inline constexpr std::string_view kOwnBudget = "auto";

/// Methods x budgets, with what they share.
struct ConfigurationRequest {
  std::vector<std::string> methods;  ///< as in prune/syntax.h, each with the budgets in turn
  /// "25%", "144", "auto"; for then() also one for each step, "50%,25%": a method takes those that have as
  /// many parts as it has steps, and a then() without such takes the single ones for its last step.
  std::vector<std::string> keeps;
  std::string budget = "exact";
  std::string position;  ///< empty: each method's own
  int32_t layer = -1;    ///< for methods that can take one; < 0: each method's own place
};

struct Configuration {
  std::string name;  ///< "fastv @ 25%"; without the budget where none is used
  engine::PruneOptions prune;
};

/// What can be known to be wrong before a model is loaded. Throws InvalidArgument, NotFound.
void check(const ConfigurationRequest& request);

/// Methods whose parameters fix the count, and those that keep everything, are there once. A name is there
/// once too. Throws InvalidArgument, NotFound.
std::vector<Configuration> configurations(const ConfigurationRequest& request, const engine::Model& model);

/// Training-aware compression ratio: tower tokens for each visual token (prune::Budget::tacr).
int32_t tacr(const engine::Model& model);

/// "random, balanced:alpha=0.3,beta=1, then(fastervlm, fastv@2)" -> its methods. A comma may also part
/// parameters (which begin with NAME=) or stand in parentheses. Throws InvalidArgument.
std::vector<std::string> split_methods(std::string_view text);
/// "144, 25%, (50%,25%)" -> its budgets; parentheses hold the budgets of the steps of then(). Throws
/// InvalidArgument.
std::vector<std::string> split_keeps(std::string_view text);

}  // namespace winnow::sweep
