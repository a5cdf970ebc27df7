#pragma once

// What the kinds of questions share: counts of a scene, phrases that name one object, draws. Private to this
// room.

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "winnow/base/rng.h"
#include "winnow/scenes/question.h"
#include "winnow/scenes/scene.h"

namespace winnow::scenes {

constexpr int32_t kPairs = kColours * kShapes;

template <class Enum>
constexpr std::size_t at(Enum value) {
  return static_cast<std::size_t>(value);
}

/// A colour with a shape; as an index colour * kShapes + shape.
struct Pair {
  Colour colour = Colour::Red;
  Shape shape = Shape::Circle;
};
constexpr int32_t pair_idx(Colour colour, Shape shape) {
  return static_cast<int32_t>(colour) * kShapes + static_cast<int32_t>(shape);
}
constexpr Pair pair_of(int32_t idx) {
  return {static_cast<Colour>(idx / kShapes), static_cast<Shape>(idx % kShapes)};
}

/// How many objects of each kind a scene has; what is unique can be named.
struct Counts {
  explicit Counts(const Scene& scene);

  int32_t n_objects = 0;
  std::array<uint16_t, kColours> colour{};
  std::array<uint16_t, kShapes> shape{};
  std::array<uint16_t, kPairs> pair{};
  std::array<uint16_t, std::size_t{kSizes} * kShapes> sized_shape{};
  std::array<uint16_t, std::size_t{kSizes} * kPairs> sized_pair{};

  bool has(int32_t pair_index) const { return pair[static_cast<std::size_t>(pair_index)] > 0; }
  /// Absent, although its colour and its shape are both somewhere.
  bool is_mix(int32_t pair_index) const;
};

/// "star", "red thing", "red star", "small star", "small red star".
enum class Form : uint8_t { Shape, Colour, Pair, SizedShape, SizedPair };
constexpr int32_t kForms = 5;
std::string phrase(const Object& object, Form form);
bool is_unique(const Counts& counts, const Object& object, Form form);
/// Only the shape or only the colour where that is enough, else both; nothing if even both fit several
/// objects.
std::optional<Form> short_form(const Counts& counts, const Object& object, Rng& rng);

/// What an asker gets.
struct Asking {
  const Scene& scene;
  const Counts& counts;
  Task task;
  Rng& rng;
};
using Asker = std::optional<Question> (*)(const Asking& asking);

Question made(const Asking& asking, std::string text, std::string answer);
std::string joined(std::initializer_list<std::string_view> parts);
/// "a star", "an arrow".
std::string with_article(std::string_view noun);
std::string name_of(Pair pair);
/// "[0.12, 0.34, 0.56, 0.78]": x0 y0 x1 y1 as fractions of the side, in steps of 0.02.
std::string box_text(const Box& box);
/// "circles", "crosses".
std::string plural_of(Shape shape);

bool chance(Rng& rng, double probability);
inline int32_t below(Rng& rng, int32_t n) {
  return static_cast<int32_t>(rng.below(static_cast<uint64_t>(n)));
}

/// One of the indices of [0, n) that fit, all equally likely.
template <class Fits>
std::optional<int32_t> draw_where(int32_t n, Rng& rng, const Fits& fits) {
  int32_t n_fit = 0;
  for (int32_t i = 0; i < n; ++i) n_fit += fits(i) ? 1 : 0;
  if (n_fit == 0) return std::nullopt;
  int32_t wanted = below(rng, n_fit);
  for (int32_t i = 0; i < n; ++i) {
    if (fits(i) && wanted-- == 0) return i;
  }
  return std::nullopt;
}

/// An object that fits; first one of the offered answers is drawn, so that a frequent one is not asked more
/// often. `answer` gives a number of [0, 32).
template <class Fits, class Answer>
const Object* draw_balanced(const Scene& scene, Rng& rng, const Fits& fits, const Answer& answer) {
  const auto n = static_cast<int32_t>(scene.objects.size());
  const auto object = [&](int32_t i) -> const Object& { return scene.objects[static_cast<std::size_t>(i)]; };
  uint32_t offered = 0;
  for (int32_t i = 0; i < n; ++i) {
    if (fits(object(i))) offered |= 1U << answer(object(i));
  }
  const auto wanted = draw_where(32, rng, [&](int32_t bit) { return (offered >> bit & 1U) != 0; });
  if (!wanted) return nullptr;
  const auto idx = draw_where(n, rng, [&](int32_t i) {
    return fits(object(i)) && static_cast<int32_t>(answer(object(i))) == *wanted;
  });
  return idx ? &object(*idx) : nullptr;
}

/// A pair that no object has; with `near` one whose colour and shape are both there, if the scene offers one.
std::optional<int32_t> draw_absent(const Counts& counts, bool near, Rng& rng);

/// The scene's only word (or number), or null if there is none or more than one.
const Text* only_text(const Scene& scene, bool number);
/// Sum of the two numbers of a scene that has exactly two, both of one digit.
std::optional<int32_t> sum_of_digits(const Scene& scene);

/// Two objects that can be named and lie apart along one axis.
struct Relation {
  std::string first, second;  ///< phrases
  bool vertical = false;
  bool before = false;  ///< the first is left of, or above, the second
};
/// `pairs_preferred`: "red star" even where "star" is enough.
std::optional<Relation> draw_relation(const Asking& asking, bool pairs_preferred);
/// "left of", "right of", "above", "below".
std::string_view relation_word(bool vertical, bool before);

/// The kinds, one file each.
std::optional<Question> ask_exist(const Asking& asking);
std::optional<Question> ask_attribute(const Asking& asking);
std::optional<Question> ask_fact(const Asking& asking);
std::optional<Question> ask_count(const Asking& asking);
std::optional<Question> ask_choice(const Asking& asking);
std::optional<Question> ask_knowledge(const Asking& asking);
std::optional<Question> ask_read(const Asking& asking);
std::optional<Question> ask_unanswerable(const Asking& asking);
std::optional<Question> ask_relation(const Asking& asking);
std::optional<Question> ask_extreme(const Asking& asking);
std::optional<Question> ask_ground(const Asking& asking);
std::optional<Question> ask_region(const Asking& asking);
std::optional<std::array<Question, 2>> ask_mme(const Asking& asking);

}  // namespace winnow::scenes
