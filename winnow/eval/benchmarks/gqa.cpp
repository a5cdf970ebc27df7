// GQA: questions about attributes, relations and places with one-word answers (Hudson and Manning 2019, arXiv
// 1902.09506), the split testdev_balanced (12,578 questions). Files: testdev_balanced_questions.json of the
// release and images/; LLaVA's llava_gqa_testdev_balanced.jsonl is read for its prompts where it is there.
// Rules: LLaVA scripts/convert_gqa_for_eval.py (full stops at the end go, lower case) and GQA's eval.py
// (equality with the answer; "binary" and "open" by structural type); lmms-eval lmms_eval/tasks/gqa and
// api/metrics.py (any case, ASCII punctuation deleted on both sides); VLMEvalKit
// vlmeval/dataset/utils/vqa_eval.py (method `accuracy`: blanks at the ends go, any case).

#include "winnow/eval/dataset_files.h"
#include "winnow/eval/metrics.h"
#include "winnow/eval/prompt_text.h"
#include "winnow/eval/python_text.h"
#include "winnow/record/jsonl.h"

namespace winnow::eval {
namespace {

constexpr std::string_view kAsciiPunctuation = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

std::string without_ascii_punctuation(std::string_view text) {
  std::string out = lower(text);
  std::erase_if(out, [](char c) { return kAsciiPunctuation.find(c) != std::string_view::npos; });
  return out;
}

std::string compared(std::string_view text, Convention convention) {
  switch (convention) {
    case Convention::Llava: return lower(strip_end(text, "."));
    case Convention::Lmms: return without_ascii_punctuation(text);
    case Convention::Vlmeval: break;
  }
  return lower(strip(text));
}

struct Asked {
  std::string text, image;
};

class Gqa final : public Benchmark {
 public:
  const BenchmarkInfo& info() const override { return info_; }

  std::vector<Item> load(const std::string& path, const LoadOptions& options) const override {
    check_options(options, info_);
    DataFolder folder(path, info_.name);
    const auto file = folder.find({"testdev_balanced_questions.json", "data/testdev_balanced_questions.json",
                                   "data/questions1.2/testdev_balanced_questions.json"});
    if (!file) {
      if (const auto table = folder.find_table({"GQA_TestDev_Balanced.tsv"}))
        return load_table(*table, options);
      folder.nothing_here();
    }
    std::map<std::string, Asked> asked;
    if (const auto llava = folder.find({"llava_gqa_testdev_balanced.jsonl"})) {
      record::for_each_line(*llava, [&](const record::JsonRow& row) {
        asked[row.text("question_id")] = {row.text("text"), row.text("image")};
      });
    }
    return finish_items(read_questions(*file, asked), options, [&](Item& item) {
      const std::string name = item.images[0].path;
      item.images[0] =
          folder.picture({name, name + ".jpg", name + ".png"}, {"images", "data/images", ""}, item);
    });
  }

  std::string prompt(const Item& item, Convention convention) const override {
    if (convention == Convention::Llava && !item.asked.empty())
      return with_images(item.images.size(), convention, item.asked);
    return with_images(item.images.size(), convention, item.question + std::string(kShortAnswer));
  }

  Score score(const Item& item, std::string_view answer, Convention convention) const override {
    Score score;
    score.extracted = compared(strip(answer), convention);
    score.valid = !score.extracted.empty();
    const std::string truth =
        convention == Convention::Llava ? item.answers[0] : compared(item.answers[0], convention);
    score.value = score.extracted == truth ? 1.0 : 0.0;
    return score;
  }

  std::vector<Metric> aggregate(std::span<const ScoredRow> rows, Convention) const override {
    check_rows(rows, info_.name);
    std::vector<Metric> out = accuracies(rows, &ScoredRow::category);
    RowRefs binary, open;
    for (const ScoredRow& row : rows) {
      if (!row.category.empty()) (row.category == "query" ? open : binary).push_back(&row);
    }
    if (!binary.empty()) out.push_back(percent("binary", binary));
    if (!open.empty()) out.push_back(percent("open", open));
    return out;
  }

 private:
  static std::vector<Item> read_questions(const std::string& path, std::map<std::string, Asked>& asked) {
    const record::Json file = record::read_json(path);
    const record::JsonRow questions(file, path);
    std::vector<Item> items;
    for (const auto& entry : file.items()) {
      const record::JsonRow row = questions.row(entry.key());
      Item item;
      item.id = entry.key();
      item.place = row.place();
      item.question = row.text("question");
      if (row.has("answer")) item.answers = {row.text("answer")};
      item.images = {{.key = "", .path = row.text("imageId"), .bytes = nullptr}};
      if (row.has("types")) {
        const record::JsonRow types = row.row("types");
        item.category = types.text("structural");
        item.subcategory = types.text("semantic");
      }
      if (const auto found = asked.find(item.id); found != asked.end()) {
        item.asked = found->second.text;
        item.images[0].path = found->second.image;
      }
      items.push_back(std::move(item));
    }
    return items;
  }

  static std::vector<Item> load_table(const std::string& path, const LoadOptions& options) {
    VlmevalTable table(path);
    return finish_items(table.items(), options, [&](Item& item) { table.add_pictures(item); });
  }

  BenchmarkInfo info_{.name = "gqa",
                      .summary = "attributes, relations and places in one word, testdev_balanced",
                      .paper = "Hudson and Manning 2019, arXiv 1902.09506",
                      .max_new_tokens = {.llava = 128, .lmms = 16}};
};

}  // namespace

const Benchmark& gqa_benchmark() {
  static const Gqa benchmark;
  return benchmark;
}

}  // namespace winnow::eval
