// RefCOCO (Yu et al. 2016, arXiv 1608.00272): JSON lines with the columns of lmms-eval's tables (bbox is x,
// y, width, height in pixels; answer holds the expressions) and those of the original references (ref_id,
// sentences ...); question is the prompt of lmms-eval's task "rec". And the same prompts as a llava file.

#include "winnow/base/error.h"
#include "winnow/scenes/formats/writers.h"

namespace winnow::scenes {

void write_refcoco(Items items, Output& out) {
  std::string rows, llava;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const Question& question = items[i].question;
    const Box& box = question.box;
    const std::string& expression = question.expression;
    const std::string image = six_digits(i) + ".png", prompt = ground_prefix() + " " + expression;
    out.write_picture("images/" + image, items[i].scenes.front());
    const Json sentence = {{"raw", expression}, {"sent", expression}, {"sent_id", i}};
    const Json row = {{"question_id", i},
                      {"image", image},
                      {"image_size", Json::array({kSide, kSide})},
                      {"question", prompt},
                      {"answer", Json::array({expression})},
                      {"bbox", Json::array({box.x0, box.y0, box.x1 - box.x0, box.y1 - box.y0})},
                      {"iscrowd", 0},
                      {"file_name", image},
                      {"ref_id", i},
                      {"ann_id", i},
                      {"image_id", i},
                      {"split", "val"},
                      {"sentences", Json::array({sentence})},
                      {"sent_ids", Json::array({i})}};
    rows += row.dump() + "\n";
    llava += llava_line(i, image, prompt);
  }
  out.write("refcoco_val.jsonl", rows);
  out.write("llava_refcoco_val.jsonl", llava);
}

}  // namespace winnow::scenes
