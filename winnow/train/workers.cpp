#include "winnow/train/workers.h"

#include <dlfcn.h>
#include <torch/torch.h>

namespace winnow::train {
namespace {

/// OpenBLAS, which Debian's LibTorch multiplies with, has threads of its own and no other handle than this.
void one_blas_thread() {
  using Setter = void (*)(int);
  if (auto set = reinterpret_cast<Setter>(::dlsym(RTLD_DEFAULT, "openblas_set_num_threads"))) set(1);
}

}  // namespace

Workers::Workers(int32_t n) {
  one_blas_thread();
  for (int32_t worker = 0; worker < n; ++worker) threads_.emplace_back([this, worker] { loop(worker); });
}

Workers::~Workers() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  start_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Workers::run(const std::function<void(int32_t)>& work) {
  std::unique_lock lock(mutex_);
  work_ = &work;
  running_ = n();
  failure_ = nullptr;
  ++round_;
  start_.notify_all();
  done_.wait(lock, [this] { return running_ == 0; });
  if (failure_) std::rethrow_exception(failure_);
}

void Workers::loop(int32_t worker) {
  at::set_num_threads(1);
  int64_t seen = 0;
  for (;;) {
    const std::function<void(int32_t)>* work = nullptr;
    {
      std::unique_lock lock(mutex_);
      start_.wait(lock, [&] { return stop_ || round_ != seen; });
      if (stop_) return;
      seen = round_;
      work = work_;
    }
    std::exception_ptr failure;
    try {
      (*work)(worker);
    } catch (...) {
      failure = std::current_exception();
    }
    const std::lock_guard lock(mutex_);
    if (failure && !failure_) failure_ = failure;
    if (--running_ == 0) done_.notify_all();
  }
}

}  // namespace winnow::train
