#pragma once

#include <cstdint>
#include <vector>

namespace winnow::engine {

/// What one output of a linear interpolation reads along one axis: two neighbouring inputs, or twice the
/// same.
struct AxisTaps {
  int32_t low = 0;
  int32_t high = 0;
  float weight = 0.0F;  ///< of high; low has the rest
};

/// n_from values at the centres of equal cells, read at the centres of n_to cells of the same length; nothing
/// is averaged where there are fewer. Equal to torch.nn.functional.interpolate(mode="bilinear",
/// align_corners=False) of that size, along one of its axes. n_from > 0 unless n_to is 0.  [n_to]
std::vector<AxisTaps> bilinear_taps(int32_t n_from, int32_t n_to);

}  // namespace winnow::engine
