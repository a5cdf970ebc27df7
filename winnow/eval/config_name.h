#pragma once

// Names of configurations: "fastv @ 25%" is a method and its budget, "none" a method without one.

#include <string>

namespace winnow::eval {

inline constexpr const char* kBudgetMark = " @ ";

inline std::string config_name(const std::string& method, const std::string& budget) {
  return budget.empty() ? method : method + kBudgetMark + budget;
}

/// "fastv @ 25%" -> "fastv".
inline std::string method_of(const std::string& config) {
  return config.substr(0, config.rfind(kBudgetMark));
}

/// "fastv @ 25%" -> "25%"; empty for a configuration without a budget.
inline std::string budget_of(const std::string& config) {
  const std::size_t at = config.rfind(kBudgetMark);
  return at == std::string::npos ? "" : config.substr(at + std::string(kBudgetMark).size());
}

}  // namespace winnow::eval
