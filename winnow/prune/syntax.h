#pragma once

// How methods and cascades are written on command lines and in records: names, parentheses, commas.
//   METHOD = NAME[:param=value,...] | window(NAME[:param=value,...][, ROWSxCOLUMNS])
//   STEP   = METHOD[@LAYER]                      LAYER = tower | a number
//   STEPS  = STEP | then(STEP, STEP, ...)
// Blanks around names, values and punctuation do not count. method.h reads METHOD, cascade.h the rest.

#include <optional>
#include <string_view>
#include <vector>

namespace winnow::prune {

/// Without blanks at either end: always a part of text, of length 0 when there are only blanks.
std::string_view trimmed(std::string_view text);

/// The parts between separators that stand outside parentheses, trimmed; one part when there is no separator.
/// Throws InvalidArgument for parentheses that do not match.
std::vector<std::string_view> split_outside(std::string_view text, char separator);

/// The STEPs or METHODs between commas: a part that begins with NAME= continues the parameters of the one
/// before. Each is a part of text, with the blanks inside it. Throws as split_outside() does.
std::vector<std::string_view> split_uses(std::string_view text);

/// NAME(ARGUMENTS), both trimmed.
struct Call {
  std::string_view name;
  std::string_view arguments;
};

/// text as a call; nothing for anything else, such as "balanced:alpha=0.3". Throws InvalidArgument for a call
/// that does not end with its closing parenthesis.
std::optional<Call> parse_call(std::string_view text);

}  // namespace winnow::prune
