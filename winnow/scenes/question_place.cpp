// Where is it: relations, extremes, boxes and points.

#include <algorithm>
#include <cmath>

#include "winnow/scenes/question_parts.h"
#include "winnow/scenes/words.h"

namespace winnow::scenes {
namespace {

constexpr float kExtremePx = 4.0F;  // by which the winner must lead
constexpr float kEmptyPx = 4.0F;    // how far "nothing" is from everything
constexpr float kBins = 50.0F;      // coordinates are written in steps of 0.02

int32_t bin_of(float px) {
  const float bin = std::floor(px * kBins / static_cast<float>(kSide) + 0.5F);
  return static_cast<int32_t>(std::clamp(bin, 0.0F, kBins));
}

float px_of(int32_t bin) { return static_cast<float>(bin) * static_cast<float>(kSide) / kBins; }

/// "0.28"
std::string coordinate(int32_t bin) {
  const int32_t hundredths = 2 * bin;
  std::string text = "0.00";
  text[0] = static_cast<char>('0' + hundredths / 100);
  text[2] = static_cast<char>('0' + hundredths / 10 % 10);
  text[3] = static_cast<char>('0' + hundredths % 10);
  return text;
}

std::string point_text(int32_t x_bin, int32_t y_bin) {
  return joined({"[", coordinate(x_bin), ", ", coordinate(y_bin), "]"});
}

/// Distance in the direction that is farther away; 0 inside.
float distance(const Box& box, float x, float y) {
  return std::max({box.x0 - x, x - box.x1, box.y0 - y, y - box.y1, 0.0F});
}

/// How many objects and texts lie within `margin` pixels of a point.
int32_t count_near(const Scene& scene, float x, float y, float margin) {
  int32_t n = 0;
  for (const Object& object : scene.objects) n += distance(object.box, x, y) < margin ? 1 : 0;
  for (const Text& text : scene.texts) n += distance(text.box, x, y) < margin ? 1 : 0;
  return n;
}

std::optional<Question> region_at(const Asking& asking, float x, float y, std::string answer) {
  const int32_t x_bin = bin_of(x), y_bin = bin_of(y);
  const bool empty = answer == "nothing";
  const int32_t n_near = count_near(asking.scene, px_of(x_bin), px_of(y_bin), empty ? kEmptyPx : 1.0F);
  if (n_near != (empty ? 0 : 1)) return std::nullopt;
  return made(asking, joined({"What is at ", point_text(x_bin, y_bin), "?"}), std::move(answer));
}

/// A point of the middle of a box; `reach` is the share of its sides that may be left.
std::array<float, 2> point_in(const Box& box, float reach, Rng& rng) {
  const auto offset = [&](float side) { return (static_cast<float>(rng.uniform()) - 0.5F) * reach * side; };
  const float dx = offset(box.x1 - box.x0);
  return {box.cx() + dx, box.cy() + offset(box.y1 - box.y0)};
}

}  // namespace

std::string box_text(const Box& box) {
  return joined({"[", coordinate(bin_of(box.x0)), ", ", coordinate(bin_of(box.y0)), ", ",
                 coordinate(bin_of(box.x1)), ", ", coordinate(bin_of(box.y1)), "]"});
}

std::optional<Question> ask_relation(const Asking& asking) {
  const bool yes = chance(asking.rng, 0.5);
  const auto relation = draw_relation(asking, false);
  if (!relation) return std::nullopt;
  const std::string_view word = relation_word(relation->vertical, relation->before == yes);
  return made(asking, joined({"Is the ", relation->first, " ", word, " the ", relation->second, "?"}),
              yes ? "Yes" : "No");
}

std::optional<Question> ask_extreme(const Asking& asking) {
  constexpr std::array<std::string_view, 4> kNames = {"leftmost", "rightmost", "topmost", "bottommost"};
  const auto& objects = asking.scene.objects;
  if (objects.size() < 2) return std::nullopt;
  std::array<const Object*, 4> winners{};
  for (std::size_t side = 0; side < winners.size(); ++side) {
    const auto key = [&](const Object& o) {
      const float centre = side < 2 ? o.box.cx() : o.box.cy();
      return side % 2 == 0 ? centre : -centre;
    };
    const Object* best = &objects[0];
    for (const Object& object : objects) best = key(object) < key(*best) ? &object : best;
    const bool clear = std::all_of(objects.begin(), objects.end(), [&](const Object& o) {
      return &o == best || key(o) - key(*best) >= kExtremePx;
    });
    winners[side] = clear ? best : nullptr;
  }
  const auto side =
      draw_where(4, asking.rng, [&](int32_t i) { return winners[static_cast<std::size_t>(i)] != nullptr; });
  if (!side) return std::nullopt;
  const Object& winner = *winners[static_cast<std::size_t>(*side)];
  const bool color = chance(asking.rng, 0.5);
  return made(asking,
              joined({color ? "What color is the " : "What shape is the ",
                      kNames[static_cast<std::size_t>(*side)], " thing?"}),
              std::string(color ? name_of(winner.colour) : name_of(winner.shape)));
}

std::optional<Question> ask_ground(const Asking& asking) {
  const auto& objects = asking.scene.objects;
  const auto drawn = draw_where(static_cast<int32_t>(objects.size()), asking.rng, [&](int32_t i) {
    return is_unique(asking.counts, objects[static_cast<std::size_t>(i)], Form::SizedPair);
  });
  if (!drawn) return std::nullopt;
  const Object& object = objects[static_cast<std::size_t>(*drawn)];
  std::optional<Form> form;
  if (chance(asking.rng, 0.4)) form = short_form(asking.counts, object, asking.rng);
  if (!form) {
    form = static_cast<Form>(*draw_where(kForms, asking.rng, [&](int32_t i) {
      return static_cast<Form>(i) != Form::SizedShape &&
             is_unique(asking.counts, object, static_cast<Form>(i));
    }));
  }
  std::string name = phrase(object, *form);
  if (asking.task == Task::Centre) {
    return made(asking, joined({"Where is the center of the ", name, "?"}),
                point_text(bin_of(object.box.cx()), bin_of(object.box.cy())));
  }
  Question question = made(asking, joined({"Where is the ", name, "?"}), box_text(object.box));
  question.expression = std::move(name);
  question.box = object.box;
  return question;
}

std::optional<Question> ask_region(const Asking& asking) {
  const auto n_objects = static_cast<int32_t>(asking.scene.objects.size());
  const auto n_things = n_objects + static_cast<int32_t>(asking.scene.texts.size());
  const bool nothing = chance(asking.rng, 0.2);
  if (!nothing && n_things == 0) return std::nullopt;
  constexpr int32_t kTries = 12;
  for (int32_t i = 0; i < kTries; ++i) {
    std::optional<Question> question;
    if (nothing) {
      const Box all{0.0F, 0.0F, static_cast<float>(kSide), static_cast<float>(kSide)};
      const auto [x, y] = point_in(all, 1.0F, asking.rng);
      question = region_at(asking, x, y, "nothing");
    } else if (const int32_t thing = below(asking.rng, n_things); thing < n_objects) {
      const Object& object = asking.scene.objects[static_cast<std::size_t>(thing)];
      const auto [x, y] = point_in(object.box, 0.5F, asking.rng);
      question = region_at(asking, x, y, phrase(object, Form::SizedPair));
    } else {
      const Text& text = asking.scene.texts[static_cast<std::size_t>(thing - n_objects)];
      const auto [x, y] = point_in(text.box, 0.3F, asking.rng);
      question = region_at(asking, x, y, joined({name_of(text.colour), " text ", text.content}));
    }
    if (question) return question;
  }
  return std::nullopt;
}

}  // namespace winnow::scenes
