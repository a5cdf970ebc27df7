#include "winnow/eval/relaxed_match.h"

#include <cmath>

#include "winnow/eval/python_text.h"

namespace winnow::eval {
namespace {

std::optional<double> number_of(std::string_view text) {
  if (!text.ends_with('%')) return parse_float(text);
  const auto value = parse_float(strip_end(text, "%"));
  if (!value) return std::nullopt;
  return *value / 100.0;
}

}  // namespace

bool relaxed_match(std::string_view prediction, std::string_view target) {
  constexpr double kTolerance = 0.05;
  const auto predicted = number_of(prediction), wanted = number_of(target);
  if (predicted && wanted && *wanted != 0.0)
    return std::abs(*predicted - *wanted) / std::abs(*wanted) <= kTolerance;
  return lower(prediction) == lower(target);
}

}  // namespace winnow::eval
