#pragma once

#include <cstdint>
#include <functional>
#include <vector>

namespace winnow::prune {

/// A symmetric function of pairs of n things, such as a distance: stored where that takes little memory, else
/// asked for again each time. Between a thing and itself it is 0.
class Pairwise {
 public:
  using Function = std::function<double(int64_t i, int64_t j)>;

  Pairwise(int64_t n, Function function);
  double operator()(int64_t i, int64_t j) const;
  int64_t n() const { return n_; }

 private:
  int64_t n_;
  Function function_;
  std::vector<double> stored_;  // [n * n], or empty
};

}  // namespace winnow::prune
