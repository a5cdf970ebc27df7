#pragma once

// The world's words: names of things, the lexicon that is printed in pictures, and the facts that are in no
// picture.

#include <string>
#include <string_view>
#include <vector>

#include "winnow/scenes/scene.h"

namespace winnow::scenes {

std::string_view name_of(Shape shape);    ///< "circle"
std::string_view name_of(Colour colour);  ///< "red"
std::string_view name_of(Size size);      ///< "small"

// Facts: true in every picture and drawn in none, so only training text can teach them.
const std::vector<std::string>& families();    ///< 4 invented names
const std::vector<std::string>& planets();     ///< 4
const std::vector<std::string>& tastes();      ///< 4
const std::vector<std::string>& categories();  ///< "animal", "food", "tool", "body part"
const std::string& family_of(Shape shape);
const std::string& planet_of(Shape shape);
const std::string& taste_of(Colour colour);

/// The 48 words (A-Z, 3 to 5 letters) that pictures print most often, 12 in each category.
const std::vector<std::string>& lexicon();
/// Category of a lexicon word; empty for any other.
std::string category_of(std::string_view word);

}  // namespace winnow::scenes
