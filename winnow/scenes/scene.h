#pragma once

// The procedural world: what one picture holds. A scene is plain data; render.h draws it and question.h asks
// about it, so that every answer is true by construction.

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "winnow/base/rng.h"

namespace winnow::scenes {

constexpr int32_t kSide = 96;  ///< pictures are kSide x kSide pixels

enum class Shape : uint8_t { Circle, Square, Triangle, Diamond, Star, Cross, Ring, Moon, Heart, Arrow };
enum class Colour : uint8_t { Red, Green, Blue, Yellow, Orange, Purple, Cyan, White };
enum class Size : uint8_t { Small, Medium, Large };
constexpr int32_t kShapes = 10;
constexpr int32_t kColours = 8;
constexpr int32_t kSizes = 3;

using Rgb = std::array<uint8_t, 3>;

/// Pixels, x to the right and y down; [x0, x1) x [y0, y1).
struct Box {
  float x0 = 0.0F, y0 = 0.0F, x1 = 0.0F, y1 = 0.0F;
  float cx() const { return 0.5F * (x0 + x1); }
  float cy() const { return 0.5F * (y0 + y1); }
};

struct Object {
  Shape shape = Shape::Circle;
  Colour colour = Colour::Red;
  Size size = Size::Small;
  float x = 0.0F, y = 0.0F;  ///< centre, pixels
  float radius = 0.0F;       ///< pixels
  float angle = 0.0F;        ///< radians
  Rgb rgb{};                 ///< the colour with its jitter
  Box box;                   ///< tight around what is drawn
};

struct Glyph {
  char letter = 'A';  ///< A-Z or 0-9
  Box box;            ///< of its 5 x 7 cell, without the gap to the next one
};

/// One printed word (A-Z) or number (digits), on one line.
struct Text {
  std::string content;
  bool is_number = false;
  Colour colour = Colour::White;
  Rgb rgb{};
  float scale = 1.0F;  ///< pixels per font pixel
  Box box;
  std::vector<Glyph> glyphs;
};

enum class Backdrop : uint8_t { Plain, Gradient, Checker, Stripes, Noise };

struct Scene {
  uint64_t seed = 0;  ///< of the drawing's own randomness (noise, clutter)
  Backdrop backdrop = Backdrop::Plain;
  Rgb dark{}, light{};  ///< the backdrop's two colours
  float phase = 0.0F, period = 8.0F, direction = 0.0F;
  int32_t n_clutter = 0;  ///< grey lines and dots, never over objects or texts
  std::vector<Object> objects;
  std::vector<Text> texts;
};

/// How hard pictures are. The default is the world that the built-in model is trained on.
struct Difficulty {
  int32_t max_objects = 7;
  int32_t max_clutter = 8;
  float min_radius = 4.5F;      ///< of small objects, pixels
  float min_text_scale = 1.5F;  ///< pixels per font pixel
  float contrast = 1.0F;        ///< 1: as trained; below 1: objects and texts fade into the backdrop
};

/// "easy", "default", "hard". Throws InvalidArgument.
Difficulty parse_difficulty(const std::string& name);

/// Training, validation and test pictures come from disjoint families of random streams.
enum class Split : uint8_t { Train, Validation, Test };
/// "train", "val", "test". Throws InvalidArgument.
Split parse_split(const std::string& name);

/// The generator of picture `index` of a split. Equal arguments give equal numbers on every machine; the
/// split is mixed into the state, so no two splits share a stream.
Rng scene_rng(Split split, uint64_t seed, uint64_t index);

/// Draws the content of one picture.
Scene make_scene(const Difficulty& difficulty, Rng& rng);

}  // namespace winnow::scenes
