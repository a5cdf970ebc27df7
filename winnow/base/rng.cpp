#include "winnow/base/rng.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "winnow/base/error.h"

namespace winnow {

Rng::Rng(uint64_t seed, uint64_t stream) : state_(seed) {
  state_ = next() ^ (stream * 0x9e3779b97f4a7c15ULL);
}

uint64_t Rng::next() {
  state_ += 0x9e3779b97f4a7c15ULL;
  uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

uint64_t Rng::below(uint64_t n) {
  WINNOW_ASSERT(n > 0);
  const uint64_t limit = ~uint64_t{0} - (~uint64_t{0} % n + 1) % n;
  uint64_t x = next();
  while (x > limit) x = next();
  return x % n;
}

double Rng::uniform() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

double Rng::normal() {
  const double u = 1.0 - uniform();
  const double v = uniform();
  return std::sqrt(-2.0 * std::log(u)) * std::cos(2.0 * std::numbers::pi * v);
}

std::vector<int32_t> Rng::sample(int32_t n, int32_t k) {
  WINNOW_ASSERT(k >= 0 && k <= n);
  std::vector<int32_t> items(static_cast<std::size_t>(n));
  std::iota(items.begin(), items.end(), 0);
  for (int32_t i = 0; i < k; ++i) {
    std::swap(items[i], items[i + static_cast<int32_t>(below(static_cast<uint64_t>(n - i)))]);
  }
  items.resize(static_cast<std::size_t>(k));
  std::sort(items.begin(), items.end());
  return items;
}

}  // namespace winnow
