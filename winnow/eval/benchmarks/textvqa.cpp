// TextVQA: reading in pictures (Singh et al. 2019, arXiv 1904.08920), validation split, 5000 questions with
// ten answers. Two benchmarks: textvqa, and textvqa_ocr with the words that an OCR system found in the
// prompt. LLaVA's published numbers are those of textvqa_ocr, which a model can answer in part without
// looking. Files: TextVQA_0.5.1_val.json, train_images/; LLaVA's llava_textvqa_val_v051.jsonl or, for
// textvqa_ocr, llava_textvqa_val_v051_ocr.jsonl, which holds the words. Rules: LLaVA
// llava/eval/eval_textvqa.py (joins on image and question in lower case; of equal pairs its last annotation
// counts for all, here each its own) and m4c_evaluator.py; lmms-eval lmms_eval/tasks/textvqa (str.capitalize:
// the rest of the question becomes lower case); VLMEvalKit vlmeval/dataset/image_vqa.py. VLMEvalKit knows no
// OCR prompt: there it is lmms-eval's with the question as it stands.

#include <algorithm>

#include "winnow/base/error.h"
#include "winnow/eval/dataset_files.h"
#include "winnow/eval/metrics.h"
#include "winnow/eval/prompt_text.h"
#include "winnow/eval/python_text.h"
#include "winnow/eval/vqa_family.h"
#include "winnow/record/jsonl.h"

namespace winnow::eval {
namespace {

constexpr const char* kWhere = "eval.textvqa";
constexpr std::string_view kOcr = "Reference OCR token:";

/// The question of a llava prompt, as LLaVA's scorer finds it (eval_textvqa.py, prompt_processor).
std::string question_of(std::string_view prompt, std::string_view place) {
  const auto lines = split_at(prompt, '\n');
  const bool with_ocr = contains(prompt, "Reference OCR token: ") && lines.size() == 3;
  WINNOW_CHECK(
      with_ocr || lines.size() == 2, Corrupt, kWhere,
      "{}: text, expected the question, perhaps a line with OCR tokens, and a sentence, got {} lines", place,
      lines.size());
  return lower(with_ocr && lines[0].starts_with(kOcr) ? lines[1] : lines[0]);
}

/// "a, b" of the line "Reference OCR token: a, b".
std::string ocr_of(std::string_view prompt) {
  for (const std::string_view line : split_at(prompt, '\n')) {
    if (line.starts_with(kOcr)) return std::string(strip(line.substr(kOcr.size())));
  }
  return "";
}

class TextVqa final : public Benchmark {
 public:
  explicit TextVqa(bool with_ocr) : with_ocr_(with_ocr) {
    info_.name = with_ocr ? "textvqa_ocr" : "textvqa";
    info_.summary =
        with_ocr ? "textvqa with an OCR system's words in the prompt" : "reading in pictures, ten annotators";
    info_.paper = "Singh et al. 2019, arXiv 1904.08920";
    info_.max_new_tokens = {.llava = 128, .lmms = 1024};
  }
  const BenchmarkInfo& info() const override { return info_; }

  std::vector<Item> load(const std::string& path, const LoadOptions& options) const override {
    check_options(options, info_);
    DataFolder folder(path, info_.name);
    const auto file = folder.find({"TextVQA_0.5.1_val.json"});
    if (!file) {
      const auto table = with_ocr_ ? std::nullopt : folder.find_table({"TextVQA_VAL.tsv"});
      if (table) return load_table(*table, options);
      folder.nothing_here();
    }
    std::vector<Item> items = read_annotations(*file);
    const auto llava = with_ocr_ ? folder.find({"llava_textvqa_val_v051_ocr.jsonl"})
                                 : folder.find({"llava_textvqa_val_v051.jsonl"});
    if (llava) add_asked(items, *llava);
    if (with_ocr_) {
      if (!llava) folder.nothing_here();
      for (const Item& item : items) {
        WINNOW_CHECK(!item.asked.empty(), Corrupt, kWhere, "{}: question '{}' has no line in {}", item.place,
                     item.id, *llava);
      }
    }
    return finish_items(std::move(items), options, [&](Item& item) {
      const std::string id = item.images[0].path;
      item.images[0] = folder.picture({id + ".jpg", id + ".png"}, {"train_images", "images", ""}, item);
    });
  }

  std::string prompt(const Item& item, Convention convention) const override {
    if (convention == Convention::Llava && !item.asked.empty())
      return with_images(item.images.size(), convention, item.asked);
    std::string text = convention == Convention::Lmms ? capitalize(item.question) : item.question;
    if (with_ocr_) text += "\nReference OCR token: " + item.hint;
    return with_images(item.images.size(), convention, text.append(kShortAnswer));
  }

  Score score(const Item& item, std::string_view answer, Convention convention) const override {
    return soft_scored(item, strip(answer),
                       convention == Convention::Vlmeval ? AnswerRules::Vlmeval : AnswerRules::EvalAi);
  }

  std::vector<Metric> aggregate(std::span<const ScoredRow> rows, Convention) const override {
    check_rows(rows, info_.name);
    return {percent("accuracy", refs_of(rows))};
  }

 private:
  static std::vector<Item> read_annotations(const std::string& path) {
    std::vector<Item> items;
    record::for_each_element(path, "data", [&](const record::JsonRow& row) {
      Item item;
      item.id = row.text("question_id");
      item.place = row.place();
      item.question = row.text("question");
      item.answers = annotators_of(row);
      item.images = {{.key = "", .path = row.text("image_id"), .bytes = nullptr}};
      items.push_back(std::move(item));
    });
    check_annotators(items);
    return items;
  }

  void add_asked(std::vector<Item>& items, const std::string& path) const {
    std::map<std::pair<std::string, std::string>, std::string> asked;
    record::for_each_line(path, [&](const record::JsonRow& row) {
      const std::string text = row.text("text");
      asked[{row.text("question_id"), question_of(text, row.place())}] = text;
    });
    for (Item& item : items) {
      const auto found = asked.find({item.images[0].path, lower(item.question)});
      if (found == asked.end()) continue;
      item.asked = found->second;
      if (with_ocr_) item.hint = ocr_of(item.asked);
    }
  }

  static std::vector<Item> load_table(const std::string& path, const LoadOptions& options) {
    VlmevalTable table(path);
    std::vector<Item> items = table.items();
    check_annotators(items);
    return finish_items(std::move(items), options, [&](Item& item) { table.add_pictures(item); });
  }

  bool with_ocr_;
  BenchmarkInfo info_;
};

}  // namespace

const Benchmark& textvqa_benchmark() {
  static const TextVqa benchmark(false);
  return benchmark;
}

const Benchmark& textvqa_ocr_benchmark() {
  static const TextVqa benchmark(true);
  return benchmark;
}

}  // namespace winnow::eval
