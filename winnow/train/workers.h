#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace winnow::train {

/// A fixed set of threads that all run one function and are waited for: one model replica each. LibTorch's
/// own threads are kept to one per worker, because small tensors gain nothing from more.
class Workers {
 public:
  explicit Workers(int32_t n);
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  int32_t n() const { return static_cast<int32_t>(threads_.size()); }
  /// Calls work(worker) on every thread and returns when all are done; rethrows the first failure.
  void run(const std::function<void(int32_t)>& work);

 private:
  void loop(int32_t worker);

  std::mutex mutex_;
  std::condition_variable start_, done_;
  const std::function<void(int32_t)>* work_ = nullptr;
  int64_t round_ = 0;
  int32_t running_ = 0;
  bool stop_ = false;
  std::exception_ptr failure_;
  std::vector<std::thread> threads_;
};

}  // namespace winnow::train
