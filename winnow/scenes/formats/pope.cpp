// POPE (Li et al. 2023, arXiv 2305.10355): coco_pope_{random,popular,adversarial}.json, JSON lines; and
// llava's question file, whose lines are told apart by their category.

#include <array>

#include "winnow/base/error.h"
#include "winnow/scenes/formats/writers.h"

namespace winnow::scenes {
namespace {

struct Negatives {
  Task task;
  const char* name;
};
constexpr std::array<Negatives, 3> kNegatives = {{{Task::ExistRandom, "random"},
                                                  {Task::ExistPopular, "popular"},
                                                  {Task::ExistAdversarial, "adversarial"}}};

}  // namespace

void write_pope(Items items, Output& out) {
  std::string llava;
  int32_t n_all = 0;
  for (const Negatives& kind : kNegatives) {
    std::string rows;
    int32_t n = 0;
    for (const BenchmarkItem& item : items) {
      const Question& question = item.question;
      if (question.task != kind.task) continue;
      const std::string image = fmt::format("{}_{:06}.png", kind.name, n);
      out.write_picture("images/" + image, item.scenes.front());
      const Json row = {{"question_id", ++n},
                        {"image", image},
                        {"text", question.text},
                        {"label", lower_yes_no(question.answer)}};
      rows += row.dump() + "\n";
      llava += llava_line(++n_all, image, question.text + short_answer_suffix(), kind.name);
    }
    out.write(fmt::format("coco_pope_{}.json", kind.name), rows);
  }
  out.write("llava_pope_test.jsonl", llava);
}

}  // namespace winnow::scenes
