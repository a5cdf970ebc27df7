#include "winnow/scenes/description.h"

#include <utility>
#include <vector>

#include "winnow/scenes/question_parts.h"
#include "winnow/scenes/words.h"

namespace winnow::scenes {

std::string describe(const Scene& scene, Rng& rng) {
  std::vector<std::string> lines;
  for (const Object& object : scene.objects)
    lines.push_back(joined({"\n ", phrase(object, Form::SizedPair), " ", box_text(object.box)}));
  for (const Text& text : scene.texts)
    lines.push_back(joined({"\n ", name_of(text.colour), " text ", text.content, " ", box_text(text.box)}));
  std::string all;
  for (auto n = static_cast<int32_t>(lines.size()); n > 0; --n) {
    const auto pick = static_cast<std::size_t>(below(rng, n));
    all += lines[pick];
    lines[pick] = std::move(lines[static_cast<std::size_t>(n - 1)]);
  }
  return all;
}

}  // namespace winnow::scenes
