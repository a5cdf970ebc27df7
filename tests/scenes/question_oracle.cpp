#include "tests/scenes/question_oracle.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <sstream>
#include <stdexcept>

#include "winnow/scenes/words.h"

namespace winnow::scenes::oracle {
namespace {

using Answer = std::optional<std::string>;

/// What stands between a head and a tail, if the text has both.
std::optional<std::string> inner(std::string_view text, std::string_view head, std::string_view tail) {
  if (text.size() < head.size() + tail.size() || !text.starts_with(head) || !text.ends_with(tail)) return {};
  return std::string(text.substr(head.size(), text.size() - head.size() - tail.size()));
}

bool is_name(std::string_view word, std::string_view name) {
  return word == name || word == std::string(name) + "s" || word == std::string(name) + "es";
}

bool fits(const Object& object, std::string_view word) {
  if (word == "thing" || word == "things") return true;
  for (int32_t i = 0; i < kSizes; ++i) {
    if (word == name_of(static_cast<Size>(i))) return static_cast<int32_t>(object.size) == i;
  }
  for (int32_t i = 0; i < kColours; ++i) {
    if (word == name_of(static_cast<Colour>(i))) return static_cast<int32_t>(object.colour) == i;
  }
  for (int32_t i = 0; i < kShapes; ++i) {
    if (is_name(word, name_of(static_cast<Shape>(i)))) return static_cast<int32_t>(object.shape) == i;
  }
  throw std::runtime_error("no word of this world: " + std::string(word));
}

/// The object of an extreme ("topmost thing") or of a unique phrase.
std::vector<const Object*> referents(const Scene& scene, const std::string& phrase) {
  const bool left = phrase == "leftmost thing", right = phrase == "rightmost thing";
  const bool top = phrase == "topmost thing", bottom = phrase == "bottommost thing";
  if (!left && !right && !top && !bottom) return matching(scene, phrase);
  std::vector<std::pair<float, const Object*>> order;
  for (const Object& o : scene.objects) {
    const float along = left || right ? (o.box.x0 + o.box.x1) / 2 : (o.box.y0 + o.box.y1) / 2;
    order.emplace_back(right || bottom ? -along : along, &o);
  }
  std::sort(order.begin(), order.end());
  if (order.size() < 2 || order[1].first - order[0].first < 4.0F) return {nullptr, nullptr};
  return {order[0].second};
}

std::vector<const Text*> texts_of(const Scene& scene, bool number) {
  std::vector<const Text*> found;
  for (const Text& text : scene.texts) {
    if (text.is_number == number) found.push_back(&text);
  }
  return found;
}

Answer yes_no(bool yes) { return yes ? "Yes" : "No"; }

Answer sum(const Scene& scene) {
  const auto numbers = texts_of(scene, true);
  if (numbers.size() != 2 || numbers[0]->content.size() != 1 || numbers[1]->content.size() != 1) return {};
  return std::to_string(std::stoi(numbers[0]->content) + std::stoi(numbers[1]->content));
}

/// "unanswerable" where nothing fits.
template <class Value>
Answer attribute(const Scene& scene, const std::string& phrase, const Value& value) {
  const auto found = referents(scene, phrase);
  if (found.empty()) return "unanswerable";
  if (found.size() > 1) return {};
  return std::string(value(*found[0]));
}

Answer open_truth(const Scene& scene, std::string_view text) {
  const auto color = [](const Object& o) { return name_of(o.colour); };
  const auto shape = [](const Object& o) { return name_of(o.shape); };
  if (auto p = inner(text, "What color is the ", "?")) return attribute(scene, *p, color);
  if (auto p = inner(text, "What is the color of the ", "?")) return attribute(scene, *p, color);
  if (auto p = inner(text, "What shape is the ", "?")) return attribute(scene, *p, shape);
  if (auto p = inner(text, "What is the shape of the ", "?")) return attribute(scene, *p, shape);
  if (auto p = inner(text, "What size is the ", "?"))
    return attribute(scene, *p, [](const Object& o) { return name_of(o.size); });
  if (auto p = inner(text, "What taste is the ", "?"))
    return attribute(scene, *p, [](const Object& o) { return taste_of(o.colour); });
  if (auto p = inner(text, "Which family does the ", " belong to?"))
    return attribute(scene, *p, [](const Object& o) { return family_of(o.shape); });
  if (auto p = inner(text, "How many ", " are in the image?"))
    return std::to_string(matching(scene, *p).size());
  return {};
}

Answer text_truth(const Scene& scene, std::string_view text) {
  for (const bool number : {false, true}) {
    if (text != (number ? "What number is written in the image?" : "What word is written in the image?"))
      continue;
    const auto found = texts_of(scene, number);
    if (found.empty()) return "unanswerable";
    if (found.size() == 1) return found[0]->content;
  }
  if (auto p = inner(text, "What does the ", " text say?")) {
    Answer found;
    for (const Text& t : scene.texts) {
      if (name_of(t.colour) != *p) continue;
      if (found) return {};
      found = t.content;
    }
    return found;
  }
  if (text == "What is the sum of the two digits?") return sum(scene);
  if (text == "What kind of word is written?") {
    const auto found = texts_of(scene, false);
    if (found.size() == 1 && !category_of(found[0]->content).empty()) return category_of(found[0]->content);
  }
  return {};
}

std::string box_text(std::initializer_list<float> pixels) {
  std::string out;
  for (const float px : pixels) {
    char part[16];
    std::snprintf(part, sizeof part, "%.2f", std::round(px / 96.0 / 0.02) * 0.02);
    out += (out.empty() ? "[" : ", ") + std::string(part);
  }
  return out + "]";
}

float gap(float low, float high, float x) { return x < low ? low - x : x > high ? x - high : 0.0F; }

/// What a box covers; "nothing" if all are 4 pixels off.
Answer region(const Scene& scene, const std::string& point) {
  float fx = 0.0F, fy = 0.0F;
  if (std::sscanf(point.c_str(), "[%f, %f]", &fx, &fy) != 2) return {};
  const float x = fx * 96, y = fy * 96;
  Answer found;
  float nearest = 96.0F;
  const auto look = [&](const Box& box, std::string name) {
    const float away = std::max(gap(box.x0, box.x1, x), gap(box.y0, box.y1, y));
    nearest = std::min(nearest, away);
    if (away == 0.0F) found = found ? "two things" : std::move(name);
  };
  for (const Object& o : scene.objects)
    look(o.box, std::string(name_of(o.size)) + " " + std::string(name_of(o.colour)) + " " +
                    std::string(name_of(o.shape)));
  for (const Text& t : scene.texts) look(t.box, std::string(name_of(t.colour)) + " text " + t.content);
  if (found) return found;
  return nearest > 3.99F ? Answer("nothing") : Answer();
}

Answer place_truth(const Scene& scene, std::string_view text) {
  if (auto p = inner(text, "Where is the center of the ", "?")) {
    const auto found = matching(scene, *p);
    if (found.size() != 1) return {};
    const Box& b = found[0]->box;
    return box_text({(b.x0 + b.x1) / 2, (b.y0 + b.y1) / 2});
  }
  if (auto p = inner(text, "Where is the ", "?")) {
    const auto found = matching(scene, *p);
    if (found.size() != 1) return {};
    const Box& b = found[0]->box;
    return box_text({b.x0, b.y0, b.x1, b.y1});
  }
  if (auto p = inner(text, "What is at ", "?")) return region(scene, *p);
  return {};
}

Answer relation(const Scene& scene, const std::string& statement) {
  for (const std::string_view word : {" left of the ", " right of the ", " above the ", " below the "}) {
    const auto place = statement.find(word);
    if (place == std::string::npos) continue;
    const auto a = matching(scene, statement.substr(0, place));
    const auto b = matching(scene, statement.substr(place + word.size()));
    if (a.size() != 1 || b.size() != 1 || a[0] == b[0]) return {};
    const float dx = (a[0]->box.x0 + a[0]->box.x1 - b[0]->box.x0 - b[0]->box.x1) / 2;
    const float dy = (a[0]->box.y0 + a[0]->box.y1 - b[0]->box.y0 - b[0]->box.y1) / 2;
    const bool vertical = word == " above the " || word == " below the ";
    if (std::abs(vertical ? dy : dx) < 8.0F) return {};
    return yes_no((word == " left of the " && dx < 0) || (word == " right of the " && dx > 0) ||
                  (word == " above the " && dy < 0) || (word == " below the " && dy > 0));
  }
  return {};
}

Answer fact(const Scene& scene, const std::string& statement) {
  const auto about = [&](std::string_view verb, auto value) -> Answer {
    const auto place = statement.find(verb);
    const auto found = matching(scene, statement.substr(0, place));
    if (found.size() != 1) return {};
    return yes_no(value(*found[0]) == statement.substr(place + verb.size()));
  };
  if (statement.find(" belong to the ") != std::string::npos)
    return about(" belong to the ", [](const Object& o) { return family_of(o.shape) + " family"; });
  if (statement.find(" come from ") != std::string::npos)
    return about(" come from ", [](const Object& o) { return planet_of(o.shape); });
  return about(" taste ", [](const Object& o) { return taste_of(o.colour); });
}

Answer existence(const Scene& scene, std::string_view text) {
  for (const std::string_view head : {"Is there ", "Are there ", "Can you see "}) {
    auto rest = inner(text, head, head == "Can you see " ? "?" : " in the image?");
    if (!rest) continue;
    const auto place = rest->find(' ');
    const std::string first = rest->substr(0, place), phrase = rest->substr(place + 1);
    const auto n = matching(scene, phrase).size();
    if ((first == "a" || first == "an") && head != "Are there ")
      return (first == "an") == (phrase[0] == 'o' || phrase[0] == 'a') ? yes_no(n > 0) : Answer();
    if ((first == "1") != (head == "Is there ")) return {};
    return yes_no(static_cast<int32_t>(n) == std::stoi(first));
  }
  return {};
}

Answer statement_truth(const Scene& scene, std::string_view text) {
  if (Answer answer = existence(scene, text)) return answer;
  for (const bool number : {false, true}) {
    const auto p = inner(text, number ? "Is the number " : "Is the word ", " written in the image?");
    if (!p) continue;
    const auto found = texts_of(scene, number);
    return yes_no(std::any_of(found.begin(), found.end(), [&](const Text* t) { return t->content == *p; }));
  }
  if (auto p = inner(text, "Is the sum of the two digits ", "?")) {
    const Answer right = sum(scene);
    return right ? yes_no(*p == *right) : Answer();
  }
  if (auto p = inner(text, "Does the ", "?")) return fact(scene, *p);
  const auto p = inner(text, "Is the ", "?");
  if (!p) return {};
  if (p->find(" the ") != std::string::npos) return relation(scene, *p);
  const auto place = p->rfind(' ');
  const auto found = matching(scene, p->substr(0, place));
  return found.size() == 1 ? yes_no(name_of(found[0]->colour) == p->substr(place + 1)) : Answer();
}

}  // namespace

std::vector<const Object*> matching(const Scene& scene, std::string_view phrase) {
  std::vector<const Object*> found;
  for (const Object& object : scene.objects) {
    std::istringstream words{std::string(phrase)};
    std::string word;
    bool all = true;
    while (words >> word) all = fits(object, word) && all;
    if (all) found.push_back(&object);
  }
  return found;
}

std::optional<std::string> truth(const Scene& scene, std::string_view text) {
  if (Answer answer = statement_truth(scene, text)) return answer;
  if (Answer answer = place_truth(scene, text)) return answer;
  if (Answer answer = open_truth(scene, text)) return answer;
  return text_truth(scene, text);
}

std::optional<std::string> needle_truth(std::span<const Scene> scenes, std::string_view text,
                                        int32_t& needle) {
  const auto rest = inner(text, "For the image with the ", "?");
  if (!rest) return {};
  const auto place = rest->find(", is there ");
  if (place == std::string::npos) return {};
  needle = -1;
  for (std::size_t i = 0; i < scenes.size(); ++i) {
    if (matching(scenes[i], rest->substr(0, place)).empty()) continue;
    if (needle >= 0) return {};
    needle = static_cast<int32_t>(i);
  }
  if (needle < 0) return {};
  return statement_truth(
      scenes[static_cast<std::size_t>(needle)],
      "Is there " + rest->substr(place + std::string(", is there ").size()) + " in the image?");
}

}  // namespace winnow::scenes::oracle
