// ChartQA: questions about charts, half asked by people (human), half made from summaries (augmented) (Masry
// et al. 2022, arXiv 2203.10244), test split, 2 x 1250. Files: test/test_human.json,
// test/test_augmented.json, test/png/ of vis-nlp/ChartQA ("ChartQA Dataset"). Rules: lmms-eval
// lmms_eval/tasks/chartqa; VLMEvalKit's ChartQA_TEST.tsv with vlmeval/dataset/utils/vqa_eval.py
// (relaxed_accuracy, best of several answers). LLaVA has no ChartQA: llava is its usual short-answer sentence
// with lmms-eval's scorer. lmms-eval's own file does not take blanks off the prediction, but api/task.py does
// for every task.

#include <fmt/format.h>

#include <algorithm>

#include "winnow/eval/dataset_files.h"
#include "winnow/eval/metrics.h"
#include "winnow/eval/prompt_text.h"
#include "winnow/eval/python_text.h"
#include "winnow/eval/relaxed_match.h"
#include "winnow/record/jsonl.h"

namespace winnow::eval {
namespace {

constexpr std::string_view kSingleWord = "\nAnswer the question with a single word.";

std::vector<Item> read_chartqa(const std::string& path, const std::string& split) {
  std::vector<Item> items;
  record::for_each_element(path, "", [&](const record::JsonRow& row) {
    Item item;
    item.id = fmt::format("{}/{}", split, items.size());
    item.category = item.split = split;
    item.place = row.place();
    item.question = row.text("query");
    if (row.has("label")) item.answers = {row.text("label")};
    item.images = {{.key = "", .path = row.text("imgname"), .bytes = nullptr}};
    items.push_back(std::move(item));
  });
  return items;
}

class ChartQa final : public Benchmark {
 public:
  const BenchmarkInfo& info() const override { return info_; }

  std::vector<Item> load(const std::string& path, const LoadOptions& options) const override {
    check_options(options, info_);
    DataFolder folder(path, info_.name);
    std::vector<Item> items;
    for (const std::string& split : info_.splits) {
      if (!options.split.empty() && options.split != split) continue;
      const std::string name = fmt::format("test_{}.json", split), inside = "test/" + name,
                        whole = "ChartQA Dataset/" + inside;
      const auto file = folder.find({name, inside, whole});
      if (!file) {
        if (const auto table = folder.find_table({"ChartQA_TEST.tsv"})) return load_table(*table, options);
        folder.nothing_here();
      }
      for (Item& item : read_chartqa(*file, split)) items.push_back(std::move(item));
    }
    return finish_items(std::move(items), options, [&](Item& item) {
      item.images[0] = folder.picture({item.images[0].path},
                                      {"test/png", "png", "ChartQA Dataset/test/png", "images", ""}, item);
    });
  }

  std::string prompt(const Item& item, Convention convention) const override {
    const std::string_view suffix = convention == Convention::Lmms ? kSingleWord : kShortAnswer;
    return with_images(item.images.size(), convention, item.question + std::string(suffix));
  }

  Score score(const Item& item, std::string_view answer, Convention) const override {
    Score score;
    score.extracted = strip(answer);
    score.valid = !score.extracted.empty();
    const bool right = std::any_of(item.answers.begin(), item.answers.end(), [&](const std::string& truth) {
      return relaxed_match(score.extracted, truth);
    });
    score.value = right ? 1.0 : 0.0;
    return score;
  }

  std::vector<Metric> aggregate(std::span<const ScoredRow> rows, Convention) const override {
    check_rows(rows, info_.name);
    return accuracies(rows, &ScoredRow::category);
  }

 private:
  static std::vector<Item> load_table(const std::string& path, const LoadOptions& options) {
    VlmevalTable table(path);
    std::vector<Item> items = table.items();
    for (Item& item : items) {  // "test_human", "test_augmented"
      if (contains(item.split, "human")) item.split = "human";
      if (contains(item.split, "augmented")) item.split = "augmented";
      item.category = item.split;
    }
    if (!options.split.empty())
      std::erase_if(items, [&](const Item& item) { return item.split != options.split; });
    return finish_items(std::move(items), options, [&](Item& item) { table.add_pictures(item); });
  }

  BenchmarkInfo info_{.name = "chartqa",
                      .summary = "questions about charts, numbers within 5 %",
                      .paper = "Masry et al. 2022, arXiv 2203.10244",
                      .splits = {"human", "augmented"},
                      .max_new_tokens = {.llava = 128, .lmms = 16}};
};

}  // namespace

const Benchmark& chartqa_benchmark() {
  static const ChartQa benchmark;
  return benchmark;
}

}  // namespace winnow::eval
