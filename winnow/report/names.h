#pragma once

// What the names of configurations and methods say: "balanced:alpha=0.3 @ 25%".

#include <optional>
#include <string>

namespace winnow::report {

/// The method that others are compared with at the same budget or time.
inline constexpr const char* kRandom = "random";

/// A method's own name without parameters: "balanced:alpha=0.3 @ 25%" -> "balanced".
std::string plain_method_of(const std::string& config);

/// "runs/a/" -> "a": a report does not tell where things lay on a machine.
std::string last_part(const std::string& path);

/// One point of an alpha curve.
struct AlphaUse {
  std::string family;  ///< the method's text with "alpha=*": equal for the points of one curve
  double alpha = 0.0;
};

/// From a header's text of a method, which spells every parameter out:
/// "balanced:alpha=0.3,features=hidden@2". Nothing for a method without such a parameter, or for a
/// combination with several.
std::optional<AlphaUse> alpha_of(const std::string& method);

}  // namespace winnow::report
