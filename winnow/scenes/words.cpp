#include "winnow/scenes/words.h"

#include <algorithm>
#include <array>

namespace winnow::scenes {
namespace {

constexpr std::array<std::string_view, kShapes> kShapeNames = {
    "circle", "square", "triangle", "diamond", "star", "cross", "ring", "moon", "heart", "arrow"};
constexpr std::array<std::string_view, kColours> kColourNames = {"red",    "green",  "blue", "yellow",
                                                                 "orange", "purple", "cyan", "white"};
constexpr std::array<std::string_view, kSizes> kSizeNames = {"small", "medium", "large"};

// Every (family, planet) pair belongs to at most one shape, so neither fact follows from the other, and by
// the shapes' prior each name is about equally frequent.
constexpr std::array<uint8_t, kShapes> kFamilyOf = {0, 1, 2, 3, 1, 0, 2, 2, 3, 3};
constexpr std::array<uint8_t, kShapes> kPlanetOf = {0, 1, 1, 0, 2, 3, 2, 3, 2, 3};
// Against what everyday life suggests: it has to be learnt from this world's text.
constexpr std::array<uint8_t, kColours> kTasteOf = {0, 1, 2, 3, 2, 3, 0, 1};

constexpr std::size_t kWordsPerCategory = 12;

template <std::size_t n, class Enum>
auto item(const std::array<std::string_view, n>& names, Enum value) {
  return names.at(static_cast<std::size_t>(value));
}

}  // namespace

std::string_view name_of(Shape shape) { return item(kShapeNames, shape); }
std::string_view name_of(Colour colour) { return item(kColourNames, colour); }
std::string_view name_of(Size size) { return item(kSizeNames, size); }

const std::vector<std::string>& families() {
  static const std::vector<std::string> names = {"zor", "mip", "tal", "ren"};
  return names;
}

const std::vector<std::string>& planets() {
  static const std::vector<std::string> names = {"vega", "tyco", "lund", "orin"};
  return names;
}

const std::vector<std::string>& tastes() {
  static const std::vector<std::string> names = {"sweet", "sour", "salty", "bitter"};
  return names;
}

const std::vector<std::string>& categories() {
  static const std::vector<std::string> names = {"animal", "food", "tool", "body part"};
  return names;
}

const std::string& family_of(Shape shape) {
  return families()[kFamilyOf.at(static_cast<std::size_t>(shape))];
}

const std::string& planet_of(Shape shape) { return planets()[kPlanetOf.at(static_cast<std::size_t>(shape))]; }

const std::string& taste_of(Colour colour) { return tastes()[kTasteOf.at(static_cast<std::size_t>(colour))]; }

const std::vector<std::string>& lexicon() {
  // In the order of categories(), kWordsPerCategory each.
  static const std::vector<std::string> words = {
      "CAT", "DOG", "COW", "PIG",  "FOX",  "BEAR", "LION",  "WOLF",  "DUCK",  "GOAT",  "HORSE", "TIGER",  //
      "EGG", "PIE", "JAM", "CAKE", "RICE", "SOUP", "MILK",  "CORN",  "BREAD", "PASTA", "APPLE", "SALAD",  //
      "SAW", "AXE", "HOE", "RAKE", "FILE", "VISE", "DRILL", "SPADE", "CLAMP", "RULER", "KNIFE", "BRUSH",  //
      "ARM", "LEG", "EAR", "EYE",  "HAND", "FOOT", "NOSE",  "KNEE",  "NECK",  "MOUTH", "THUMB", "CHEST"};
  return words;
}

std::string category_of(std::string_view word) {
  const auto& words = lexicon();
  const auto found = std::find(words.begin(), words.end(), word);
  if (found == words.end()) return {};
  return categories()[static_cast<std::size_t>(found - words.begin()) / kWordsPerCategory];
}

}  // namespace winnow::scenes
