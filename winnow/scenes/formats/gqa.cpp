// GQA (Hudson and Manning 2019, arXiv 1902.09506): testdev_balanced_questions.json with the fields that its
// eval.py reads, and llava's question file.

#include "winnow/base/error.h"
#include "winnow/scenes/formats/writers.h"

namespace winnow::scenes {
namespace {

struct Kind {
  const char* structural;
  const char* semantic;
  const char* operation;
  const char* argument;
};

Kind kind_of(Task task) {
  switch (task) {
    case Task::GqaColor: return {"query", "attr", "query", "color"};
    case Task::GqaShape: return {"query", "attr", "query", "shape"};
    case Task::GqaSize: return {"query", "attr", "query", "size"};
    case Task::GqaRelation: return {"verify", "rel", "verify rel", "position"};
    default: return {"query", "rel", "query", "extreme"};
  }
}

Json row_of(const Question& question, const std::string& id, const std::string& image) {
  const Kind kind = kind_of(question.task);
  const Json select = {{"operation", "select"}, {"dependencies", Json::array()}, {"argument", "thing"}};
  const Json asked = {
      {"operation", kind.operation}, {"dependencies", Json::array({0})}, {"argument", kind.argument}};
  return {{"semantic", Json::array({select, asked})},
          {"entailed", Json::array()},
          {"equivalent", Json::array({id})},
          {"question", question.text},
          {"imageId", image},
          {"isBalanced", true},
          {"groups", {{"global", nullptr}, {"local", task_info(question.task).name}}},
          {"answer", lower_yes_no(question.answer)},
          {"types",
           {{"detailed", task_info(question.task).name},
            {"semantic", kind.semantic},
            {"structural", kind.structural}}}};
}

}  // namespace

void write_gqa(Items items, Output& out) {
  Json questions = Json::object();
  std::string llava;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const Question& question = items[i].question;
    const std::string id = fmt::format("{:08}", i), image = fmt::format("n{:06}", i);
    out.write_picture("images/" + image + ".png", items[i].scenes.front());
    questions[id] = row_of(question, id, image);
    llava += llava_line(id, image + ".png", question.text + short_answer_suffix());
  }
  out.write_json("testdev_balanced_questions.json", questions);
  out.write("llava_gqa_testdev_balanced.jsonl", llava);
}

}  // namespace winnow::scenes
