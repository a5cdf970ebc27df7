#pragma once

// Which option does an answer choose? The published rules; each returns its letter ("A"), or "" for none.

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace winnow::eval {

struct Option {
  char letter = 'A';
  std::string text;
};
/// Option i has letter 'A' + i; empty texts are options that the question lacks and are left out.
std::vector<Option> options_of(std::span<const std::string> choices);

/// VLMEvalKit's `exact_matching` (vlmeval/utils/matching_util.py, can_infer). Also "Z" where it reads a
/// refusal.
///  1. . ( ) [ ] , : ; ! * # { } become blanks; exactly one option letter among the words: that one, if it
///  stands
///     among the last four words ("A" as an article counts as a letter);
///  2. else "answer is X" anywhere, in any case, with or without **; X need not end there: "answer is blue"
///  is B;
///  3. else the one option whose text occurs in the answer, if the answer has at most twice as many
///  characters
///     as all options together.
std::string choice_vlmeval(std::string_view answer, std::span<const Option> options);

/// lmms-eval's mmbench_en_dev_static (lmms_eval/tasks/mmbench/mmbench_evals.py, then
/// _task_utils/mcq_extract.py where the first finds nothing). Its default asks GPT instead.
///  1. words at blanks; exactly one letter of A..E among them: that one, unless "A" is there and there are
///  more
///     than three words; else the first of "X.", "X,", "X:", "X)", "X).", "(X)", "(X).", ":X" ... of which
///     exactly one is a word; else the one option of A..D whose text occurs in the answer;
///  2. else the best of several forms, the last place within a form: at the start, at the end, behind "the
///  answer
///     is" and the like, "(X)", "X.", "X:", "X)", "X ", anywhere.
std::string choice_lmms(std::string_view answer, std::span<const Option> options);

/// LLaVA's ScienceQA (llava/eval/eval_science_qa.py): exactly a letter of A..E, or "X. ...", or the only
/// match of "The answer is X" with any character behind it.
std::string choice_llava_science(std::string_view answer);
/// lmms-eval's ScienceQA (lmms_eval/tasks/scienceqa/utils.py): a single letter in any case, or "X..." where X
/// is a capital with a full stop behind it.
std::string choice_lmms_science(std::string_view answer);

}  // namespace winnow::eval
