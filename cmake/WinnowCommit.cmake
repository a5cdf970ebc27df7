# Run at every build (cmake -DSOURCE=... -DOUTPUT=... -P): the sources' commit, written only when it changed.
execute_process(COMMAND git -C "${SOURCE}" describe --always --dirty --abbrev=12 --exclude=*
                OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE status)
if(NOT status EQUAL 0)
  set(commit unknown)
endif()
file(CONFIGURE OUTPUT "${OUTPUT}" CONTENT [[
#include "winnow/cli/commit.h"

namespace winnow::cli {
std::string source_commit() { return "@commit@"; }
}  // namespace winnow::cli
]] @ONLY)
