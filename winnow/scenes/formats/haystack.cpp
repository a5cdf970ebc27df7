// Visual Haystacks (Wu et al. 2024, arXiv 2407.13766): visual_haystack_{1,2,3,5,10}.json with the fields of
// the authors' toolkit (conversations, pos_image, neg_image). It draws the needle's place anew in each run,
// so `images` and `needle` fix the order, and anchor, target, question and answer spare reading sentences.

#include <map>
#include <utility>

#include "winnow/base/error.h"
#include "winnow/scenes/formats/writers.h"

namespace winnow::scenes {
namespace {

/// "For the image with the red star, is there a blue ring?" -> "red star", "blue ring"
std::pair<std::string, std::string> anchor_and_target(const std::string& text) {
  constexpr std::string_view kHead = "For the image with the ", kMiddle = ", is there ";
  const std::size_t middle = text.find(kMiddle);
  WINNOW_ASSERT(text.starts_with(kHead) && middle != std::string::npos && text.ends_with('?'));
  const std::size_t target = text.find(' ', middle + kMiddle.size()) + 1;  // behind the article
  return {text.substr(kHead.size(), middle - kHead.size()), text.substr(target, text.size() - 1 - target)};
}

Json row_of(const Question& question, const std::vector<std::string>& images) {
  const auto [anchor, target] = anchor_and_target(question.text);
  const std::string answer = lower_yes_no(question.answer);
  const auto needle = static_cast<std::size_t>(question.needle);
  Json others = Json::array();
  for (std::size_t i = 0; i < images.size(); ++i) {
    if (i != needle) others.push_back(images[i]);
  }
  const Json human = {{"from", "human"}, {"value", question.text}};
  const Json gpt = {{"from", "gpt"}, {"value", answer}};
  return {{"conversations", Json::array({human, gpt})},
          {"pos_image", Json::array({images[needle]})},
          {"neg_image", others},
          {"images", images},
          {"needle", needle},
          {"anchor", anchor},
          {"target", target},
          {"question", question.text},
          {"answer", answer}};
}

}  // namespace

void write_haystack(Items items, Output& out) {
  std::map<std::size_t, Json> files;  // by number of pictures
  for (const std::size_t n : {1, 2, 3, 5, 10}) files[n] = Json::array();
  for (std::size_t i = 0; i < items.size(); ++i) {
    std::vector<std::string> images;
    for (const Scene& scene : items[i].scenes) {
      images.push_back(fmt::format("{}_{:02}.png", six_digits(i), images.size()));
      out.write_picture("images/" + images.back(), scene);
    }
    files[images.size()].push_back(row_of(items[i].question, images));
  }
  for (const auto& [n, rows] : files) out.write_json(fmt::format("visual_haystack_{}.json", n), rows);
}

}  // namespace winnow::scenes
