#pragma once

// What TextVQA, VizWiz and VQAv2 share: ten annotators, soft scores.

#include <cstdint>
#include <string_view>

#include "winnow/eval/answer_normaliser.h"
#include "winnow/eval/benchmark.h"
#include "winnow/record/jsonl.h"

namespace winnow::eval {

/// extracted = the normalised answer, value = its soft score against the item's answers.
Score soft_scored(const Item& item, std::string_view answer, AnswerRules rules);

/// VQAv2's official reading (vqaEval.py): answer and annotators are normalised only where the annotators
/// disagree; where all say the same word for word, the answer must be that text.
Score soft_scored_official(const Item& item, std::string_view answer);

/// Throws Corrupt for items with a single answer: it would never count (a table whose list of answers was
/// lost).
void check_annotators(const std::vector<Item>& items);

/// The field "answers" of a row: a list of texts, or of objects with a field "answer".
std::vector<std::string> annotators_of(const record::JsonRow& row);

}  // namespace winnow::eval
