#include <fmt/ranges.h>

#include "winnow/base/error.h"
#include "winnow/study/study.h"

namespace winnow::study {

const std::vector<Study>& studies() {
  static const std::vector<Study> all = {
      {"baselines", "Do random choice and pooling beat the designed methods?",
       "Random and pooling beat the designed methods on about two thirds of the benchmarks (section 4.1, "
       "Table 1: LLaVA-1.5-7B, 144 "
       "of 576 tokens: random 95.0, pooling 96.4, FastV 89.8, SparseVLM 93.5 % of the unpruned model).",
       baselines},
      {"position", "Does FastV prefer places, and does an even spread help?",
       "FastV keeps tokens at the end of the image far more often; windows repair that (section 4.2: +3.4 "
       "points of the average at 25 %, "
       "+9 at 11.1 %; Table 4: at 22.2 % RefCOCO falls to 18.8 % of the unpruned model with FastV, 20.2 with "
       "windows, 23.2 with "
       "random, 22.7 with pooling, 4.8 with SparseVLM).",
       position},
      {"language", "Does the question help to choose tokens?",
       "Only where the task depends on the text: on Visual Haystack text-guided methods lose less (section "
       "5, Table 5: FastV 76.3, "
       "with the last visual token as query 71.9, random 75.2, SparseVLM 81.3 % on the oracle setting).",
       language},
      {"alpha", "Importance or redundancy?",
       "Perception (MME, POPE) is best with redundancy first, alpha 0 to 0.1; knowledge (ScienceQA, TextVQA) "
       "with importance first, 0.8 to "
       "0.9 (section 6, Table 6).",
       alpha},
      {"latency", "Do FLOPs, tokens, cache bytes and seconds agree?",
       "No (section 7, Table 7: LLaVA-NeXT-7B, 2,880 to 320 tokens): MustDrop has the fewest FLOPs and the "
       "highest latency; methods that prune "
       "at four layers and need attention maps are slower than FLOPs say.",
       latency},
      {"training", "Is compression built into training better than pruning afterwards?",
       "Yes: Qwen2-VL merges 2 x 2 patches in training (TACR 4); with that counted in, FastV at 88.9 % keeps "
       "99.6 % of the "
       "unpruned score, nominally 84.0 % (section 7, Table 8).",
       training},
      {"equal-latency", "Which method is best in the same time?",
       "Not in the paper: it asks for measured time instead of FLOPs.", equal_latency},
      {"budget", "How few tokens are enough?", "Not in the paper: the knee of each method's curve.", budget},
  };
  return all;
}

const Study& find_study(std::string_view name) {
  std::vector<std::string> known;
  for (const Study& study : studies()) {
    if (study.name == name) return study;
    known.push_back(study.name);
  }
  fail(ErrorCode::NotFound, "study.find", "study, got '{}', expected one of {}", name,
       fmt::join(known, ", "));
}

std::string to_markdown(const Study& study, const Section& section) {
  const std::string answer = section.answer.substr(0, section.answer.find_last_not_of(' ') + 1);
  return fmt::format("## {}: {}\n\n**The paper:** {}\n\n**Here:** {}\n\n{}", study.name, study.title,
                     study.claim, answer, section.body);
}

}  // namespace winnow::study
