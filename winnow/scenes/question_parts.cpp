#include "winnow/scenes/question_parts.h"

#include <cmath>

#include "winnow/scenes/words.h"

namespace winnow::scenes {
namespace {

constexpr double kApartPx = 8.0;  // below that, "left of" would be a matter of taste

std::size_t sized(Size size, std::size_t of, int32_t n) {
  return at(size) * static_cast<std::size_t>(n) + of;
}

std::size_t pair_at(const Object& object) {
  return static_cast<std::size_t>(pair_idx(object.colour, object.shape));
}

}  // namespace

Counts::Counts(const Scene& scene) : n_objects(static_cast<int32_t>(scene.objects.size())) {
  for (const Object& object : scene.objects) {
    ++colour[at(object.colour)];
    ++shape[at(object.shape)];
    ++pair[pair_at(object)];
    ++sized_shape[sized(object.size, at(object.shape), kShapes)];
    ++sized_pair[sized(object.size, pair_at(object), kPairs)];
  }
}

bool Counts::is_mix(int32_t pair_index) const {
  const Pair p = pair_of(pair_index);
  return !has(pair_index) && colour[at(p.colour)] > 0 && shape[at(p.shape)] > 0;
}

std::string phrase(const Object& object, Form form) {
  const std::string_view size = name_of(object.size), colour = name_of(object.colour),
                         shape = name_of(object.shape);
  switch (form) {
    case Form::Shape: return std::string(shape);
    case Form::Colour: return joined({colour, " thing"});
    case Form::Pair: return joined({colour, " ", shape});
    case Form::SizedShape: return joined({size, " ", shape});
    case Form::SizedPair: return joined({size, " ", colour, " ", shape});
  }
  return {};
}

bool is_unique(const Counts& counts, const Object& object, Form form) {
  switch (form) {
    case Form::Shape: return counts.shape[at(object.shape)] == 1;
    case Form::Colour: return counts.colour[at(object.colour)] == 1;
    case Form::Pair: return counts.pair[pair_at(object)] == 1;
    case Form::SizedShape: return counts.sized_shape[sized(object.size, at(object.shape), kShapes)] == 1;
    case Form::SizedPair: return counts.sized_pair[sized(object.size, pair_at(object), kPairs)] == 1;
  }
  return false;
}

std::optional<Form> short_form(const Counts& counts, const Object& object, Rng& rng) {
  const bool shape = is_unique(counts, object, Form::Shape);
  const bool colour = is_unique(counts, object, Form::Colour);
  if (shape && colour) return chance(rng, 0.6) ? Form::Shape : Form::Colour;
  if (shape) return Form::Shape;
  if (colour) return Form::Colour;
  if (is_unique(counts, object, Form::Pair)) return Form::Pair;
  return std::nullopt;
}

Question made(const Asking& asking, std::string text, std::string answer) {
  Question question;
  question.task = asking.task;
  question.text = std::move(text);
  question.answer = std::move(answer);
  return question;
}

std::string joined(std::initializer_list<std::string_view> parts) {
  std::size_t n = 0;
  for (const std::string_view part : parts) n += part.size();
  std::string text;
  text.reserve(n);
  for (const std::string_view part : parts) text += part;
  return text;
}

std::string with_article(std::string_view noun) {
  const bool vowel =
      !noun.empty() && std::string_view("aeiouAEIOU").find(noun.front()) != std::string_view::npos;
  return joined({vowel ? "an " : "a ", noun});
}

std::string name_of(Pair pair) { return joined({name_of(pair.colour), " ", name_of(pair.shape)}); }

std::string plural_of(Shape shape) {
  const std::string_view name = name_of(shape);
  return joined({name, name.back() == 's' ? "es" : "s"});
}

bool chance(Rng& rng, double probability) { return rng.uniform() < probability; }

std::optional<int32_t> draw_absent(const Counts& counts, bool near, Rng& rng) {
  if (near) {
    if (const auto mix = draw_where(kPairs, rng, [&](int32_t i) { return counts.is_mix(i); })) return mix;
  }
  return draw_where(kPairs, rng, [&](int32_t i) { return !counts.has(i); });
}

const Text* only_text(const Scene& scene, bool number) {
  const Text* found = nullptr;
  for (const Text& text : scene.texts) {
    if (text.is_number != number) continue;
    if (found != nullptr) return nullptr;
    found = &text;
  }
  return found;
}

std::optional<int32_t> sum_of_digits(const Scene& scene) {
  int32_t sum = 0, n_numbers = 0;
  for (const Text& text : scene.texts) {
    if (!text.is_number) continue;
    if (text.content.size() != 1) return std::nullopt;
    sum += text.content[0] - '0';
    ++n_numbers;
  }
  return n_numbers == 2 ? std::optional(sum) : std::nullopt;
}

std::string_view relation_word(bool vertical, bool before) {
  return vertical ? (before ? "above" : "below") : (before ? "left of" : "right of");
}

std::optional<Relation> draw_relation(const Asking& asking, bool pairs_preferred) {
  const auto& objects = asking.scene.objects;
  const auto n = static_cast<int32_t>(objects.size());
  const auto gap = [&](int32_t i) {  // i: (first, second, axis)
    const Box& a = objects[static_cast<std::size_t>(i / (2 * n))].box;
    const Box& b = objects[static_cast<std::size_t>(i / 2 % n)].box;
    return i % 2 == 0 ? b.cx() - a.cx() : b.cy() - a.cy();
  };
  const auto named = [&](int32_t i) {
    const Object& object = objects[static_cast<std::size_t>(i)];
    return is_unique(asking.counts, object,
                     Form::Pair);  // true as well where the shape or the colour is unique
  };
  const auto drawn = draw_where(2 * n * n, asking.rng, [&](int32_t i) {
    return i / (2 * n) != i / 2 % n && std::abs(gap(i)) >= kApartPx && named(i / (2 * n)) && named(i / 2 % n);
  });
  if (!drawn) return std::nullopt;
  const auto name = [&](int32_t i) {
    const Object& object = objects[static_cast<std::size_t>(i)];
    const bool pair = pairs_preferred && chance(asking.rng, 0.7);
    return phrase(object, pair ? Form::Pair : *short_form(asking.counts, object, asking.rng));
  };
  Relation relation;
  relation.first = name(*drawn / (2 * n));
  relation.second = name(*drawn / 2 % n);
  relation.vertical = *drawn % 2 == 1;
  relation.before = gap(*drawn) > 0.0F;
  return relation;
}

}  // namespace winnow::scenes
