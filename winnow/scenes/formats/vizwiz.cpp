// VizWiz (Gurari et al. 2018, arXiv 1802.08218): val.json, images/, and llava's question file.

#include "winnow/base/error.h"
#include "winnow/scenes/formats/writers.h"

namespace winnow::scenes {

void write_vizwiz(Items items, Output& out) {
  constexpr std::size_t kAnswers = 10;
  Json rows = Json::array();
  std::string llava;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const Question& question = items[i].question;
    const bool answerable = question.answer != "unanswerable";
    const std::string image = fmt::format("VizWiz_val_{:08}.png", i);
    out.write_picture("images/" + image, items[i].scenes.front());
    const Json answer = {{"answer", question.answer}, {"answer_confidence", "yes"}};
    rows.push_back({{"image", image},
                    {"question", question.text},
                    {"answers", std::vector<Json>(kAnswers, answer)},
                    {"answer_type", answerable ? "other" : "unanswerable"},
                    {"answerable", answerable ? 1 : 0}});
    llava += llava_line(image, image, question.text + unanswerable_suffix() + short_answer_suffix());
  }
  out.write_json("val.json", rows);
  out.write("llava_val.jsonl", llava);
}

}  // namespace winnow::scenes
