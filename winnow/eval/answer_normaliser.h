#pragma once

// The answer normaliser of the VQA family (TextVQA, VizWiz, VQAv2). Four readings are in use; they share the
// words and differ in punctuation.
//   EvalAi       LLaVA and lmms-eval ("EvalAIAnswerProcessor")       llava/eval/m4c_evaluator.py,
//                                                                    lmms_eval/tasks/_task_utils/vqa_eval_metric.py
//   EvalAiRaw    lmms-eval's VQAv2: the same without its first step  lmms_eval/tasks/vqav2/utils.py
//   Official     the VQA challenge's own (GT-Vision-Lab/VQA) PythonEvaluationTools/vqaEvaluation/vqaEval.py
//   Vlmeval      VLMEvalKit                                          vlmeval/dataset/utils/vqa_eval.py,
//   smp/misc.py

#include <span>
#include <string>
#include <string_view>

namespace winnow::eval {

enum class AnswerRules { EvalAi, EvalAiRaw, Official, Vlmeval };

/// The answer as it is compared.
std::string normalise_answer(std::string_view answer, AnswerRules rules);

/// VLMEvalKit's punctuation step alone: its yes/no rule uses it too.
std::string vlmeval_punctuation(std::string_view text);

/// 0..1. Each annotator in turn is left out and the answer compared with the others: min(1, matches / 3); the
/// mean over the annotators. Texts must be normalised already. A single annotator never counts.
double soft_score(std::string_view answer, std::span<const std::string> annotators);

}  // namespace winnow::eval
