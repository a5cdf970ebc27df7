#include "winnow/engine/projector/bilinear.h"

#include <algorithm>

namespace winnow::engine {

std::vector<AxisTaps> bilinear_taps(int32_t n_from, int32_t n_to) {
  std::vector<AxisTaps> taps;
  const float scale = static_cast<float>(n_from) / static_cast<float>(std::max(n_to, 1));
  for (int32_t i = 0; i < n_to; ++i) {
    const float at = std::max(0.0F, scale * (static_cast<float>(i) + 0.5F) - 0.5F);
    const int32_t low = std::min(static_cast<int32_t>(at), n_from - 1);
    taps.push_back({low, std::min(low + 1, n_from - 1), at - static_cast<float>(low)});
  }
  return taps;
}

}  // namespace winnow::engine
