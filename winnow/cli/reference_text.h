#pragma once

#include <string>
#include <vector>

#include "winnow/base/table.h"
#include "winnow/report/reference.h"

namespace winnow::cli {

/// A run beside published numbers, one line a number. Empty without tables.
std::string reference_text(const std::vector<report::ReferenceTable>& tables, TableFormat format);

}  // namespace winnow::cli
