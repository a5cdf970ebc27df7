#include "winnow/base/log.h"

#include <utility>

namespace winnow {
namespace {

LogSink& log_sink() {
  static LogSink the_sink;
  return the_sink;
}

}  // namespace

void set_log_sink(LogSink new_sink) { log_sink() = std::move(new_sink); }

void log_message(LogLevel level, std::string_view text) {
  if (log_sink()) log_sink()(level, text);
}

}  // namespace winnow
