#include "winnow/eval/vqa_family.h"

#include <algorithm>

#include "winnow/base/error.h"
#include "winnow/eval/python_text.h"

namespace winnow::eval {

Score soft_scored(const Item& item, std::string_view answer, AnswerRules rules) {
  std::vector<std::string> annotators;
  for (const std::string& one : item.answers) annotators.push_back(normalise_answer(one, rules));
  Score score;
  score.extracted = normalise_answer(answer, rules);
  score.valid = !score.extracted.empty();
  score.value = soft_score(score.extracted, annotators);
  return score;
}

Score soft_scored_official(const Item& item, std::string_view answer) {
  const auto on_one_line = [](std::string_view text) {
    return std::string(strip(replaced(replaced(text, "\n", " "), "\t", " ")));
  };
  std::vector<std::string> annotators;
  for (const std::string& one : item.answers) annotators.push_back(on_one_line(one));
  Score score;
  score.extracted = on_one_line(answer);
  const bool agree = std::all_of(annotators.begin(), annotators.end(),
                                 [&](const std::string& one) { return one == annotators.front(); });
  if (!agree) {
    for (std::string& one : annotators) one = normalise_answer(one, AnswerRules::Official);
    score.extracted = normalise_answer(answer, AnswerRules::Official);
  }
  score.valid = !score.extracted.empty();
  score.value = soft_score(score.extracted, annotators);
  return score;
}

void check_annotators(const std::vector<Item>& items) {
  for (const Item& item : items) {
    WINNOW_CHECK(item.answers.size() != 1, Corrupt, "eval.load",
                 "{}: question '{}' has one answer ('{}'), expected those of several annotators as a list",
                 item.place, item.id, item.answers[0]);
  }
}

std::vector<std::string> annotators_of(const record::JsonRow& row) {
  if (!row.has("answers")) return {};
  const record::Json& list = row.at("answers");
  if (!list.is_array() || list.empty() || !list.front().is_object()) return row.texts("answers");
  std::vector<std::string> out;
  for (std::size_t i = 0; i < list.size(); ++i) out.push_back(row.row("answers", i).text("answer"));
  return out;
}

}  // namespace winnow::eval
