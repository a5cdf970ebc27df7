// What is it like, which facts follow from that, and how many are there?

#include <algorithm>

#include "winnow/scenes/question_parts.h"
#include "winnow/scenes/words.h"

namespace winnow::scenes {
namespace {

int32_t place_in(const std::vector<std::string>& names, const std::string& name) {
  return static_cast<int32_t>(std::find(names.begin(), names.end(), name) - names.begin());
}

std::optional<Question> ask_color(const Asking& asking) {
  const auto form_of = [&](const Object& o) {
    return is_unique(asking.counts, o, Form::Shape) ? Form::Shape : Form::SizedShape;
  };
  const Object* object = draw_balanced(
      asking.scene, asking.rng, [&](const Object& o) { return is_unique(asking.counts, o, form_of(o)); },
      [](const Object& o) { return at(o.colour); });
  if (object == nullptr) return std::nullopt;
  // Now and then the size though it is not needed, so that a size does not mean "there are two of them".
  const Form form = chance(asking.rng, 0.15) ? Form::SizedShape : form_of(*object);
  const std::string_view head =
      asking.task == Task::VqaColor ? "What is the color of the " : "What color is the ";
  return made(asking, joined({head, phrase(*object, form), "?"}), std::string(name_of(object->colour)));
}

std::optional<Question> ask_shape(const Asking& asking) {
  const Object* object = draw_balanced(
      asking.scene, asking.rng, [&](const Object& o) { return is_unique(asking.counts, o, Form::Colour); },
      [](const Object& o) { return at(o.shape); });
  if (object == nullptr) return std::nullopt;
  const std::string_view head =
      asking.task == Task::VqaShape ? "What is the shape of the " : "What shape is the ";
  return made(asking, joined({head, phrase(*object, Form::Colour), "?"}),
              std::string(name_of(object->shape)));
}

std::optional<Question> ask_size(const Asking& asking) {
  const Object* object = draw_balanced(
      asking.scene, asking.rng, [&](const Object& o) { return is_unique(asking.counts, o, Form::Pair); },
      [](const Object& o) { return at(o.size); });
  if (object == nullptr) return std::nullopt;
  return made(asking, joined({"What size is the ", phrase(*object, Form::Pair), "?"}),
              std::string(name_of(object->size)));
}

/// What can be counted: the colours, the shapes, then everything.
constexpr int32_t kSubjects = kColours + kShapes + 1;

int32_t count_of(const Counts& counts, int32_t subject) {
  if (subject < kColours) return counts.colour[static_cast<std::size_t>(subject)];
  if (subject < kColours + kShapes) return counts.shape[static_cast<std::size_t>(subject - kColours)];
  return counts.n_objects;
}

std::string plural_subject(int32_t subject) {
  if (subject < kColours) return joined({name_of(static_cast<Colour>(subject)), " things"});
  if (subject < kColours + kShapes) return plural_of(static_cast<Shape>(subject - kColours));
  return "things";
}

}  // namespace

std::optional<Question> ask_attribute(const Asking& asking) {
  switch (asking.task) {
    case Task::GqaColor:
    case Task::VqaColor: return ask_color(asking);
    case Task::GqaShape:
    case Task::VqaShape: return ask_shape(asking);
    default: return ask_size(asking);
  }
}

std::optional<Question> ask_fact(const Asking& asking) {
  // The phrase never says what the fact hangs on: a family on the shape, a taste on the colour.
  const bool family = asking.task == Task::VqaFamily;
  const Form form = family ? Form::Colour : Form::Shape;
  const Object* object = draw_balanced(
      asking.scene, asking.rng, [&](const Object& o) { return is_unique(asking.counts, o, form); },
      [&](const Object& o) {
        return family ? place_in(families(), family_of(o.shape)) : place_in(tastes(), taste_of(o.colour));
      });
  if (object == nullptr) return std::nullopt;
  const std::string name = phrase(*object, form);
  if (family)
    return made(asking, joined({"Which family does the ", name, " belong to?"}), family_of(object->shape));
  return made(asking, joined({"What taste is the ", name, "?"}), taste_of(object->colour));
}

std::optional<Question> ask_count(const Asking& asking) {
  const Counts& counts = asking.counts;
  int32_t wanted = 0;
  if (!chance(asking.rng, 0.1)) {
    const auto drawn = draw_where(counts.n_objects, asking.rng, [&](int32_t i) {
      for (int32_t subject = 0; subject < kSubjects; ++subject) {
        if (count_of(counts, subject) == i + 1) return true;
      }
      return false;
    });
    if (!drawn) return std::nullopt;
    wanted = *drawn + 1;
  }
  const auto subject =
      draw_where(kSubjects, asking.rng, [&](int32_t i) { return count_of(counts, i) == wanted; });
  if (!subject) return std::nullopt;
  return made(asking, joined({"How many ", plural_subject(*subject), " are in the image?"}),
              std::to_string(wanted));
}

}  // namespace winnow::scenes
