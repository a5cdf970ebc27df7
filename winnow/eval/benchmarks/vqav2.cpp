// VQAv2: open questions about COCO pictures, ten annotators (Goyal et al. 2017, arXiv 1612.00837). The split
// val2014 has answers; papers print test-dev, which only a server scores, so their numbers cannot be made
// here. Files: v2_OpenEnded_mscoco_val2014_questions.json, v2_mscoco_val2014_annotations.json, val2014/;
// LLaVA's llava_vqav2_mscoco_val2014.jsonl is read for its prompts where it is there. Rules: LLaVA
// scripts/convert_vqav2_for_submission.py normalises the prediction, then the official vqaEval.py
// (GT-Vision-Lab/VQA) compares; lmms-eval lmms_eval/tasks/vqav2 (vqav2_val: without the tokenising step);
// VLMEvalKit has no VQAv2, so vlmeval is what its ImageVQADataset does with tables it does not know.
// "The other annotators" are left out by comparing whole dictionaries in the sources, which the field
// answer_id keeps apart; here each annotator is left out by itself.

#include <unordered_map>

#include "winnow/base/error.h"
#include "winnow/eval/dataset_files.h"
#include "winnow/eval/metrics.h"
#include "winnow/eval/prompt_text.h"
#include "winnow/eval/python_text.h"
#include "winnow/eval/vqa_family.h"
#include "winnow/record/jsonl.h"

namespace winnow::eval {
namespace {

constexpr const char* kWhere = "eval.vqav2";

class VqaV2 final : public Benchmark {
 public:
  const BenchmarkInfo& info() const override { return info_; }

  std::vector<Item> load(const std::string& path, const LoadOptions& options) const override {
    check_options(options, info_);
    DataFolder folder(path, info_.name);
    const auto questions = folder.find({"v2_OpenEnded_mscoco_val2014_questions.json"});
    const auto annotations = folder.find({"v2_mscoco_val2014_annotations.json"});
    if (!questions || !annotations) {
      const auto table = folder.find_table({"VQAv2_VAL.tsv"});
      if (table && !questions) return load_table(*table, options);
      folder.nothing_here();
    }
    std::vector<Item> items = read_questions(*questions);
    add_annotations(items, *annotations);
    if (const auto llava = folder.find({"llava_vqav2_mscoco_val2014.jsonl"})) add_asked(items, *llava);
    check_annotators(items);
    return finish_items(std::move(items), options, [&](Item& item) {
      const std::string stem = item.images[0].path;
      item.images[0] = folder.picture({stem + ".jpg", stem + ".png"}, {"val2014", "images", ""}, item);
    });
  }

  std::string prompt(const Item& item, Convention convention) const override {
    if (convention == Convention::Llava && !item.asked.empty())
      return with_images(item.images.size(), convention, item.asked);
    return with_images(item.images.size(), convention, item.question + std::string(kShortAnswer));
  }

  Score score(const Item& item, std::string_view answer, Convention convention) const override {
    const std::string_view text = strip(answer);
    switch (convention) {
      case Convention::Llava: return soft_scored_official(item, normalise_answer(text, AnswerRules::EvalAi));
      case Convention::Lmms: return soft_scored(item, text, AnswerRules::EvalAiRaw);
      case Convention::Vlmeval: break;
    }
    return soft_scored(item, text, AnswerRules::Vlmeval);
  }

  std::vector<Metric> aggregate(std::span<const ScoredRow> rows, Convention) const override {
    check_rows(rows, info_.name);
    return accuracies(rows, &ScoredRow::category);
  }

 private:
  static std::vector<Item> read_questions(const std::string& path) {
    std::vector<Item> items;
    record::for_each_element(path, "questions", [&](const record::JsonRow& row) {
      Item item;
      item.id = row.text("question_id");
      item.place = row.place();
      item.question = row.text("question");
      item.images = {
          {.key = "", .path = fmt::format("COCO_val2014_{:012}", row.integer("image_id")), .bytes = nullptr}};
      items.push_back(std::move(item));
    });
    return items;
  }

  using ByIdentity = std::unordered_map<std::string, Item*>;
  static ByIdentity by_id(std::vector<Item>& items) {
    ByIdentity out;
    for (Item& item : items) out.try_emplace(item.id, &item);
    return out;
  }

  static void add_annotations(std::vector<Item>& items, const std::string& path) {
    const ByIdentity known = by_id(items);
    record::for_each_element(path, "annotations", [&](const record::JsonRow& row) {
      const std::string id = row.text("question_id");
      const auto found = known.find(id);
      WINNOW_CHECK(found != known.end(), Corrupt, kWhere, "{}: question '{}' is not in the file of questions",
                   row.place(), id);
      found->second->answers = annotators_of(row);
      found->second->category = row.has("answer_type") ? row.text("answer_type") : "";
    });
  }

  static void add_asked(std::vector<Item>& items, const std::string& path) {
    const ByIdentity known = by_id(items);
    record::for_each_line(path, [&](const record::JsonRow& row) {
      const auto found = known.find(row.text("question_id"));
      if (found != known.end()) found->second->asked = row.text("text");
    });
  }

  static std::vector<Item> load_table(const std::string& path, const LoadOptions& options) {
    VlmevalTable table(path);
    std::vector<Item> items = table.items();
    check_annotators(items);
    return finish_items(std::move(items), options, [&](Item& item) { table.add_pictures(item); });
  }

  BenchmarkInfo info_{.name = "vqav2",
                      .summary = "open questions about COCO pictures, ten annotators (val2014)",
                      .paper = "Goyal et al. 2017, arXiv 1612.00837",
                      .max_new_tokens = {.llava = 128, .lmms = 16}};
};

}  // namespace

const Benchmark& vqav2_benchmark() {
  static const VqaV2 benchmark;
  return benchmark;
}

}  // namespace winnow::eval
