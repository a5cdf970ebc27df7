#include "winnow/scenes/mask.h"

#include <algorithm>
#include <cmath>

#include "winnow/scenes/direction.h"

namespace winnow::scenes {
namespace {

constexpr double kReach = 1.2;  // no shape of radius 1 goes further from its centre

double squared(double value) { return value * value; }

// A pentagram is where at least four of its five lines have the point on their inner side.
bool in_star(double u, double v) {
  constexpr double kLine = 0.34;  // distance of a line from the centre: tips at 1.1, dents at 0.42
  constexpr double kNormals[5][2] = {{0.0, 1.0},
                                     {-0.9510565163, 0.3090169944},
                                     {-0.5877852523, -0.8090169944},
                                     {0.5877852523, -0.8090169944},
                                     {0.9510565163, 0.3090169944}};
  int32_t n_inner = 0;
  for (const auto& normal : kNormals) n_inner += u * normal[0] + v * normal[1] <= kLine ? 1 : 0;
  return n_inner >= 4;
}

bool in_heart(double u, double v) {  // (x^2 + y^2 - 1)^3 <= x^2 y^3
  const double x = 1.15 * u;
  const double y = 0.12 - 1.12 * v;
  const double d = x * x + y * y - 1.0;
  return d * d * d <= x * x * y * y * y;
}

// (u, v): from the centre in units of the radius, v down, the object's rotation undone.
inline bool is_inside(Shape shape, double u, double v) {
  const double au = std::abs(u);
  const double av = std::abs(v);
  switch (shape) {
    case Shape::Circle: return u * u + v * v <= squared(0.95);
    case Shape::Square: return std::max(au, av) <= 0.82;
    case Shape::Triangle: return v <= 0.75 && au <= 0.53 * (v + 1.0);
    case Shape::Diamond: return au / 0.66 + av / 1.08 <= 1.0;  // slim, or a turned square would be one
    case Shape::Star: return in_star(u, v);
    case Shape::Cross: return std::max(au, av) <= 1.0 && std::min(au, av) <= 0.3;
    case Shape::Ring: return u * u + v * v <= 1.0 && u * u + v * v >= squared(0.58);
    case Shape::Moon: return u * u + v * v <= 1.0 && squared(u - 0.5) + v * v >= squared(0.85);
    case Shape::Heart: return in_heart(u, v);
    case Shape::Arrow: return u <= 0.1 ? u >= -1.0 && av <= 0.24 : av <= 0.9 * (1.0 - u);
  }
  return false;
}

// Counts the samples of every pixel that lie inside; one function a shape, so that the inner loop has no
// branch on it.
template <Shape shape>
void cover(const Object& object, Mask& mask) {
  const Direction turn = direction_of(object.angle);
  const double c = turn.x / object.radius;
  const double s = turn.y / object.radius;
  uint8_t* coverage = mask.coverage.data();  // [height, width]
  for (int32_t y = 0; y < mask.height; ++y) {
    for (int32_t x = 0; x < mask.width; ++x, ++coverage) {
      int32_t n_inside = 0;
      for (int32_t sample = 0; sample < kFullCoverage; ++sample) {
        const double dx = mask.x0 + x + 0.25 + 0.5 * (sample & 1) - object.x;
        const double dy = mask.y0 + y + 0.25 + 0.5 * (sample >> 1) - object.y;
        n_inside += is_inside(shape, c * dx + s * dy, c * dy - s * dx) ? 1 : 0;
      }
      *coverage = static_cast<uint8_t>(n_inside);
    }
  }
}

using Cover = void (*)(const Object& object, Mask& mask);
constexpr std::array<Cover, kShapes> kCovers = {
    cover<Shape::Circle>, cover<Shape::Square>, cover<Shape::Triangle>, cover<Shape::Diamond>,
    cover<Shape::Star>,   cover<Shape::Cross>,  cover<Shape::Ring>,     cover<Shape::Moon>,
    cover<Shape::Heart>,  cover<Shape::Arrow>};

}  // namespace

Box Mask::box() const {
  int32_t left = width, right = 0, top = height, bottom = 0;
  for (int32_t y = 0; y < height; ++y) {
    for (int32_t x = 0; x < width; ++x) {
      if (coverage[static_cast<std::size_t>(y * width + x)] == 0) continue;
      left = std::min(left, x);
      right = std::max(right, x + 1);
      top = std::min(top, y);
      bottom = y + 1;
    }
  }
  if (right == 0) return {};
  return {static_cast<float>(x0 + left), static_cast<float>(y0 + top), static_cast<float>(x0 + right),
          static_cast<float>(y0 + bottom)};
}

Mask mask_of(const Object& object) {
  const auto clipped = [](double value) {
    return static_cast<int32_t>(std::clamp<double>(value, 0.0, kSide));
  };
  const double reach = kReach * object.radius;
  Mask mask;
  mask.x0 = clipped(std::floor(object.x - reach));
  mask.y0 = clipped(std::floor(object.y - reach));
  mask.width = clipped(std::ceil(object.x + reach)) - mask.x0;
  mask.height = clipped(std::ceil(object.y + reach)) - mask.y0;
  mask.coverage.resize(static_cast<std::size_t>(mask.width * mask.height));
  kCovers.at(static_cast<std::size_t>(object.shape))(object, mask);
  return mask;
}

}  // namespace winnow::scenes
