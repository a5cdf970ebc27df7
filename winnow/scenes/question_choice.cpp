// One of four: about the picture (MMBench), or about facts that no picture shows (ScienceQA).

#include <algorithm>

#include "winnow/base/error.h"
#include "winnow/scenes/question_parts.h"
#include "winnow/scenes/words.h"

namespace winnow::scenes {
namespace {

constexpr int32_t kOptions = 4;

std::string with_options(std::string_view stem, const std::vector<std::string>& choices) {
  std::string text(stem);
  char letter = 'A';
  for (const std::string& choice : choices) text += joined({"\n", {&letter, 1}, ". ", choice}), ++letter;
  return text;
}

std::string letter_of(std::size_t idx) {
  return std::string(1, static_cast<char>('A' + static_cast<int32_t>(idx)));
}

/// The right option goes to a place that is drawn first; the wrong ones fill the others in their order.
Question with_choices(const Asking& asking, std::string_view stem, std::string right,
                      std::vector<std::string> wrong) {
  const auto place = static_cast<std::size_t>(below(asking.rng, static_cast<int32_t>(wrong.size()) + 1));
  std::vector<std::string> choices = std::move(wrong);
  choices.insert(choices.begin() + static_cast<std::ptrdiff_t>(place), std::move(right));
  Question question = made(asking, with_options(stem, choices), letter_of(place));
  question.choices = std::move(choices);
  return question;
}

/// Three other names of [0, n) in random order.
template <class Name>
std::vector<std::string> draw_wrong(int32_t n, int32_t right, Rng& rng, const Name& name) {
  uint64_t taken = uint64_t{1} << right;
  std::vector<std::string> wrong;
  while (static_cast<int32_t>(wrong.size()) < std::min(n, kOptions) - 1) {
    const auto i = draw_where(n, rng, [&](int32_t k) { return (taken >> k & 1U) == 0; });
    taken |= uint64_t{1} << *i;
    wrong.emplace_back(name(*i));
  }
  return wrong;
}

std::string_view colour_name(int32_t i) { return name_of(static_cast<Colour>(i)); }
std::string_view shape_name(int32_t i) { return name_of(static_cast<Shape>(i)); }

std::optional<Question> ask_pair_choice(const Asking& asking) {
  const Counts& counts = asking.counts;
  if (counts.n_objects == 0) return std::nullopt;
  const Object& right = asking.scene.objects[static_cast<std::size_t>(below(asking.rng, counts.n_objects))];
  std::vector<int32_t> wrong;
  while (wrong.size() < kOptions - 1) {
    const bool near = chance(asking.rng, 0.6);  // a colour or a shape alone must not give it away
    const auto fits = [&](int32_t i, bool wanted_near) {
      return !counts.has(i) && (!wanted_near || counts.is_mix(i)) &&
             std::find(wrong.begin(), wrong.end(), i) == wrong.end();
    };
    auto drawn = draw_where(kPairs, asking.rng, [&](int32_t i) { return fits(i, near); });
    if (!drawn) drawn = draw_where(kPairs, asking.rng, [&](int32_t i) { return fits(i, false); });
    if (!drawn) return std::nullopt;
    wrong.push_back(*drawn);
  }
  std::vector<std::string> names;
  names.reserve(kOptions);
  for (const int32_t i : wrong) names.push_back(name_of(pair_of(i)));
  return with_choices(asking, "Which of these is in the image?", phrase(right, Form::Pair), std::move(names));
}

}  // namespace

std::optional<Question> ask_choice(const Asking& asking) {
  if (asking.task == Task::ChoicePair) return ask_pair_choice(asking);
  const bool color = asking.task == Task::ChoiceColor;
  const Form form = color ? Form::Shape : Form::Colour;
  const Object* object = draw_balanced(
      asking.scene, asking.rng, [&](const Object& o) { return is_unique(asking.counts, o, form); },
      [&](const Object& o) { return color ? at(o.colour) : at(o.shape); });
  if (object == nullptr) return std::nullopt;
  const std::string stem =
      joined({color ? "What color is the " : "What shape is the ", phrase(*object, form), "?"});
  if (color) {
    return with_choices(asking, stem, std::string(name_of(object->colour)),
                        draw_wrong(kColours, static_cast<int32_t>(object->colour), asking.rng, colour_name));
  }
  return with_choices(asking, stem, std::string(name_of(object->shape)),
                      draw_wrong(kShapes, static_cast<int32_t>(object->shape), asking.rng, shape_name));
}

std::optional<Question> ask_knowledge(const Asking& asking) {
  const auto shape = static_cast<Shape>(below(asking.rng, kShapes));
  const auto colour = static_cast<Colour>(below(asking.rng, kColours));
  const std::string& word =
      lexicon()[static_cast<std::size_t>(below(asking.rng, static_cast<int32_t>(lexicon().size())))];
  const auto asked = [&](std::string_view stem, const std::string& right,
                         const std::vector<std::string>& all) {
    const auto place = static_cast<int32_t>(std::find(all.begin(), all.end(), right) - all.begin());
    const auto name = [&](int32_t i) -> const std::string& { return all[static_cast<std::size_t>(i)]; };
    return with_choices(asking, stem, right,
                        draw_wrong(static_cast<int32_t>(all.size()), place, asking.rng, name));
  };
  const std::string thing = with_article(name_of(shape));
  switch (asking.task) {
    case Task::KnowledgeFamily:
      return asked(joined({"Which family does ", thing, " belong to?"}), family_of(shape), families());
    case Task::KnowledgePlanet:
      return asked(joined({"Which planet does ", thing, " come from?"}), planet_of(shape), planets());
    case Task::KnowledgeTaste:
      return asked(joined({"What taste is ", with_article(joined({name_of(colour), " thing"})), "?"}),
                   taste_of(colour), tastes());
    default: return asked(joined({"What is ", with_article(word), "?"}), category_of(word), categories());
  }
}

Question rotated(const Question& question, int32_t shift) {
  const auto n = static_cast<int32_t>(question.choices.size());
  WINNOW_CHECK(n > 0, InvalidArgument, "scenes.rotated", "question without options, got '{}'", question.text);
  const int32_t right = question.answer.size() == 1 ? question.answer[0] - 'A' : -1;
  const std::size_t end = question.text.find("\nA. ");
  WINNOW_CHECK(right >= 0 && right < n && end != std::string::npos, InvalidArgument, "scenes.rotated",
               "options do not fit, got answer '{}' to '{}', expected a letter of {} options",
               question.answer, question.text, n);
  const auto moved = [&](int32_t i) { return static_cast<std::size_t>(((i + shift % n) % n + n) % n); };
  Question out = question;
  for (int32_t i = 0; i < n; ++i) out.choices[moved(i)] = question.choices[static_cast<std::size_t>(i)];
  out.text = with_options(std::string_view(question.text).substr(0, end), out.choices);
  out.answer = letter_of(moved(right));
  return out;
}

}  // namespace winnow::scenes
