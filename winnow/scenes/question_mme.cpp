// MME's form (Fu et al. 2023, arXiv 2306.13394): two statements about one thing, the first true, the second
// not.

#include <algorithm>

#include "winnow/base/error.h"
#include "winnow/scenes/question_parts.h"
#include "winnow/scenes/words.h"

namespace winnow::scenes {
namespace {

struct Statements {
  std::string yes, no;
};
using Drawn = std::optional<Statements>;

const Object& any_object(const Asking& asking) {
  return asking.scene.objects[static_cast<std::size_t>(below(asking.rng, asking.counts.n_objects))];
}

Statements filled(std::string_view head, std::string_view yes, std::string_view no, std::string_view tail) {
  return {joined({head, yes, tail}), joined({head, no, tail})};
}

Drawn existence(const Asking& asking) {
  const Counts& counts = asking.counts;
  if (counts.n_objects == 0) return std::nullopt;
  const Object& object = any_object(asking);
  std::string present, absent;
  if (chance(asking.rng, 0.5)) {
    const auto shape = draw_where(kShapes, asking.rng,
                                  [&](int32_t i) { return counts.shape[static_cast<std::size_t>(i)] == 0; });
    if (!shape) return std::nullopt;
    present = name_of(object.shape);
    absent = name_of(static_cast<Shape>(*shape));
  } else {
    const bool near = chance(asking.rng, 0.5);
    const auto fits = [&](int32_t i, bool mix) {
      return pair_of(i).shape == object.shape && (mix ? counts.is_mix(i) : !counts.has(i));
    };
    auto pair = draw_where(kPairs, asking.rng, [&](int32_t i) { return fits(i, near); });
    if (!pair) pair = draw_where(kPairs, asking.rng, [&](int32_t i) { return fits(i, false); });
    if (!pair) return std::nullopt;
    present = phrase(object, Form::Pair);
    absent = name_of(pair_of(*pair));
  }
  return filled("Is there ", with_article(present), with_article(absent), " in the image?");
}

/// "Is there 1 circle in the image?", "Are there 3 red things in the image?"
std::string count_statement(int32_t n, std::string_view one, std::string_view many) {
  return joined(
      {n == 1 ? "Is there " : "Are there ", std::to_string(n), " ", n == 1 ? one : many, " in the image?"});
}

Drawn count(const Asking& asking) {
  const Counts& counts = asking.counts;
  if (counts.n_objects == 0) return std::nullopt;
  const Object& object = any_object(asking);
  Shape shape = object.shape;
  Colour colour = object.colour;
  if (chance(asking.rng, 0.1)) {  // maybe of something that is not there
    shape = static_cast<Shape>(below(asking.rng, kShapes));
    colour = static_cast<Colour>(below(asking.rng, kColours));
  }
  const int32_t subject = below(asking.rng, 5);
  int32_t n = counts.n_objects;
  std::string one = "thing", many = "things";
  if (subject >= 3) {
    n = counts.shape[at(shape)];
    one = name_of(shape);
    many = plural_of(shape);
  } else if (subject >= 1) {
    n = counts.colour[at(colour)];
    one = joined({name_of(colour), " thing"});
    many = one + "s";
  }
  const int32_t by = 1 + below(asking.rng, 2);
  const bool down = n >= by && chance(asking.rng, 0.5);
  return Statements{count_statement(n, one, many), count_statement(down ? n - by : n + by, one, many)};
}

Drawn position(const Asking& asking) {
  const auto relation = draw_relation(asking, true);
  if (!relation) return std::nullopt;
  const auto statement = [&](bool before) {
    return joined({"Is the ", relation->first, " ", relation_word(relation->vertical, before), " the ",
                   relation->second, "?"});
  };
  return Statements{statement(relation->before), statement(!relation->before)};
}

Drawn color(const Asking& asking) {
  const Object* object = draw_balanced(
      asking.scene, asking.rng, [&](const Object& o) { return is_unique(asking.counts, o, Form::Shape); },
      [](const Object& o) { return at(o.colour); });
  if (object == nullptr) return std::nullopt;
  const auto other = [&](int32_t i) { return static_cast<Colour>(i) != object->colour; };
  std::optional<int32_t> wrong;
  if (chance(asking.rng, 0.5)) {
    wrong = draw_where(kColours, asking.rng, [&](int32_t i) {
      return other(i) && asking.counts.colour[static_cast<std::size_t>(i)] > 0;
    });
  }
  if (!wrong) wrong = draw_where(kColours, asking.rng, other);
  return filled(joined({"Is the ", phrase(*object, Form::Shape), " "}), name_of(object->colour),
                name_of(static_cast<Colour>(*wrong)), "?");
}

/// Another character of its kind: digit, vowel or consonant, so that the wrong word looks like a right one.
char other_char(char c, Rng& rng) {
  constexpr std::string_view kDigits = "0123456789", kVowels = "AEIOU", kConsonants = "BCDFGHJKLMNPQRSTVWXYZ";
  const std::string_view kind = kDigits.find(c) != std::string_view::npos   ? kDigits
                                : kVowels.find(c) != std::string_view::npos ? kVowels
                                                                            : kConsonants;
  char drawn = c;
  while (drawn == c) drawn = kind[static_cast<std::size_t>(below(rng, static_cast<int32_t>(kind.size())))];
  return drawn;
}

std::string wrong_text(const Text& text, Rng& rng) {
  if (!category_of(text.content).empty() && chance(rng, 0.8)) {
    const auto& words = lexicon();
    const auto other = draw_where(static_cast<int32_t>(words.size()), rng, [&](int32_t i) {
      const std::string& word = words[static_cast<std::size_t>(i)];
      return word.size() == text.content.size() && word != text.content;
    });
    if (other) return words[static_cast<std::size_t>(*other)];
  }
  std::string wrong = text.content;
  const auto n = static_cast<int32_t>(wrong.size());
  const int32_t always = below(rng, n);
  const double rate = chance(rng, 0.5) ? 0.0 : 0.7;
  for (int32_t i = 0; i < n; ++i) {
    if (i != always && !chance(rng, rate)) continue;
    char& c = wrong[static_cast<std::size_t>(i)];
    do c = other_char(c, rng);
    while (i == 0 && n > 1 &&
           (c == '0' || c == text.content[0]));  // no number is written with a leading zero
  }
  return wrong;
}

Drawn ocr(const Asking& asking) {
  const auto& texts = asking.scene.texts;
  if (texts.empty()) return std::nullopt;
  const Text& text = texts[static_cast<std::size_t>(below(asking.rng, static_cast<int32_t>(texts.size())))];
  if (text.content.empty()) return std::nullopt;
  constexpr int32_t kTries = 8;  // the wrong one may stand elsewhere in the picture
  for (int32_t i = 0; i < kTries; ++i) {
    const std::string wrong = wrong_text(text, asking.rng);
    if (std::any_of(texts.begin(), texts.end(), [&](const Text& t) { return t.content == wrong; })) continue;
    return filled(text.is_number ? "Is the number " : "Is the word ", text.content, wrong,
                  " written in the image?");
  }
  return std::nullopt;
}

Drawn calculation(const Asking& asking) {
  const auto sum = sum_of_digits(asking.scene);
  if (!sum) return std::nullopt;
  constexpr int32_t kSums = 19, kReach = 3;
  const auto wrong = draw_where(
      kSums, asking.rng, [&](int32_t i) { return i != *sum && i >= *sum - kReach && i <= *sum + kReach; });
  return filled("Is the sum of the two digits ", std::to_string(*sum), std::to_string(*wrong), "?");
}

Drawn commonsense(const Asking& asking) {
  const Counts& counts = asking.counts;
  const auto named = [&](int32_t i) {
    return is_unique(counts, asking.scene.objects[static_cast<std::size_t>(i)], Form::Pair);
  };
  const auto drawn = draw_where(counts.n_objects, asking.rng, named);
  if (!drawn) return std::nullopt;
  const Object& object = asking.scene.objects[static_cast<std::size_t>(*drawn)];
  const int32_t kind = below(asking.rng, 3);
  // Mostly the phrase that does not say what the fact hangs on, so that the picture is needed.
  const Form needed = kind == 2 ? Form::Shape : Form::Colour;
  const Form form = is_unique(counts, object, needed) && chance(asking.rng, 0.7)
                        ? needed
                        : *short_form(counts, object, asking.rng);
  const std::string name = phrase(object, form);
  const auto fact = [&](std::string_view verb, const std::string& right, const std::vector<std::string>& all,
                        std::string_view tail) -> Drawn {
    const auto wrong = draw_where(static_cast<int32_t>(all.size()), asking.rng,
                                  [&](int32_t i) { return all[static_cast<std::size_t>(i)] != right; });
    if (!wrong) return std::nullopt;
    return filled(joined({"Does the ", name, verb}), right, all[static_cast<std::size_t>(*wrong)], tail);
  };
  if (kind == 0) return fact(" belong to the ", family_of(object.shape), families(), " family?");
  if (kind == 1) return fact(" come from ", planet_of(object.shape), planets(), "?");
  return fact(" taste ", taste_of(object.colour), tastes(), "?");
}

Drawn draw_statements(const Asking& asking) {
  switch (asking.task) {
    case Task::MmeExistence: return existence(asking);
    case Task::MmeCount: return count(asking);
    case Task::MmePosition: return position(asking);
    case Task::MmeColor: return color(asking);
    case Task::MmeOcr: return ocr(asking);
    case Task::MmeCalculation: return calculation(asking);
    case Task::MmeCommonsense: return commonsense(asking);
    default:
      fail(ErrorCode::InvalidArgument, "scenes.ask_pair",
           "questions do not come in pairs, got {}, expected an mme kind", task_info(asking.task).name);
  }
}

}  // namespace

std::optional<std::array<Question, 2>> ask_mme(const Asking& asking) {
  auto drawn = draw_statements(asking);
  if (!drawn) return std::nullopt;
  return std::array{made(asking, std::move(drawn->yes), "Yes"), made(asking, std::move(drawn->no), "No")};
}

}  // namespace winnow::scenes
