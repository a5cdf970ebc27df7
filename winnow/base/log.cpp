#include "winnow/base/log.h"

#include <utility>

namespace winnow {
namespace {

LogSink& sink() {
  static LogSink the_sink;
  return the_sink;
}

}  // namespace

void set_log_sink(LogSink new_sink) { sink() = std::move(new_sink); }

void log_message(LogLevel level, std::string_view text) {
  if (sink()) sink()(level, text);
}

}  // namespace winnow
