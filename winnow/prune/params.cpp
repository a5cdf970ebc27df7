#include "winnow/prune/params.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "winnow/base/error.h"

namespace winnow::prune {
namespace {

constexpr std::string_view kWhere = "prune.params";
constexpr int32_t kMaxWindow = 4096;

/// The whole text as a number, or nothing.
template <class T>
std::optional<T> number(std::string_view text) {
  T value{};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || stop != end) return std::nullopt;
  return value;
}

/// The checked value in the one form that records hold ("0.50" becomes "0.5").
std::string canonical(std::string_view method, const ParamSpec& spec, const std::string& text) {
  switch (spec.kind) {
    case ParamKind::Real: {
      const auto value = number<double>(text);
      WINNOW_CHECK(value && std::isfinite(*value) && *value >= spec.min && *value <= spec.max,
                   InvalidArgument, kWhere, "{}:{}, got '{}', expected a number from {} to {}", method,
                   spec.name, text, spec.min, spec.max);
      return fmt::format("{}", *value + 0.0);  // + 0.0 turns -0 into 0
    }
    case ParamKind::Integer: {
      const auto value = number<int32_t>(text);
      WINNOW_CHECK(value && *value >= spec.min && *value <= spec.max, InvalidArgument, kWhere,
                   "{}:{}, got '{}', expected a whole number from {} to {}", method, spec.name, text,
                   spec.min, spec.max);
      return fmt::format("{}", *value);
    }
    case ParamKind::Choice: {
      WINNOW_CHECK(std::find(spec.choices.begin(), spec.choices.end(), text) != spec.choices.end(),
                   InvalidArgument, kWhere, "{}:{}, got '{}', expected one of {}", method, spec.name, text,
                   fmt::join(spec.choices, ", "));
      return text;
    }
    case ParamKind::Window: {
      const auto window = parse_window(text);
      WINNOW_CHECK(window, InvalidArgument, kWhere,
                   "{}:{}, got '{}', expected ROWSxCOLUMNS such as 2x2 (1 to {})", method, spec.name, text,
                   kMaxWindow);
      return fmt::format("{}x{}", window->rows, window->cols);
    }
  }
  return text;
}

const std::string& value_of(const std::map<std::string, std::string, std::less<>>& values,
                            std::string_view name) {
  const auto found = values.find(name);
  WINNOW_CHECK(found != values.end(), Internal, kWhere, "read a parameter that is not set, got '{}'", name);
  return found->second;
}

}  // namespace

std::optional<Window> parse_window(std::string_view text) {
  const std::size_t cross = text.find('x');
  if (cross == std::string_view::npos) return std::nullopt;
  const auto rows = number<int32_t>(text.substr(0, cross));
  const auto cols = number<int32_t>(text.substr(cross + 1));
  if (!rows || !cols || *rows < 1 || *cols < 1 || *rows > kMaxWindow || *cols > kMaxWindow)
    return std::nullopt;
  return Window{*rows, *cols};
}

Params::Params(std::string_view method, const std::vector<ParamSpec>& specs,
               const std::map<std::string, std::string>& given) {
  for (const ParamSpec& spec : specs) {
    const auto found = given.find(spec.name);
    if (found != given.end()) {
      values_[spec.name] = canonical(method, spec, found->second);
    } else if (!spec.default_value.empty()) {
      values_[spec.name] = canonical(method, spec, spec.default_value);
    }
  }
  for (const auto& [name, value] : given) {
    if (values_.contains(name)) continue;
    std::vector<std::string_view> known;
    for (const ParamSpec& spec : specs) known.emplace_back(spec.name);
    fail(ErrorCode::InvalidArgument, kWhere, "unknown parameter of {}, got '{}', expected {}", method, name,
         known.empty() ? "no parameters" : fmt::format("one of {}", fmt::join(known, ", ")));
  }
}

bool Params::has(std::string_view name) const { return values_.contains(name); }

double Params::real(std::string_view name) const { return number<double>(value_of(values_, name)).value(); }

int32_t Params::integer(std::string_view name) const {
  return number<int32_t>(value_of(values_, name)).value();
}

const std::string& Params::choice(std::string_view name) const { return value_of(values_, name); }

Window Params::window(std::string_view name) const { return parse_window(value_of(values_, name)).value(); }

std::string Params::to_string() const {
  std::vector<std::string> parts;
  for (const auto& [name, value] : values_) parts.push_back(fmt::format("{}={}", name, value));
  return fmt::format("{}", fmt::join(parts, ","));
}

}  // namespace winnow::prune
