// ScienceQA (Lu et al. 2022, arXiv 2209.09513): problems.json, pid_splits.json (everything in "test", which
// is what evaluation scripts read), images/ID/image.png, and llava's llava_test_CQM-A.json.

#include "winnow/base/error.h"
#include "winnow/scenes/formats/writers.h"

namespace winnow::scenes {
namespace {

Json problem_of(const Question& question) {
  return {{"question", stem_of(question)},
          {"choices", question.choices},
          {"answer", question.answer.front() - 'A'},
          {"hint", ""},
          {"image", "image.png"},
          {"task", "closed choice"},
          {"grade", "grade1"},
          {"subject", "natural science"},
          {"topic", "scenes"},
          {"category", task_info(question.task).name},
          {"skill", ""},
          {"lecture", ""},
          {"solution", ""},
          {"split", "test"}};
}

}  // namespace

void write_scienceqa(Items items, Output& out) {
  Json problems = Json::object(), test = Json::array(), llava = Json::array();
  for (std::size_t i = 0; i < items.size(); ++i) {
    const Question& question = items[i].question;
    const std::string id = std::to_string(i + 1);
    out.write_picture("images/" + id + "/image.png", items[i].scenes.front());
    problems[id] = problem_of(question);
    test.push_back(id);
    const Json human = {{"from", "human"}, {"value", "<image>\n" + question.text}};
    const Json gpt = {{"from", "gpt"}, {"value", question.answer}};
    llava.push_back({{"id", id}, {"image", id + "/image.png"}, {"conversations", Json::array({human, gpt})}});
  }
  Json splits = Json::object();
  for (const char* name : {"train", "val", "test", "trainval", "minitrain", "minival", "minitest"})
    splits[name] = std::string_view(name) == "test" ? test : Json::array();
  out.write_json("problems.json", problems);
  out.write_json("pid_splits.json", splits);
  out.write_json("llava_test_CQM-A.json", llava);
}

}  // namespace winnow::scenes
