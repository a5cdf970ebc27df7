// MMBench (Liu et al. 2023, arXiv 2307.06281). MMBench_DEV_EN.tsv holds the rotations of the options as well,
// as rows index + k * 1,000,000 whose image is the index of the row that holds it; mmbench_dev.tsv holds
// only the first order, for scripts that cannot look a picture up (llava's).

#include "winnow/base/error.h"
#include "winnow/scenes/formats/writers.h"

namespace winnow::scenes {
namespace {

constexpr std::size_t kRotationStep = 1000000;
constexpr std::string_view kHeader =
    "index\tquestion\thint\tA\tB\tC\tD\tanswer\tcategory\tl2-category\timage\tsource\tsplit\tcomment\n";

/// As pandas writes it: quoted where needed, quotes doubled.
std::string cell(const std::string& text) {
  if (text.find_first_of("\t\r\n\"") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? "\"\"" : std::string(1, c);
  return out + "\"";
}

std::string row_of(const Question& question, std::size_t index, const std::string& image) {
  std::string row = std::to_string(index);
  const auto add = [&row](const std::string& text) {
    row += '\t';
    row += cell(text);
  };
  add(stem_of(question));
  add("");
  for (const std::string& choice : question.choices) add(choice);
  add(question.answer);
  add(std::string(task_info(question.task).name));
  add("finegrained_perception (instance-level)");
  add(image);
  add("winnow_scenes");
  add("dev");
  add("");
  return row + "\n";
}

}  // namespace

void write_mmbench(Items items, Output& out) {
  OutputFile circular = out.open("MMBench_DEV_EN.tsv"), plain = out.open("mmbench_dev.tsv");
  circular.append(kHeader);
  plain.append(kHeader);
  for (std::size_t i = 0; i < items.size(); ++i) {
    const std::string row = row_of(items[i].question, i + 1, base64(out.picture(items[i].scenes.front())));
    circular.append(row);
    plain.append(row);
  }
  const std::size_t n_options = items.empty() ? 0 : items.front().question.choices.size();
  for (std::size_t shift = 1; shift < n_options; ++shift) {
    for (std::size_t i = 0; i < items.size(); ++i) {
      const Question turned = rotated(items[i].question, static_cast<int32_t>(shift));
      circular.append(row_of(turned, i + 1 + shift * kRotationStep, std::to_string(i + 1)));
    }
  }
  out.finish(circular);
  out.finish(plain);
}

}  // namespace winnow::scenes
