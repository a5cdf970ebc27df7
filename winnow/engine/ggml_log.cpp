#include "winnow/engine/ggml_log.h"

#include <ggml.h>
#include <llama.h>

#include <mutex>
#include <string_view>

#include "winnow/base/log.h"

namespace winnow::engine {
namespace {

thread_local std::string last_error;

void receive(ggml_log_level level, const char* text, void*) {
  std::string_view line(text);
  while (!line.empty() && (line.back() == '\n' || line.back() == ' ')) line.remove_suffix(1);
  if (line.empty()) return;
  if (level == GGML_LOG_LEVEL_ERROR) last_error = line;
  log_message(
      level == GGML_LOG_LEVEL_ERROR || level == GGML_LOG_LEVEL_WARN ? LogLevel::Info : LogLevel::Debug, line);
}

}  // namespace

void capture_ggml_log() {
  static std::once_flag once;
  std::call_once(once, [] {
    ggml_log_set(receive, nullptr);
    llama_log_set(receive, nullptr);
  });
}

std::string last_ggml_error() { return last_error.empty() ? "no detail" : last_error; }
void clear_last_ggml_error() { last_error.clear(); }

}  // namespace winnow::engine
