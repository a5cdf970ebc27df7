#pragma once

#include <cstdint>
#include <vector>

namespace winnow {

/// Small deterministic generator (SplitMix64, Steele et al. 2014): the same numbers for a seed on every
/// machine and compiler, which std:: distributions do not promise. Not for cryptography.
class Rng {
 public:
  explicit Rng(uint64_t seed) : state_(seed) {}
  /// Independent stream `stream` of a seed (one per image, per worker ...).
  Rng(uint64_t seed, uint64_t stream);

  uint64_t next();
  /// Uniform in [0, n), without modulo bias. n > 0.
  uint64_t below(uint64_t n);
  /// Uniform in [0, 1), 53 bits.
  double uniform();
  /// Standard normal (Box-Muller).
  double normal();
  /// k distinct values of [0, n), ascending. 0 <= k <= n.
  std::vector<int32_t> sample(int32_t n, int32_t k);

 private:
  uint64_t state_;
};

}  // namespace winnow
