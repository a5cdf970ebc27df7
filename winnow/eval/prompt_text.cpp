#include "winnow/eval/prompt_text.h"

#include <fmt/format.h>

#include "winnow/eval/choice.h"

namespace winnow::eval {

std::string with_images(std::size_t n_images, Convention convention, std::string_view text) {
  constexpr std::string_view kImage = "<image>";
  std::string out;
  for (std::size_t i = 0; i < n_images; ++i) {
    out += kImage;
    out += convention == Convention::Lmms && i + 1 < n_images ? ' ' : '\n';
  }
  return out.append(text);
}

std::string option_lines(std::span<const std::string> choices) {
  std::string out;
  for (const Option& option : options_of(choices)) out += fmt::format("\n{}. {}", option.letter, option.text);
  return out;
}

}  // namespace winnow::eval
