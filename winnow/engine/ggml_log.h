#pragma once

#include <string>

namespace winnow::engine {

/// Sends ggml's and libllama's messages to Winnow's log instead of stderr. Idempotent, thread-safe.
void capture_ggml_log();
/// Last error text that ggml or libllama logged on this thread since clear_last_ggml_error(); "no detail" if
/// none.
std::string last_ggml_error();
void clear_last_ggml_error();

}  // namespace winnow::engine
