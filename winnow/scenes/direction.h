#pragma once

namespace winnow::scenes {

/// A unit vector.
struct Direction {
  double x = 1.0, y = 0.0;
};

/// (cos, sin) of an angle in radians, to 1e-8. Sums and products only: libm's last bit differs between
/// machines, and one bit may decide a pixel.
Direction direction_of(double angle);

}  // namespace winnow::scenes
