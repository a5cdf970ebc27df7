#include "winnow/base/progress.h"

#include <chrono>
#include <utility>

namespace winnow {
namespace {

ProgressSink& progress_sink() {
  static ProgressSink the_sink;
  return the_sink;
}

double now_s() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

void set_progress_sink(ProgressSink new_sink) { progress_sink() = std::move(new_sink); }

Progress::Progress(std::string_view what, int64_t total, int64_t already)
    : what_(what), total_(total), already_(already), done_(already), start_s_(now_s()), last_s_(start_s_) {}

void Progress::step(int64_t n) {
  done_ += n;
  if (!progress_sink()) return;
  const double now = now_s();
  if (done_ < total_ && now - last_s_ < 0.1) return;
  last_s_ = now;
  const int64_t mine = done_ - already_;
  const double left =
      mine > 0 ? (now - start_s_) * static_cast<double>(total_ - done_) / static_cast<double>(mine) : -1.0;
  progress_sink()({what_, done_, total_, left});
}

}  // namespace winnow
