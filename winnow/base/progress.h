#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace winnow {

/// One report of a long job: what it does, how far it is, how long it still takes (negative: unknown).
struct ProgressReport {
  std::string_view what;
  int64_t done = 0;
  int64_t total = 0;
  double seconds_left = -1.0;
};

/// Receives reports; the libraries call it at most about ten times a second. Default: dropped.
using ProgressSink = std::function<void(const ProgressReport&)>;
void set_progress_sink(ProgressSink sink);

/// Counts the steps of one long job and reports them. The last report (done == total) always goes out.
class Progress {
 public:
  /// already: steps that an earlier run did; they count as done but not for the time left.
  Progress(std::string_view what, int64_t total, int64_t already = 0);
  void step(int64_t n = 1);

 private:
  std::string what_;  // a copy: the name is often a temporary
  int64_t total_ = 0;
  int64_t already_ = 0;
  int64_t done_ = 0;
  double start_s_ = 0.0;
  double last_s_ = 0.0;
};

}  // namespace winnow
