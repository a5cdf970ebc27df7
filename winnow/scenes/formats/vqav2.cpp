// VQAv2 (Goyal et al. 2017, arXiv 1612.00837): questions and annotations of val2014, val2014/, and a llava
// question file. The official scripts make the picture's name from image_id, with .jpg; here it is .png.

#include "winnow/base/error.h"
#include "winnow/scenes/formats/writers.h"

namespace winnow::scenes {
namespace {

struct Words {
  const char* question_type;  ///< how it begins, as in the published list
  const char* answer_type;
};

Words words_of(Task task) {
  switch (task) {
    case Task::VqaCount: return {"how many", "number"};
    case Task::VqaColor: return {"what is the color of the", "other"};
    case Task::VqaShape: return {"what is the", "other"};
    case Task::VqaYesNo: return {"can you", "yes/no"};
    case Task::VqaFamily: return {"which", "other"};
    case Task::VqaTaste: return {"what", "other"};
    case Task::VqaCategory: return {"what kind of", "other"};
    default: return {"what is the", "number"};
  }
}

Json head() {
  return {{"info", {{"description", "procedural scenes"}, {"version", "2.0"}}},
          {"license", Json::object()},
          {"data_type", "mscoco"},
          {"data_subtype", "val2014"}};
}

Json annotation_of(const Question& question, std::size_t image_id, std::size_t question_id) {
  constexpr int32_t kAnswers = 10;
  const Words kind = words_of(question.task);
  const std::string answer = lower_yes_no(question.answer);
  Json answers = Json::array();
  for (int32_t i = 1; i <= kAnswers; ++i)
    answers.push_back({{"answer", answer}, {"answer_confidence", "yes"}, {"answer_id", i}});
  return {{"question_type", kind.question_type},
          {"multiple_choice_answer", answer},
          {"answers", answers},
          {"image_id", image_id},
          {"answer_type", kind.answer_type},
          {"question_id", question_id}};
}

}  // namespace

void write_vqav2(Items items, Output& out) {
  Json questions = Json::array(), annotations = Json::array();
  std::string llava;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const Question& question = items[i].question;
    const std::size_t image_id = i + 1, question_id = 1000 * image_id;
    const std::string image = fmt::format("COCO_val2014_{:012}.png", image_id);
    out.write_picture("val2014/" + image, items[i].scenes.front());
    questions.push_back({{"image_id", image_id}, {"question", question.text}, {"question_id", question_id}});
    annotations.push_back(annotation_of(question, image_id, question_id));
    llava += llava_line(question_id, image, question.text + short_answer_suffix());
  }
  Json question_file = head(), annotation_file = head();
  question_file["task_type"] = "Open-Ended";
  question_file["questions"] = std::move(questions);
  annotation_file["annotations"] = std::move(annotations);
  out.write_json("v2_OpenEnded_mscoco_val2014_questions.json", question_file);
  out.write_json("v2_mscoco_val2014_annotations.json", annotation_file);
  out.write("llava_vqav2_mscoco_val2014.jsonl", llava);
}

}  // namespace winnow::scenes
