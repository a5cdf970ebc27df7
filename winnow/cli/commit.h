#pragma once

#include <string>

namespace winnow::cli {

/// Commit of the sources that this program was built from, with "-dirty" for changed ones; "unknown" outside
/// a git checkout.
std::string source_commit();

}  // namespace winnow::cli
