// SEED-Bench, the questions about pictures: multiple choice in nine abilities (Li et al. 2023, arXiv
// 2307.16125). Files: SEED-Bench.json, SEED-Bench-image/; LLaVA's llava-seed-bench.jsonl is read for its
// prompts where it is there. Questions about videos are left out, as papers on pruning print the image part.
// Rules: LLaVA scripts/convert_seed_for_submission.py (the answer is exactly the letter); lmms-eval
// lmms_eval/tasks/seedbench (its first character, any case); VLMEvalKit's SEEDBench_IMG.tsv with
// `exact_matching`.

#include "winnow/base/error.h"
#include "winnow/eval/choice.h"
#include "winnow/eval/dataset_files.h"
#include "winnow/eval/metrics.h"
#include "winnow/eval/prompt_text.h"
#include "winnow/eval/python_text.h"
#include "winnow/record/jsonl.h"

namespace winnow::eval {
namespace {

constexpr const char* kWhere = "eval.seedbench";

std::string checked_letter(const std::string& answer, const Item& item) {
  const bool known = answer.size() == 1 && answer[0] >= 'A' && answer[0] < 'A' + std::ssize(item.choices);
  WINNOW_CHECK(known, Corrupt, kWhere, "{}: answer, got '{}', expected the letter of one of {} options",
               item.place, answer, item.choices.size());
  return answer;
}

/// Names of the abilities by number.
std::map<std::string, std::string> read_types(const std::string& path) {
  std::map<std::string, std::string> names;
  const record::Json file = record::read_json(path);
  const record::JsonRow top(file, path);
  if (!top.has("question_type")) return names;
  const record::JsonRow types = top.row("question_type");
  for (const auto& entry : types.value().items()) names[types.text(entry.key())] = entry.key();
  return names;
}

class SeedBench final : public Benchmark {
 public:
  const BenchmarkInfo& info() const override { return info_; }

  std::vector<Item> load(const std::string& path, const LoadOptions& options) const override {
    check_options(options, info_);
    DataFolder folder(path, info_.name);
    const auto file = folder.find({"SEED-Bench.json"});
    if (!file) {
      if (const auto table = folder.find_table({"SEEDBench_IMG.tsv"})) return load_table(*table, options);
      folder.nothing_here();
    }
    std::map<std::string, std::string> asked;
    if (const auto llava = folder.find({"llava-seed-bench.jsonl"})) {
      record::for_each_line(
          *llava, [&](const record::JsonRow& row) { asked[row.text("question_id")] = row.text("text"); });
    }
    return finish_items(read_questions(*file, asked), options, [&](Item& item) {
      item.images[0] = folder.picture({item.images[0].path}, {"SEED-Bench-image", "images", ""}, item);
    });
  }

  std::string prompt(const Item& item, Convention convention) const override {
    if (convention == Convention::Llava && !item.asked.empty())
      return with_images(item.images.size(), convention, item.asked);
    std::string text = convention == Convention::Vlmeval && !item.hint.empty() ? item.hint + "\n" : "";
    text += item.question + option_lines(item.choices);
    return with_images(item.images.size(), convention, text.append(kLetterAnswer));
  }

  Score score(const Item& item, std::string_view answer, Convention convention) const override {
    const std::string_view text = strip(answer);
    Score score;
    switch (convention) {
      case Convention::Llava: score.extracted = text; break;
      case Convention::Lmms: {
        const char first = text.empty() ? ' ' : text[0];
        score.extracted.assign(1,
                               first >= 'a' && first <= 'z' ? static_cast<char>(first - 'a' + 'A') : first);
        break;
      }
      case Convention::Vlmeval: score.extracted = choice_vlmeval(text, options_of(item.choices)); break;
    }
    score.valid = score.extracted.size() == 1 && score.extracted[0] >= 'A' &&
                  score.extracted[0] < 'A' + std::ssize(item.choices);
    score.value = score.extracted == item.answers[0] ? 1.0 : 0.0;
    return score;
  }

  std::vector<Metric> aggregate(std::span<const ScoredRow> rows, Convention) const override {
    check_rows(rows, info_.name);
    return accuracies(rows, &ScoredRow::category);
  }

 private:
  static std::vector<Item> read_questions(const std::string& path,
                                          const std::map<std::string, std::string>& asked) {
    const auto types = read_types(path);
    std::vector<Item> items;
    record::for_each_element(path, "questions", [&](const record::JsonRow& row) {
      if (row.text("data_type") != "image") return;
      Item item;
      item.id = row.text("question_id");
      item.place = row.place();
      item.question = row.text("question");
      for (const char* name : {"choice_a", "choice_b", "choice_c", "choice_d"})
        item.choices.push_back(row.text(name));
      if (row.has("answer")) item.answers = {checked_letter(row.text("answer"), item)};
      const std::string type = row.text("question_type_id");
      const auto name = types.find(type);
      item.category = name == types.end() ? type : name->second;
      item.images = {{.key = "", .path = row.text("data_id"), .bytes = nullptr}};
      if (const auto found = asked.find(item.id); found != asked.end()) item.asked = found->second;
      items.push_back(std::move(item));
    });
    return items;
  }

  static std::vector<Item> load_table(const std::string& path, const LoadOptions& options) {
    VlmevalTable table(path);
    std::vector<Item> items = table.items();
    for (const Item& item : items) {
      if (!item.answers.empty()) checked_letter(item.answers[0], item);
    }
    return finish_items(std::move(items), options, [&](Item& item) { table.add_pictures(item); });
  }

  BenchmarkInfo info_{.name = "seedbench",
                      .summary = "multiple choice in nine abilities, the questions about pictures",
                      .paper = "Li et al. 2023, arXiv 2307.16125",
                      .max_new_tokens = {.llava = 128, .lmms = 1024}};
};

}  // namespace

const Benchmark& seedbench_benchmark() {
  static const SeedBench benchmark;
  return benchmark;
}

}  // namespace winnow::eval
