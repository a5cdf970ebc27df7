#pragma once

#include <fmt/format.h>

#include <functional>
#include <string>
#include <string_view>

namespace winnow {

enum class LogLevel { Debug, Info, Warning };

/// Receives every message of the libraries. Default: messages are dropped. Set once, before other threads
/// start.
using LogSink = std::function<void(LogLevel, std::string_view)>;
void set_log_sink(LogSink sink);

void log_message(LogLevel level, std::string_view text);

template <class... Args>
void log(LogLevel level, fmt::format_string<Args...> text, Args&&... args) {
  log_message(level, fmt::format(text, std::forward<Args>(args)...));
}

}  // namespace winnow
