// TextVQA (Singh et al. 2019, arXiv 1904.08920): TextVQA_0.5.1_val.json, train_images/, and llava's question
// files without and with the picture's texts as "Reference OCR token". llava's question_id is the image's,
// because its scorer joins on (image_id, question).

#include <fmt/ranges.h>

#include "winnow/base/error.h"
#include "winnow/scenes/formats/writers.h"

namespace winnow::scenes {
namespace {

std::string ocr_line(const Scene& scene) {
  std::vector<std::string> words;
  for (const Text& text : scene.texts) words.push_back(text.content);
  return fmt::format("\nReference OCR token: {}", fmt::join(words, ", "));
}

}  // namespace

void write_textvqa(Items items, Output& out) {
  constexpr std::size_t kAnswers = 10;
  Json data = Json::array();
  std::string llava, llava_ocr;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const Question& question = items[i].question;
    const Scene& scene = items[i].scenes.front();
    const std::string id = fmt::format("scene{:06}", i), image = id + ".png";
    out.write_picture("train_images/" + image, scene);
    data.push_back({{"question", question.text},
                    {"image_id", id},
                    {"image_classes", Json::array()},
                    {"image_width", kSide},
                    {"image_height", kSide},
                    {"answers", std::vector<std::string>(kAnswers, question.answer)},
                    {"question_id", i + 1},
                    {"set_name", "val"}});
    llava += llava_line(id, image, question.text + short_answer_suffix());
    llava_ocr += llava_line(id, image, question.text + ocr_line(scene) + short_answer_suffix());
  }
  out.write_json("TextVQA_0.5.1_val.json", {{"dataset_type", "val"},
                                            {"dataset_name", "textvqa"},
                                            {"dataset_version", "0.5.1"},
                                            {"data", std::move(data)}});
  out.write("llava_textvqa_val_v051.jsonl", llava);
  out.write("llava_textvqa_val_v051_ocr.jsonl", llava_ocr);
}

}  // namespace winnow::scenes
