// The tokenizer's pieces. Names come from the world's tables, so that the vocabulary cannot miss one;
// frequent runs of words are one piece each, so that questions stay short.

#include <unordered_set>

#include "winnow/scenes/question.h"
#include "winnow/scenes/question_parts.h"
#include "winnow/scenes/words.h"

namespace winnow::scenes {
namespace {

constexpr std::string_view kSpace = "\xe2\x96\x81";  // U+2581, SentencePiece's mark for a space

std::string marked(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == ' ') {
      out += kSpace;
    } else {
      out += c;
    }
  }
  return out;
}

/// Keeps the order of first mention.
class Collection {
 public:
  void add(std::string_view text) {
    std::string piece = marked(text);
    if (known_.insert(piece).second) pieces_.push_back(std::move(piece));
  }
  void add_inside(std::string_view word) { add(joined({" ", word})); }
  std::vector<std::string> take() { return std::move(pieces_); }

 private:
  std::vector<std::string> pieces_;
  std::unordered_set<std::string> known_;
};

void add_prompt(Collection& all) {
  all.add(
      "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, "
      "detailed, "
      "and polite answers to the user's questions. ");
  all.add("USER: ");
  all.add(" ASSISTANT:");
  all.add("\nASSISTANT:");
  for (const std::string& suffix : prompt_suffixes()) all.add(suffix);
  all.add(ground_prefix());
}

void add_names(Collection& all) {
  for (int32_t i = 0; i < kShapes; ++i) {
    all.add_inside(name_of(static_cast<Shape>(i)));
    all.add_inside(plural_of(static_cast<Shape>(i)));
  }
  for (int32_t i = 0; i < kColours; ++i) all.add_inside(name_of(static_cast<Colour>(i)));
  for (int32_t i = 0; i < kSizes; ++i) all.add_inside(name_of(static_cast<Size>(i)));
  for (const auto* names : {&families(), &planets(), &tastes(), &categories()}) {
    for (const std::string& name : *names) all.add_inside(name);
  }
}

void add_words(Collection& all) {
  for (const std::string_view answer : {"Yes", "No", "unanswerable", "nothing"}) all.add_inside(answer);
  for (const std::string_view first : {"Is", "Are", "Does", "What", "Which", "Where", "How", "Can", "For"}) {
    all.add(first);
    all.add_inside(first);
  }
  for (const std::string_view word :
       {"a",     "an",       "the",       "is",      "are",        "there",  "in",      "image",
        "of",    "to",       "from",      "with",    "at",         "many",   "you",     "see",
        "does",  "thing",    "things",    "text",    "word",       "number", "written", "say",
        "kind",  "color",    "shape",     "size",    "taste",      "family", "planet",  "belong",
        "come",  "sum",      "two",       "digits",  "center",     "left",   "right",   "above",
        "below", "leftmost", "rightmost", "topmost", "bottommost", "these"}) {
    all.add_inside(word);
  }
}

void add_runs(Collection& all) {
  for (const std::string_view head : {"Is there",
                                      "Is there a",
                                      "Is there an",
                                      "Are there",
                                      "Can you see a",
                                      "Can you see an",
                                      "Is the",
                                      "Is the word",
                                      "Is the number",
                                      "Is the sum of the two digits",
                                      "Does the",
                                      "What color is the",
                                      "What shape is the",
                                      "What size is the",
                                      "What taste is the",
                                      "What taste is a",
                                      "What taste is an",
                                      "What is the color of the",
                                      "What is the shape of the",
                                      "What is a",
                                      "What is an",
                                      "What is at",
                                      "What word is",
                                      "What number is",
                                      "What does the",
                                      "What kind of word is written?",
                                      "What is the sum of the two digits?",
                                      "Which of these is in the image?",
                                      "Which family does the",
                                      "Which family does a",
                                      "Which family does an",
                                      "Which planet does a",
                                      "Which planet does an",
                                      "Where is the",
                                      "Where is the center of the",
                                      "How many",
                                      "For the image with the"}) {
    all.add(head);
  }
  for (const std::string_view run : {" left of the", " right of the", " above the", " below the",
                                     ", is there a", ", is there an", " belong to the", " come from"}) {
    all.add(run);
  }
  for (const std::string_view tail : {" in the image?", " are in the image?", " written in the image?",
                                      " text say?", " belong to?", " come from?", " family?"}) {
    all.add(tail);
  }
  for (const std::string_view option : {"\nA.", "\nB.", "\nC.", "\nD."}) all.add(option);
}

void add_coordinates(Collection& all) {
  for (const std::string_view mark : {" [", "[", ", ", "]", "]?"}) all.add(mark);
  for (int32_t i = 0; i <= 100; i += 2) {
    const std::string digits = std::to_string(100 + i % 100);
    all.add(joined({i == 100 ? "1." : "0.", std::string_view(digits).substr(1)}));
  }
}

/// What nothing above covers: printed words, numbers, and whatever users type.
void add_characters(Collection& all) {
  const auto range = [&](char first, char last) {
    for (char c = first; c <= last; ++c) {
      all.add({&c, 1});
      all.add_inside({&c, 1});
    }
  };
  range('A', 'Z');
  range('0', '9');
  range('a', 'z');
  for (const std::string_view mark :
       {" ", "\n", "?", ",", ".", "!", ":", ";", "'", "\"", "(", ")", "-", "/"}) {
    all.add(mark);
  }
}

}  // namespace

const std::vector<std::string>& pieces() {
  static const std::vector<std::string> all = [] {
    Collection collection;
    add_prompt(collection);
    add_names(collection);
    add_words(collection);
    add_runs(collection);
    add_coordinates(collection);
    add_characters(collection);
    return collection.take();
  }();
  return all;
}

}  // namespace winnow::scenes
