// MME (Fu et al. 2023, arXiv 2306.13394), the release's layout: CATEGORY/NAME.txt with two lines "question,
// tab, Yes or No" beside CATEGORY/NAME.png; and llava's question file.

#include "winnow/base/error.h"
#include "winnow/scenes/formats/writers.h"

namespace winnow::scenes {
namespace {

const char* category_of_task(Task task) {
  switch (task) {
    case Task::MmeExistence: return "existence";
    case Task::MmeCount: return "count";
    case Task::MmePosition: return "position";
    case Task::MmeColor: return "color";
    case Task::MmeOcr: return "OCR";
    case Task::MmeCalculation: return "numerical_calculation";
    default: return "commonsense_reasoning";
  }
}

}  // namespace

void write_mme(Items items, Output& out) {
  std::string llava;
  for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
    const std::string category = category_of_task(items[i].question.task);
    const std::string name = category + "/" + six_digits(i / 2);
    out.write_picture(name + ".png", items[i].scenes.front());
    std::string rows;
    for (const BenchmarkItem& item : items.subspan(i, 2)) {
      const Question& question = item.question;
      rows += question.text + yes_no_suffix() + "\t" + question.answer + "\n";
      // llava's scorer puts " Please answer yes or no." back to find the answer.
      llava += llava_line(name + ".png", name + ".png", question.text + short_answer_suffix(), category);
    }
    out.write(name + ".txt", rows);
  }
  out.write("llava_mme.jsonl", llava);
}

}  // namespace winnow::scenes
