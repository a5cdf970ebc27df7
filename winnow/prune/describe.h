#pragma once

// The methods as text, always made from the registry, so that docs and command line cannot drift from the
// code.

#include <string>

#include "winnow/prune/method.h"

namespace winnow::prune {

/// What a parameter may be: "0 to 1", "ROWSxCOLUMNS", "last_text, last_visual, cls".
std::string describe_range(const ParamSpec& spec);

/// Signals of a method with its default parameters, "hidden, hidden_last"; "nothing" when it needs none.
std::string describe_needs(const Method& method);

/// All of docs/methods.md.
std::string methods_markdown();

/// A plain table for a terminal, one block of lines per method.
std::string methods_table();

}  // namespace winnow::prune
