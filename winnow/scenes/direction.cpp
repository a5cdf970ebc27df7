#include "winnow/scenes/direction.h"

#include <cmath>
#include <numbers>

namespace winnow::scenes {

Direction direction_of(double angle) {
  const double quarters = std::floor(angle / (0.5 * std::numbers::pi) + 0.5);
  const double a = angle - quarters * (0.5 * std::numbers::pi);  // [-pi/4, pi/4]
  const double a2 = a * a;
  const double s = a * (1.0 - a2 / 6.0 * (1.0 - a2 / 20.0 * (1.0 - a2 / 42.0 * (1.0 - a2 / 72.0))));
  const double c =
      1.0 - a2 / 2.0 * (1.0 - a2 / 12.0 * (1.0 - a2 / 30.0 * (1.0 - a2 / 56.0 * (1.0 - a2 / 90.0))));
  switch (static_cast<int>(quarters - 4.0 * std::floor(quarters / 4.0))) {
    case 0: return {c, s};
    case 1: return {-s, c};
    case 2: return {-c, -s};
    default: return {s, -c};
  }
}

}  // namespace winnow::scenes
