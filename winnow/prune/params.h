#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace winnow::prune {

enum class ParamKind { Real, Integer, Choice, Window };

/// One parameter of a method: what it may be and what it is when nobody says.
struct ParamSpec {
  std::string name;
  ParamKind kind = ParamKind::Real;
  std::string default_value{};  ///< written as on the command line; empty: not set
  double min = 0.0;             ///< Real, Integer: inclusive range
  double max = 0.0;
  std::vector<std::string> choices{};  ///< Choice only
  std::string help{};
};

/// Rows x columns of a window on the token grid, written "2x2".
struct Window {
  int32_t rows = 0;
  int32_t cols = 0;
};
/// "2x2"; nothing for any other text or for sides outside 1 to 4096.
std::optional<Window> parse_window(std::string_view text);

/// The checked parameters of one use of a method: given values over defaults.
class Params {
 public:
  Params() = default;
  /// Throws InvalidArgument for a name that is not in specs, a value of the wrong form or out of range.
  Params(std::string_view method, const std::vector<ParamSpec>& specs,
         const std::map<std::string, std::string>& given);

  bool has(std::string_view name) const;
  double real(std::string_view name) const;
  int32_t integer(std::string_view name) const;
  const std::string& choice(std::string_view name) const;
  Window window(std::string_view name) const;
  /// "alpha=0.5,window=2x2": every parameter that has a value, sorted by name, numbers in their shortest
  /// form.
  std::string to_string() const;
  const std::map<std::string, std::string, std::less<>>& values() const { return values_; }

 private:
  std::map<std::string, std::string, std::less<>> values_;
};

}  // namespace winnow::prune
