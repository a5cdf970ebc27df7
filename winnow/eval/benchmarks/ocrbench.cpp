// OCRBench: 1000 questions about text, handwriting, documents, forms and formulas (Liu et al. 2024, arXiv
// 2305.07895). Files: OCRBench.json (Yuliang-Liu/MultimodalOCR OCRBench/OCRBench), OCRBench_Images/. A
// question counts when one of its answers is part of the prediction; the score is the number of such
// questions, so long answers are rewarded: keep max_new_tokens. Rules: the authors'
// OCRBench/scripts/LLaVA1_5.py (llava: the short-answer sentence, 128 tokens); lmms-eval
// lmms_eval/tasks/ocrbench (no sentence; full-width ASCII becomes ASCII); VLMEvalKit
// vlmeval/dataset/image_vqa.py (class OCRBench, no sentence).
// Formulas are compared without any blank and with their case: by the data set HME100k, in vlmeval by the
// category.

#include <algorithm>
#include <array>

#include "winnow/eval/dataset_files.h"
#include "winnow/eval/metrics.h"
#include "winnow/eval/prompt_text.h"
#include "winnow/eval/python_text.h"
#include "winnow/record/jsonl.h"

namespace winnow::eval {
namespace {

constexpr std::string_view kFormulas = "Handwritten Mathematical Expression Recognition";
constexpr std::array<std::string_view, 6> kRecognition = {
    "Regular Text Recognition", "Irregular Text Recognition", "Artistic Text Recognition",
    "Handwriting Recognition",  "Digit String Recognition",   "Non-Semantic Text Recognition"};

/// Full-width ASCII (U+FF01 to U+FF5E, U+3000) as ASCII.
std::string folded(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const Character c = character_at(text, at);
    if (c.code >= 0xFF01 && c.code <= 0xFF5E) {
      out += static_cast<char>(c.code - 0xFEE0);
    } else if (c.code == 0x3000) {
      out += ' ';
    } else {
      out += text.substr(at, c.n_bytes);
    }
    at += c.n_bytes;
  }
  return out;
}

std::string compared(std::string_view text, bool formula, Convention convention) {
  if (formula) return replaced(replaced(strip(text), "\n", " "), " ", "");
  const std::string lowered = lower(convention == Convention::Lmms ? folded(text) : std::string(text));
  return replaced(strip(lowered), "\n", " ");
}

class OcrBench final : public Benchmark {
 public:
  const BenchmarkInfo& info() const override { return info_; }

  std::vector<Item> load(const std::string& path, const LoadOptions& options) const override {
    check_options(options, info_);
    DataFolder folder(path, info_.name);
    const auto file = folder.find({"OCRBench.json", "OCRBench/OCRBench.json"});
    if (!file) {
      if (const auto table = folder.find_table({"OCRBench.tsv"})) return load_table(*table, options);
      folder.nothing_here();
    }
    std::vector<Item> items;
    record::for_each_element(*file, "", [&](const record::JsonRow& row) {
      Item item;
      item.id = std::to_string(items.size());  // the file's ids are those of 29 data sets
      item.place = row.place();
      item.question = row.text("question");
      item.category = row.text("type");
      item.subcategory = row.text("dataset_name");
      if (row.has("answers"))
        item.answers = row.at("answers").is_array() ? row.texts("answers") : std::vector{row.text("answers")};
      item.images = {{.key = "", .path = row.text("image_path"), .bytes = nullptr}};
      items.push_back(std::move(item));
    });
    return finish_items(std::move(items), options, [&](Item& item) {
      item.images[0] = folder.picture({item.images[0].path}, {"OCRBench_Images", "images", ""}, item);
    });
  }

  std::string prompt(const Item& item, Convention convention) const override {
    switch (convention) {
      case Convention::Llava:
        return with_images(item.images.size(), convention, item.question + std::string(kShortAnswer));
      case Convention::Lmms: return with_images(item.images.size(), convention, strip(item.question));
      case Convention::Vlmeval: break;
    }
    return with_images(item.images.size(), convention, item.question);
  }

  Score score(const Item& item, std::string_view answer, Convention convention) const override {
    const bool formula = convention == Convention::Vlmeval || item.subcategory.empty()
                             ? item.category == kFormulas
                             : item.subcategory == "HME100k";
    const std::string text = compared(strip(answer), formula, convention);
    Score score;
    score.valid = !text.empty();
    for (const std::string& truth : item.answers) {
      const std::string wanted = compared(truth, formula, convention);
      if (!contains(text, wanted)) continue;
      score.extracted = wanted;
      score.value = 1.0;
      break;
    }
    return score;
  }

  std::vector<Metric> aggregate(std::span<const ScoredRow> rows, Convention) const override {
    check_rows(rows, info_.name);
    RowRefs recognition;
    for (const ScoredRow& row : rows) {
      if (std::find(kRecognition.begin(), kRecognition.end(), row.category) != kRecognition.end())
        recognition.push_back(&row);
    }
    std::vector<Metric> out = {points("score", refs_of(rows))};
    if (!recognition.empty()) out.push_back(points("points/Text Recognition", recognition));
    for (const auto& [name, refs] : grouped_by(rows, &ScoredRow::category))
      out.push_back(points("points/" + name, refs));
    return out;
  }

  /// Points are a sum; of a resample there are as many questions, so the sum serves.
  Headline headline(Convention) const override {
    Headline out = mean_headline();
    out.value = [](const Sums& sums) { return sums[0]; };
    out.is_plain_mean = false;
    return out;
  }

 private:
  static Metric points(std::string name, const RowRefs& rows) {
    Metric metric = percent(std::move(name), rows);
    metric.max = static_cast<double>(metric.n);
    metric.value *= metric.max / 100.0;
    return metric;
  }

  static std::vector<Item> load_table(const std::string& path, const LoadOptions& options) {
    VlmevalTable table(path);
    return finish_items(table.items(), options, [&](Item& item) { table.add_pictures(item); });
  }

  BenchmarkInfo info_{.name = "ocrbench",
                      .summary = "text, handwriting, documents, forms and formulas; points out of 1000",
                      .paper = "Liu et al. 2024, arXiv 2305.07895",
                      .max_new_tokens = {.llava = 128, .lmms = 128}};
};

}  // namespace

const Benchmark& ocrbench_benchmark() {
  static const OcrBench benchmark;
  return benchmark;
}

}  // namespace winnow::eval
