// VizWiz: questions of blind people about their own photographs, some of which cannot be answered (Gurari et
// al. 2018, arXiv 1802.08218). The split val has answers (ten each); test is scored on a server, so published
// test numbers cannot be made here. Files: val.json with pictures in val/ or images/; LLaVA's llava_val.jsonl
// is read for its prompts where it is there. Rules: LLaVA scripts/convert_vizwiz_for_submission.py normalises
// the prediction (EvalAIAnswerProcessor); the server's comparison is taken to be the soft score over answers
// normalised alike, as in lmms-eval lmms_eval/tasks/vizwiz_vqa; VLMEvalKit vlmeval/dataset/image_vqa.py
// (class VizWiz: column "answers", the question asked as it stands in its table).

#include "winnow/base/error.h"
#include "winnow/eval/dataset_files.h"
#include "winnow/eval/metrics.h"
#include "winnow/eval/prompt_text.h"
#include "winnow/eval/python_text.h"
#include "winnow/eval/vqa_family.h"
#include "winnow/record/jsonl.h"

namespace winnow::eval {
namespace {

class VizWiz final : public Benchmark {
 public:
  const BenchmarkInfo& info() const override { return info_; }

  std::vector<Item> load(const std::string& path, const LoadOptions& options) const override {
    check_options(options, info_);
    DataFolder folder(path, info_.name);
    const auto file = folder.find({"val.json", "Annotations/val.json"});
    if (!file) {
      if (const auto table = folder.find_table({"VizWiz.tsv"})) return load_table(*table, options);
      folder.nothing_here();
    }
    std::map<std::string, std::string> asked;
    if (const auto llava = folder.find({"llava_val.jsonl"})) {
      record::for_each_line(*llava,
                            [&](const record::JsonRow& row) { asked[row.text("image")] = row.text("text"); });
    }
    std::vector<Item> items;
    record::for_each_element(*file, "", [&](const record::JsonRow& row) {
      Item item;
      item.id = row.text("image");
      item.place = row.place();
      item.question = row.text("question");
      item.answers = annotators_of(row);
      item.category = row.has("answer_type") ? row.text("answer_type") : "";
      item.images = {{.key = "", .path = item.id, .bytes = nullptr}};
      if (const auto found = asked.find(item.id); found != asked.end()) item.asked = found->second;
      items.push_back(std::move(item));
    });
    check_annotators(items);
    return finish_items(std::move(items), options, [&](Item& item) {
      item.images[0] = folder.picture({item.id}, {"images", "val", "images/val", ""}, item);
    });
  }

  std::string prompt(const Item& item, Convention convention) const override {
    if (convention == Convention::Vlmeval) return with_images(item.images.size(), convention, item.question);
    if (convention == Convention::Llava && !item.asked.empty())
      return with_images(item.images.size(), convention, item.asked);
    std::string text = convention == Convention::Lmms ? capitalize(item.question) : item.question;
    return with_images(item.images.size(), convention, text.append(kUnanswerable).append(kShortAnswer));
  }

  Score score(const Item& item, std::string_view answer, Convention convention) const override {
    return soft_scored(item, strip(answer),
                       convention == Convention::Vlmeval ? AnswerRules::Vlmeval : AnswerRules::EvalAi);
  }

  std::vector<Metric> aggregate(std::span<const ScoredRow> rows, Convention) const override {
    check_rows(rows, info_.name);
    return accuracies(rows, &ScoredRow::category);
  }

 private:
  static std::vector<Item> load_table(const std::string& path, const LoadOptions& options) {
    VlmevalTable table(path, "answers");
    std::vector<Item> items = table.items();
    check_annotators(items);
    return finish_items(std::move(items), options, [&](Item& item) { table.add_pictures(item); });
  }

  BenchmarkInfo info_{
      .name = "vizwiz",
      .summary = "photographs of blind people, some questions unanswerable, ten annotators (val)",
      .paper = "Gurari et al. 2018, arXiv 1802.08218",
      .max_new_tokens = {.llava = 128, .lmms = 1024}};
};

}  // namespace

const Benchmark& vizwiz_benchmark() {
  static const VizWiz benchmark;
  return benchmark;
}

}  // namespace winnow::eval
