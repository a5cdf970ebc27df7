#pragma once

// Yes or no? The published rules for reading it off an answer; each returns "yes", "no", or "" for neither.

#include <string>
#include <string_view>

namespace winnow::eval {

/// LLaVA's POPE (llava/eval/eval_pope.py): the text before the first full stop, without commas, cut at single
/// blanks; one of the words "No", "not", "no" means no, EVERYTHING else yes. A line break is no blank.
std::string yes_no_llava_pope(std::string_view answer);
/// lmms-eval's POPE (lmms_eval/tasks/pope/utils.py): exactly "yes" or "no", in any case.
std::string yes_no_exact(std::string_view answer);
/// MME's own eval_tool/calculation.py, which LLaVA runs: lower case; exactly "yes" or "no", else "yes", then
/// "no", inside the first four characters ("know" means no). One answer is one line of its file, so only the
/// first line counts.
std::string yes_no_mme(std::string_view answer);
/// lmms-eval's MME (lmms_eval/tasks/mme/utils.py): blanks at the ends and every full stop go first; a single
/// "y" or "n" counts as well.
std::string yes_no_lmms_mme(std::string_view answer);
/// VLMEvalKit (vlmeval/dataset/utils/yorn.py, YOrN_Extraction): the words without punctuation hold "yes" and
/// no "no", or the reverse.
std::string yes_no_vlmeval(std::string_view answer);

}  // namespace winnow::eval
