#include "winnow/eval/yes_no.h"

#include <algorithm>

#include "winnow/eval/answer_normaliser.h"
#include "winnow/eval/python_text.h"

namespace winnow::eval {
namespace {

std::string in_first_four(std::string_view text) {
  const std::string_view head = first_characters(text, 4);
  if (contains(head, "yes")) return "yes";
  return contains(head, "no") ? "no" : "";
}

}  // namespace

std::string yes_no_llava_pope(std::string_view answer) {
  const std::string sentence = replaced(answer.substr(0, answer.find('.')), ",", "");
  for (const std::string_view word : split_at(sentence, ' ')) {
    if (word == "No" || word == "not" || word == "no") return "no";
  }
  return "yes";
}

std::string yes_no_exact(std::string_view answer) {
  const std::string text(strip(lower(answer)));
  return text == "yes" || text == "no" ? text : "";
}

std::string yes_no_mme(std::string_view answer) {
  const std::string text = lower(answer.substr(0, answer.find('\n')));
  return text == "yes" || text == "no" ? text : in_first_four(text);
}

std::string yes_no_lmms_mme(std::string_view answer) {
  const std::string lowered = lower(answer);
  std::string text = replaced(strip(lowered), ".", "");
  if (text == "yes" || text == "no") return text;
  if (n_characters(text) == 1) return text == "y" ? "yes" : text == "n" ? "no" : "";
  return in_first_four(text);
}

std::string yes_no_vlmeval(std::string_view answer) {
  const std::string text = vlmeval_punctuation(lower(answer));
  const auto words = split_words(text);
  const auto has = [&words](std::string_view word) {
    return std::find(words.begin(), words.end(), word) != words.end();
  };
  if (has("yes") == has("no")) return "";
  return has("yes") ? "yes" : "no";
}

}  // namespace winnow::eval
