// MME (Fu et al. 2023, arXiv 2306.13394), the release's layout: CATEGORY/NAME.txt with two lines "question,
// tab, Yes or No" beside CATEGORY/NAME.png; and llava's question file.

#include <filesystem>
#include <set>

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

/// Of the pair that begins at question i, without the ending.
std::string pair_name(Items items, std::size_t i) {
  return std::string(category_of_task(items[i].question.task)) + "/" + six_digits(i / 2);
}

/// The questions are whatever texts the folders hold, so those of another draw would be taken for this one's.
void check_no_other_draw(Items items, const Output& out) {
  namespace fs = std::filesystem;
  std::set<std::string> own;
  for (std::size_t i = 0; i + 1 < items.size(); i += 2) own.insert(pair_name(items, i) + ".txt");
  for (const Task task : {Task::MmeExistence, Task::MmeCount, Task::MmePosition, Task::MmeColor, Task::MmeOcr,
                          Task::MmeCalculation, Task::MmeCommonsense}) {
    const std::string category = category_of_task(task);
    std::error_code ignored;  // no such folder: nothing in it
    for (const auto& entry : fs::directory_iterator(fs::path(out.folder()) / category, ignored)) {
      const std::string name = category + "/" + entry.path().filename().string();
      WINNOW_CHECK(
          entry.path().extension() != ".txt" || own.contains(name), InvalidArgument, "scenes.formats",
          "{} is of another draw and would count as of this one; give another folder", entry.path().string());
    }
  }
}

}  // namespace

void write_mme(Items items, Output& out) {
  check_no_other_draw(items, out);
  std::string llava;
  for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
    const std::string category = category_of_task(items[i].question.task);
    const std::string name = pair_name(items, i);
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
