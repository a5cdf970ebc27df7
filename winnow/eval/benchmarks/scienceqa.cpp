// ScienceQA-IMG: multiple choice on school science, the questions with a picture (Lu et al. 2022, arXiv
// 2209.09513). Files: problems.json, pid_splits.json, images/ID/image.png (also images/SPLIT/ID/) of
// lupantech/ScienceQA; LLaVA's llava_test_CQM-A.json is read for its prompts where it is there. Rules: LLaVA
// llava/eval/model_vqa_science.py and eval_science_qa.py (its "IMG-Accuracy"); lmms-eval
// lmms_eval/tasks/scienceqa (scienceqa_img); VLMEvalKit's ScienceQA_TEST.tsv with
// vlmeval/dataset/utils/multiple_choice.py (mcq_vanilla_eval, `exact_matching`). Prompts: llava and lmms
// write "Context: " in front of the hint, vlmeval's LLaVA adapter the hint alone.

#include "winnow/base/error.h"
#include "winnow/eval/choice.h"
#include "winnow/eval/dataset_files.h"
#include "winnow/eval/metrics.h"
#include "winnow/eval/prompt_text.h"
#include "winnow/eval/python_text.h"
#include "winnow/record/jsonl.h"

namespace winnow::eval {
namespace {

constexpr const char* kWhere = "eval.scienceqa";

std::string letter_of(std::size_t idx) { return {static_cast<char>('A' + idx)}; }

/// What the user says in LLaVA's file, without the picture's mark, by question id.
std::map<std::string, std::string> read_asked(const std::string& path) {
  std::map<std::string, std::string> asked;
  record::for_each_element(path, "", [&](const record::JsonRow& row) {
    const std::string text = row.row("conversations", 0).text("value");
    asked[row.text("id")] = strip(replaced(text, "<image>", ""));
  });
  return asked;
}

class ScienceQa final : public Benchmark {
 public:
  const BenchmarkInfo& info() const override { return info_; }

  std::vector<Item> load(const std::string& path, const LoadOptions& options) const override {
    check_options(options, info_);
    DataFolder folder(path, info_.name);
    const std::string split = options.split.empty() ? "test" : options.split;
    const auto problems = folder.find({"problems.json", "data/scienceqa/problems.json"});
    const auto splits = folder.find({"pid_splits.json", "data/scienceqa/pid_splits.json"});
    if (!problems || !splits) {
      const auto table = split == "val" ? folder.find_table({"ScienceQA_VAL.tsv"})
                                        : folder.find_table({"ScienceQA_TEST.tsv"});
      if (table && !problems) return load_table(*table, options);
      folder.nothing_here();
    }
    std::map<std::string, std::string> asked;
    if (const auto llava = folder.find({fmt::format("llava_{}_CQM-A.json", split)}))
      asked = read_asked(*llava);
    return finish_items(read_problems(*problems, *splits, split, asked), options, [&](Item& item) {
      const std::string name = item.id + "/" + item.images[0].path;
      item.images[0] = folder.picture({name}, {"images", "images/" + split, "images/test", split, ""}, item);
    });
  }

  std::string prompt(const Item& item, Convention convention) const override {
    if (convention == Convention::Llava && !item.asked.empty())
      return with_images(item.images.size(), convention, item.asked + std::string(kLetterAnswer));
    std::string text;
    if (!item.hint.empty()) text = (convention == Convention::Vlmeval ? "" : "Context: ") + item.hint + "\n";
    text += item.question + option_lines(item.choices);
    return with_images(item.images.size(), convention, text.append(kLetterAnswer));
  }

  Score score(const Item& item, std::string_view answer, Convention convention) const override {
    const std::string_view text = strip(answer);
    Score score;
    switch (convention) {
      case Convention::Llava: score.extracted = choice_llava_science(text); break;
      case Convention::Lmms: score.extracted = choice_lmms_science(text); break;
      case Convention::Vlmeval: score.extracted = choice_vlmeval(text, options_of(item.choices)); break;
    }
    score.valid = !score.extracted.empty() && score.extracted[0] - 'A' < std::ssize(item.choices);
    score.value = score.valid && score.extracted == item.answers[0] ? 1.0 : 0.0;
    return score;
  }

  std::vector<Metric> aggregate(std::span<const ScoredRow> rows, Convention) const override {
    check_rows(rows, info_.name);
    return accuracies(rows, &ScoredRow::category);
  }

 private:
  static std::vector<Item> read_problems(const std::string& path, const std::string& splits_path,
                                         const std::string& split,
                                         const std::map<std::string, std::string>& asked) {
    const record::Json problems_file = record::read_json(path), splits_file = record::read_json(splits_path);
    const record::JsonRow problems(problems_file, path);
    std::vector<Item> items;
    for (const std::string& id : record::JsonRow(splits_file, splits_path).texts(split)) {
      const record::JsonRow row = problems.row(id);
      if (!row.has("image")) continue;  // ScienceQA-IMG
      Item item;
      item.id = id;
      item.place = row.place();
      item.question = row.text("question");
      item.hint = row.has("hint") ? row.text("hint") : "";
      item.choices = row.texts("choices");
      item.category = row.has("subject") ? row.text("subject") : "";
      item.subcategory = row.has("topic") ? row.text("topic") : "";
      item.split = split;
      item.images = {{.key = "", .path = row.text("image"), .bytes = nullptr}};
      if (row.has("answer")) {
        const int64_t answer = row.integer("answer");
        WINNOW_CHECK(answer >= 0 && answer < std::ssize(item.choices), Corrupt, kWhere,
                     "{}: answer, got {}, expected 0 to {}", item.place, answer,
                     std::ssize(item.choices) - 1);
        item.answers = {letter_of(static_cast<std::size_t>(answer))};
      }
      if (const auto found = asked.find(id); found != asked.end()) item.asked = found->second;
      items.push_back(std::move(item));
    }
    return items;
  }

  static std::vector<Item> load_table(const std::string& path, const LoadOptions& options) {
    VlmevalTable table(path);
    return finish_items(table.items(), options, [&](Item& item) { table.add_pictures(item); });
  }

  BenchmarkInfo info_{.name = "scienceqa",
                      .summary = "multiple choice on school science, the questions with a picture",
                      .paper = "Lu et al. 2022, arXiv 2209.09513",
                      .splits = {"test", "val", "train", "minitest", "minival", "minitrain"},
                      .max_new_tokens = {.llava = 1024, .lmms = 16}};
};

}  // namespace

const Benchmark& scienceqa_benchmark() {
  static const ScienceQa benchmark;
  return benchmark;
}

}  // namespace winnow::eval
