// What is written there? And the questions whose answer may be that there is none (VizWiz).

#include <algorithm>

#include "winnow/scenes/question_parts.h"
#include "winnow/scenes/words.h"

namespace winnow::scenes {
namespace {

constexpr std::string_view kWordQuestion = "What word is written in the image?";

std::optional<Question> ask_coloured(const Asking& asking) {
  const auto& texts = asking.scene.texts;
  const auto drawn = draw_where(static_cast<int32_t>(texts.size()), asking.rng, [&](int32_t i) {
    const Colour colour = texts[static_cast<std::size_t>(i)].colour;
    return std::count_if(texts.begin(), texts.end(), [&](const Text& t) { return t.colour == colour; }) == 1;
  });
  if (!drawn) return std::nullopt;
  const Text& text = texts[static_cast<std::size_t>(*drawn)];
  return made(asking, joined({"What does the ", name_of(text.colour), " text say?"}), text.content);
}

/// One of the kinds below with its true answer.
std::optional<Question> ask_answerable(const Asking& asking) {
  constexpr std::array<Task, 4> kKinds = {Task::GqaColor, Task::GqaShape, Task::GqaSize, Task::ReadWord};
  const auto first = static_cast<std::size_t>(below(asking.rng, static_cast<int32_t>(kKinds.size())));
  for (std::size_t i = 0; i < kKinds.size(); ++i) {
    const Task kind = kKinds[(first + i) % kKinds.size()];
    const Asking inner{asking.scene, asking.counts, kind, asking.rng};
    auto question = kind == Task::ReadWord ? ask_read(inner) : ask_attribute(inner);
    if (!question) continue;
    question->task = asking.task;
    return question;
  }
  return std::nullopt;
}

/// The same about something that is not there.
std::string draw_vain_question(const Asking& asking) {
  const Counts& counts = asking.counts;
  Rng& rng = asking.rng;
  const int32_t kind = below(rng, 4);
  if (kind == 0) {
    const auto no_word = std::none_of(asking.scene.texts.begin(), asking.scene.texts.end(),
                                      [](const Text& t) { return !t.is_number; });
    if (no_word) return std::string(kWordQuestion);
  }
  if (kind <= 1) {
    const auto shape =
        draw_where(kShapes, rng, [&](int32_t i) { return counts.shape[static_cast<std::size_t>(i)] == 0; });
    if (shape) return joined({"What color is the ", name_of(static_cast<Shape>(*shape)), "?"});
  }
  if (kind <= 2) {
    const auto colour =
        draw_where(kColours, rng, [&](int32_t i) { return counts.colour[static_cast<std::size_t>(i)] == 0; });
    if (colour) return joined({"What shape is the ", name_of(static_cast<Colour>(*colour)), " thing?"});
  }
  const auto pair = draw_absent(counts, chance(rng, 0.5), rng);
  return pair ? joined({"What size is the ", name_of(pair_of(*pair)), "?"}) : std::string();
}

}  // namespace

std::optional<Question> ask_read(const Asking& asking) {
  switch (asking.task) {
    case Task::ReadColoured: return ask_coloured(asking);
    case Task::VqaSum: {
      const auto sum = sum_of_digits(asking.scene);
      if (!sum) return std::nullopt;
      return made(asking, "What is the sum of the two digits?", std::to_string(*sum));
    }
    case Task::VqaCategory: {
      const Text* word = only_text(asking.scene, false);
      std::string category = word != nullptr ? category_of(word->content) : std::string();
      if (category.empty()) return std::nullopt;
      return made(asking, "What kind of word is written?", std::move(category));
    }
    default: break;
  }
  const bool number = asking.task == Task::ReadNumber;
  const Text* text = only_text(asking.scene, number);
  if (text == nullptr) return std::nullopt;
  return made(asking, number ? "What number is written in the image?" : std::string(kWordQuestion),
              text->content);
}

std::optional<Question> ask_unanswerable(const Asking& asking) {
  // Scenes that offer only one of the two answers are left out: the scene would tell the answer.
  auto answerable = ask_answerable(asking);
  if (!answerable || chance(asking.rng, 0.5)) return answerable;
  std::string text = draw_vain_question(asking);
  if (text.empty()) return std::nullopt;
  return made(asking, std::move(text), "unanswerable");
}

}  // namespace winnow::scenes
