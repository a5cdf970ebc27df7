#include "winnow/eval/choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "winnow/eval/python_text.h"

namespace winnow::eval {
namespace {

using Words = std::vector<std::string_view>;

bool has_word(const Words& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

bool has_option(std::span<const Option> options, char letter) {
  return std::any_of(options.begin(), options.end(), [&](const Option& o) { return o.letter == letter; });
}

/// The one option whose text occurs in the answer.
std::string by_text(const std::string& lowered_answer, std::span<const Option> options) {
  std::string found;
  for (const Option& option : options) {
    if (contains(lowered_answer, lower(option.text))) found += option.letter;
  }
  return found.size() == 1 ? found : "";
}

/// The letter A..D behind the first "answer is" that has one.
std::optional<char> behind_answer_is(std::string_view answer) {
  const std::string text = lower(answer);
  for (std::size_t at = 0; (at = text.find("answer", at)) != std::string::npos; ++at) {
    std::size_t next = skip_spaces(text, at + 6);
    if (next == at + 6 || text.compare(next, 2, "is") != 0) continue;
    const std::size_t behind = next + 2;
    next = skip_spaces(text, behind);
    if (next == behind) continue;
    while (next < text.size() && text[next] == '*') ++next;
    if (next < text.size() && text[next] >= 'a' && text[next] <= 'd')
      return static_cast<char>(text[next] - 'a' + 'A');
  }
  return std::nullopt;
}

std::string by_letter_vlmeval(std::string_view answer, std::span<const Option> options) {
  if (contains(answer, "Failed to obtain answer via API")) return "";
  for (const std::string_view refusal :
       {"Sorry, I can't help with images of people yet.", "I can't process this file.",
        "I'm sorry, but without the image provided", "Cannot determine the answer"}) {
    if (contains(answer, refusal)) return "Z";
  }
  std::string spaced(answer);
  for (char& c : spaced) {
    if (contains(".()[],:;!*#{}", {&c, 1})) c = ' ';
  }
  const Words words = split_words(spaced);
  std::vector<std::string> found;
  for (const Option& option : options) {
    std::string letter(1, option.letter);
    if (has_word(words, letter)) found.push_back(std::move(letter));
  }
  if (found.size() == 1) {
    const auto idx = std::find(words.begin(), words.end(), found[0]) - words.begin();
    if (idx > std::ssize(words) - 5) return found[0];
  } else if (found.empty() && has_word(words, "Z")) {
    return "Z";
  }
  const auto letter = behind_answer_is(answer);
  return letter && has_option(options, *letter) ? std::string(1, *letter) : "";
}

// lmms-eval looks for A..E whatever options the question has.
constexpr std::string_view kLmmsLetters = "ABCDE";

std::string by_letter_lmms(std::string_view answer) {
  if (contains(answer, "Failed to obtain answer via API")) return "";
  const Words words = split_words(answer);
  const auto only = [&words](std::string_view before, std::string_view behind) {
    std::string found;
    for (const char letter : kLmmsLetters) {
      if (has_word(words, std::string(before) + letter + std::string(behind))) found += letter;
    }
    return found.size() == 1 ? found : "";
  };
  std::string alone = only("", "");
  if (!alone.empty() && !(has_word(words, "A") && words.size() > 3)) return alone;
  constexpr std::array<std::array<std::string_view, 2>, 12> kForms = {{{"", "."},
                                                                       {"", ","},
                                                                       {"", ":"},
                                                                       {"", ")"},
                                                                       {"", ")."},
                                                                       {"(", ")"},
                                                                       {"(", ")."},
                                                                       {":", ""},
                                                                       {":", ","},
                                                                       {":", "."},
                                                                       {":", ")"},
                                                                       {":", ")."}}};
  for (const auto& [before, behind] : kForms) {
    if (std::string found = only(before, behind); !found.empty()) return found;
  }
  return "";
}

// Words after which an answer follows, in English, Korean, Chinese and Japanese.
constexpr std::array<std::string_view, 27> kPhrases = {
    "the answer is",
    "answer is",
    "the correct answer is",
    "correct answer is",
    "the best answer is",
    "best answer is",
    "the correct option is",
    "correct option is",
    "the best option is",
    "best option is",
    "the choice is",
    "choice is",
    "the correct choice is",
    "correct choice is",
    "i choose",
    "i select",
    "i pick",
    "my answer is",
    "my choice is",
    "\xec\x98\xb5\xec\x85\x98",              // U+C635 U+C158
    "\xec\xa0\x95\xeb\x8b\xb5\xec\x9d\x80",  // U+C815 U+B2F5 U+C740
    "\xeb\x8b\xb5\xec\x9d\x80",              // U+B2F5 U+C740
    "\xeb\x8b\xb5:",                         // U+B2F5
    "\xe7\xad\x94\xe6\xa1\x88\xe6\x98\xaf",  // U+7B54 U+6848 U+662F
    "\xe7\xad\x94\xe6\xa1\x88\xe4\xb8\xba",  // U+7B54 U+6848 U+4E3A
    "\xe9\x80\x89",                          // U+9009
    "\xe7\xad\x94\xe3\x81\x88\xe3\x81\xaf",  // U+7B54 U+3048 U+306F
};

/// The best mention of a letter so far: forms count first, then places; of equals the first stays.
class BestMention {
 public:
  void offer(char letter, std::size_t place, int32_t form) {
    if (!letter_.empty() && (form < form_ || (form == form_ && place <= place_))) return;
    letter_.assign(1, letter);
    place_ = place;
    form_ = form;
  }
  bool empty() const { return letter_.empty(); }
  const std::string& letter() const { return letter_; }

 private:
  std::string letter_;
  std::size_t place_ = 0;
  int32_t form_ = 0;
};

bool letter_at(std::string_view text, std::size_t at) { return is_letter(character_at(text, at).code); }

/// "(A)", "A.", "A:", "A)", "A ".
void offer_marked(std::string_view text, std::span<const Option> options, BestMention& best) {
  struct Form {
    std::string_view before, behind;
    int32_t rank;
  };
  for (const Form& form :
       {Form{"(", ")", 6}, Form{"", ".", 5}, Form{"", ":", 4}, Form{"", ")", 3}, Form{"", " ", 2}}) {
    for (const Option& option : options) {
      const std::string mention = fmt::format("{}{}{}", form.before, option.letter, form.behind);
      const std::size_t place = text.rfind(mention);
      if (place != std::string_view::npos) best.offer(option.letter, place, form.rank);
    }
  }
}

/// The first of each letter behind the first of each phrase.
void offer_behind_phrases(std::string_view text, std::span<const Option> options, BestMention& best) {
  const std::string lowered = lower(text);
  for (const std::string_view phrase : kPhrases) {
    const std::size_t start = lowered.find(phrase);
    if (start == std::string::npos) continue;
    for (const Option& option : options) {
      const std::size_t place = text.find(option.letter, start + phrase.size());
      if (place != std::string_view::npos) best.offer(option.letter, place, 7);
    }
  }
}

/// A letter that begins or ends the text and is no part of a word.
void offer_ends(std::string_view core, std::span<const Option> options, BestMention& best) {
  if (core.empty()) return;
  std::size_t last = core.size() - 1;  // where the character in front of the last byte begins
  while (last > 0 && (static_cast<unsigned char>(core[--last]) & 0xC0U) == 0x80U) {
  }
  for (const Option& option : options) {
    if (core.front() == option.letter && (core.size() == 1 || !letter_at(core, 1)))
      best.offer(option.letter, 0, 10);
    if (core.back() == option.letter && (core.size() == 1 || !letter_at(core, last)))
      best.offer(option.letter, core.size(), 9);
  }
}

std::string by_form_lmms(std::string_view answer, std::span<const Option> options) {
  std::string_view bare = strip(answer);
  if (bare.empty()) return "";
  for (const std::string_view mark : {",", ".", "!", "?", ";", ":", "'", "\""}) bare = strip(bare, mark);
  const std::string text = fmt::format(" {} ", bare);
  BestMention best;
  offer_marked(text, options, best);
  offer_behind_phrases(text, options, best);
  offer_ends(strip(text), options, best);
  if (best.empty()) {
    for (const Option& option : options) {
      const std::size_t place = text.rfind(option.letter);
      if (place != std::string::npos) best.offer(option.letter, place, 0);
    }
  }
  return best.letter();
}

}  // namespace

std::vector<Option> options_of(std::span<const std::string> choices) {
  std::vector<Option> options;
  for (std::size_t i = 0; i < choices.size(); ++i) {
    if (!choices[i].empty()) options.push_back({static_cast<char>('A' + i), choices[i]});
  }
  return options;
}

std::string choice_vlmeval(std::string_view answer, std::span<const Option> options) {
  std::string found = by_letter_vlmeval(answer, options);
  if (!found.empty()) return found;
  std::size_t n_option_characters = 0;
  for (const Option& option : options) n_option_characters += n_characters(option.text);
  if (n_characters(answer) > 2 * n_option_characters) return "";
  return by_text(lower(answer), options);
}

std::string choice_lmms(std::string_view answer, std::span<const Option> options) {
  std::string found = by_letter_lmms(answer);
  if (!found.empty()) return found;
  std::vector<Option> first_four(options.begin(), options.end());
  std::erase_if(first_four, [](const Option& option) { return option.letter > 'D'; });
  found = by_text(lower(answer), first_four);
  return found.empty() ? by_form_lmms(answer, first_four) : found;
}

std::string choice_llava_science(std::string_view answer) {
  const auto is_option = [](char c) { return c >= 'A' && c <= 'E'; };
  if (answer.size() == 1 && is_option(answer[0])) return std::string(answer);
  if (answer.size() >= 3 && is_option(answer[0]) && answer.substr(1, 2) == ". ") return {answer[0]};
  constexpr std::string_view kPhrase = "The answer is ";
  std::string found;
  for (std::size_t at = 0; (at = answer.find(kPhrase, at)) != std::string_view::npos;) {
    const std::size_t letter = at + kPhrase.size();
    const bool matches = letter + 1 < answer.size() && answer[letter] >= 'A' && answer[letter] <= 'Z' &&
                         answer[letter + 1] != '\n';
    if (matches) found += answer[letter];
    at = matches ? letter + 2 : at + 1;
  }
  return found.size() == 1 && is_option(found[0]) ? found : "";
}

std::string choice_lmms_science(std::string_view answer) {
  if (answer.size() == 1 && is_letter(static_cast<unsigned char>(answer[0])))
    return {static_cast<char>(answer[0] & ~0x20)};
  if (answer.size() >= 2 && answer[0] >= 'A' && answer[0] <= 'Z' && answer[1] == '.') return {answer[0]};
  return "";
}

}  // namespace winnow::eval
