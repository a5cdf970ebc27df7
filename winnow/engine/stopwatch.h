#pragma once

#include <chrono>

namespace winnow::engine {

/// Milliseconds since construction or the last lap, by the steady clock.
class Stopwatch {
 public:
  double ms() const { return std::chrono::duration<double, std::milli>(Clock::now() - start_).count(); }
  /// Milliseconds since the last lap; starts the next one.
  double lap() {
    const double elapsed = ms();
    start_ = Clock::now();
    return elapsed;
  }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point start_ = Clock::now();
};

}  // namespace winnow::engine
