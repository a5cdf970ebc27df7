#include "winnow/cli/console.h"

#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <string>

#include "winnow/base/log.h"
#include "winnow/base/progress.h"

namespace winnow::cli {
namespace {

std::string time_left(double seconds) {
  if (seconds < 0.0) return "";
  const auto s = std::llround(seconds);
  return s >= 60 ? fmt::format(", {}:{:02} left", s / 60, s % 60) : fmt::format(", {} s left", s);
}

/// Jobs that end within a second are not worth a line.
class Bar {
 public:
  void show(const ProgressReport& r) {
    const bool last = r.done >= r.total;
    if (r.what != what_) {
      what_ = r.what;
      tenth_ = 0;
      shown_ = false;
    }
    const bool terminal = ::isatty(STDERR_FILENO) != 0;
    const auto percent = static_cast<int>(r.total > 0 ? 100 * r.done / r.total : 100);
    if (!shown_ && (last || r.seconds_left < 1.0)) return;
    if (!terminal && !last && percent / 10 <= tenth_) return;
    tenth_ = percent / 10;
    shown_ = true;
    fmt::print(stderr, "{}{}: {} %{}{}", terminal ? "\r\033[K" : "", r.what, percent,
               last ? "" : time_left(r.seconds_left), terminal && !last ? "" : "\n");
    std::fflush(stderr);
  }

 private:
  std::string what_;
  int tenth_ = 0;
  bool shown_ = false;
};

}  // namespace

void connect_console(bool verbose, bool quiet) {
  if (!quiet) {
    set_progress_sink([bar = Bar()](const ProgressReport& report) mutable { bar.show(report); });
  }
  set_log_sink([verbose, quiet](LogLevel level, std::string_view text) {
    if (level == LogLevel::Debug || quiet || (level == LogLevel::Info && !verbose)) return;
    fmt::print(stderr, "winnow: {}{}\n", level == LogLevel::Warning ? "warning: " : "", text);
  });
}

}  // namespace winnow::cli
