// MMBench and MMBench-CN: multiple choice over twenty abilities, each question asked again with its options
// moved on (Liu et al. 2023, arXiv 2307.06281). Table: index, question, hint, A.., answer, category,
// l2-category, image, split; the rotations are rows index + k x 1,000,000. The dev split has answers. Rules:
// VLMEvalKit vlmeval/dataset/utils/multiple_choice.py (mcq_circular_eval, `exact_matching`); LLaVA only
// writes answers for MMBench's server (llava/eval/model_vqa_mmbench.py), so its convention is scored by the
// same rule; lmms-eval lmms_eval/tasks/mmbench (the task mmbench_en_dev_static: the default one asks GPT).
//
// A group counts when every rotation is answered right ("circular", what papers print); "vanilla" counts the
// first order alone, "vanilla_all" every row.
//
// Prompts        llava, vlmeval  [hint \n] question \n A. .. \n B. .. and the sentence of the language
//                lmms            [hint blank] question blank "There are several options:" \n A. .. ; then an
//                empty line
//   options      llava: A to D, up to the first that is missing (or "nan", "none"); lmms: A to E; vlmeval:
//   all Chinese      llava by the benchmark, vlmeval by a Chinese character in the text; lmms has a sentence
//   of its own

#include <algorithm>
#include <charconv>

#include "winnow/base/error.h"
#include "winnow/eval/choice.h"
#include "winnow/eval/dataset_files.h"
#include "winnow/eval/metrics.h"
#include "winnow/eval/prompt_text.h"
#include "winnow/eval/python_text.h"

namespace winnow::eval {
namespace {

constexpr const char* kWhere = "eval.mmbench";
constexpr int64_t kRotationStep = 1'000'000;

// "Please answer with the option's letter directly." U+8BF7 U+76F4 U+63A5 U+56DE U+7B54 U+9009 U+9879 U+5B57
// U+6BCD U+3002
constexpr std::string_view kLetterAnswerChinese =
    "\n\xe8\xaf\xb7\xe7\x9b\xb4\xe6\x8e\xa5\xe5\x9b\x9e\xe7\xad\x94\xe9\x80\x89\xe9\xa1\xb9\xe5\xad\x97\xe6"
    "\xaf\x8d"
    "\xe3\x80\x82";
// lmms-eval's: "Please answer directly with the given option letter as the answer." U+8BF7 U+76F4 U+63A5
// U+4F7F U+7528 U+6240 U+63D0 U+4F9B U+7684 U+9009 U+9879 U+5B57 U+6BCD U+4F5C U+4E3A U+7B54 U+6848 U+56DE
// U+7B54 U+3002
constexpr std::string_view kLetterAnswerChineseLmms =
    "\n\xe8\xaf\xb7\xe7\x9b\xb4\xe6\x8e\xa5\xe4\xbd\xbf\xe7\x94\xa8\xe6\x89\x80\xe6\x8f\x90\xe4\xbe\x9b\xe7"
    "\x9a\x84"
    "\xe9\x80\x89\xe9\xa1\xb9\xe5\xad\x97\xe6\xaf\x8d\xe4\xbd\x9c\xe4\xb8\xba\xe7\xad\x94\xe6\xa1\x88\xe5\x9b"
    "\x9e"
    "\xe7\xad\x94\xe3\x80\x82";

bool has_chinese(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const Character c = character_at(text, at);
    if (c.code >= 0x4E00 && c.code <= 0x9FFF) return true;
    at += c.n_bytes;
  }
  return false;
}

int64_t index_of(const Item& item) {
  int64_t index = 0;
  const char* end = item.id.data() + item.id.size();
  const auto [at, error] = std::from_chars(item.id.data(), end, index);
  WINNOW_CHECK(error == std::errc() && at == end && index >= 0, Corrupt, kWhere,
               "{}: index, got '{}', expected a whole number", item.place, item.id);
  return index;
}

/// The options that LLaVA's script shows.
std::vector<std::string> llava_choices(const std::vector<std::string>& choices) {
  std::vector<std::string> shown;
  for (const std::string& choice : choices) {
    const std::string word = lower(choice);
    if (shown.size() == 4 || word.empty() || word == "nan" || word == "none") break;
    shown.push_back(choice);
  }
  return shown;
}

std::vector<std::string> lmms_choices(const std::vector<std::string>& choices) {
  return {choices.begin(), choices.begin() + std::min<std::ptrdiff_t>(std::ssize(choices), 5)};
}

bool is_first_order(const ScoredRow* row) { return row->id.size() <= 6; }  // an index below the step

class MmBench final : public Benchmark {
 public:
  explicit MmBench(bool chinese) : chinese_(chinese) {
    info_.name = chinese ? "mmbench_cn" : "mmbench";
    info_.summary = chinese ? "mmbench in Chinese" : "multiple choice over twenty abilities, options rotated";
    info_.paper = "Liu et al. 2023, arXiv 2307.06281";
    info_.splits = {"circular", "vanilla"};
    info_.max_new_tokens = {.llava = 1024, .lmms = chinese ? 256 : 1024};
  }
  const BenchmarkInfo& info() const override { return info_; }

  std::vector<Item> load(const std::string& path, const LoadOptions& options) const override {
    check_options(options, info_);
    DataFolder folder(path, info_.name);
    const auto file = chinese_ ? folder.find_table({"MMBench_DEV_CN.tsv", "mmbench_dev_cn_20231003.tsv",
                                                    "MMBench_DEV_CN_V11.tsv"})
                               : folder.find_table({"MMBench_DEV_EN.tsv", "mmbench_dev_20230712.tsv",
                                                    "MMBench_DEV_EN_V11.tsv", "mmbench_dev.tsv"});
    if (!file) folder.nothing_here();
    VlmevalTable table(*file);
    std::vector<Item> items = table.items();
    for (Item& item : items) {
      const int64_t index = index_of(item);
      item.group = std::to_string(index % kRotationStep);
      check_answer(item);
    }
    if (options.split == "vanilla")
      std::erase_if(items, [](const Item& item) { return item.id != item.group; });
    return finish_items(std::move(items), options, [&](Item& item) { table.add_pictures(item); });
  }

  std::string prompt(const Item& item, Convention convention) const override {
    return with_images(item.images.size(), convention,
                       convention == Convention::Lmms ? lmms_text(item) : plain_text(item, convention));
  }

  Score score(const Item& item, std::string_view answer, Convention convention) const override {
    const std::vector<Option> options = options_of(item.choices);
    Score score;
    score.extracted = convention == Convention::Lmms ? choice_lmms(strip(answer), options)
                                                     : choice_vlmeval(strip(answer), options);
    score.valid = !score.extracted.empty() && score.extracted != "Z";
    score.value = score.extracted == item.answers[0] ? 1.0 : 0.0;
    return score;
  }

  std::vector<Metric> aggregate(std::span<const ScoredRow> rows, Convention) const override {
    check_rows(rows, info_.name);
    std::map<std::string, std::vector<const ScoredRow*>> groups;
    for (const ScoredRow& row : rows) groups[row.group].push_back(&row);
    std::vector<ScoredRow> circular;  // one for each group, with the category of its first order
    RowRefs first_order;
    for (const auto& [name, group] : groups) {
      const auto main = std::find_if(group.begin(), group.end(), is_first_order);
      if (main == group.end()) continue;  // as VLMEvalKit does with rotations of a missing question
      first_order.push_back(*main);
      ScoredRow one = **main;
      one.score.value = std::all_of(group.begin(), group.end(),
                                    [](const ScoredRow* row) { return row->score.value == 1.0; })
                            ? 1.0
                            : 0.0;
      circular.push_back(std::move(one));
    }
    std::vector<Metric> out;
    if (rows.size() > first_order.size()) {
      out = {percent("circular", refs_of(circular)), percent("vanilla", first_order),
             percent("vanilla_all", refs_of(rows))};
    } else {
      out = {percent("vanilla", first_order)};
    }
    for (const auto& [name, refs] : grouped_by(circular, &ScoredRow::subcategory))
      out.push_back(percent("l2/" + name, refs));
    for (const auto& [name, refs] : grouped_by(circular, &ScoredRow::category))
      out.push_back(percent("category/" + name, refs));
    return out;
  }

  Headline headline(Convention) const override {
    Headline out = mean_headline();
    out.parts = [](std::span<const ScoredRow* const> group) -> std::vector<HeadlinePart> {
      if (std::none_of(group.begin(), group.end(), is_first_order)) return {};
      const bool all = std::all_of(group.begin(), group.end(),
                                   [](const ScoredRow* row) { return row->score.value == 1.0; });
      return {{"", {all ? 1.0 : 0.0, 1.0}}};
    };
    out.is_plain_mean = false;
    return out;
  }

 private:
  static void check_answer(const Item& item) {
    if (item.answers.empty()) return;  // finish_items says so
    const std::string& answer = item.answers[0];
    const bool known = answer.size() == 1 && answer[0] >= 'A' && answer[0] < 'A' + std::ssize(item.choices);
    WINNOW_CHECK(known, Corrupt, kWhere, "{}: answer, got '{}', expected the letter of one of {} options",
                 item.place, answer, item.choices.size());
  }

  std::string plain_text(const Item& item, Convention convention) const {
    std::string text = item.hint.empty() ? item.question : item.hint + "\n" + item.question;
    text += option_lines(convention == Convention::Llava ? llava_choices(item.choices) : item.choices);
    const bool chinese = convention == Convention::Llava ? chinese_ : has_chinese(text);
    return text.append(chinese ? kLetterAnswerChinese : kLetterAnswer);
  }

  std::string lmms_text(const Item& item) const {
    std::string text = item.hint.empty() ? item.question : item.hint + " " + item.question;
    text += fmt::format(" There are several options:{}\n", option_lines(lmms_choices(item.choices)));
    return text.append(chinese_ ? kLetterAnswerChineseLmms : kLetterAnswer);
  }

  bool chinese_;
  BenchmarkInfo info_;
};

}  // namespace

const Benchmark& mmbench_benchmark() {
  static const MmBench benchmark(false);
  return benchmark;
}

const Benchmark& mmbench_cn_benchmark() {
  static const MmBench benchmark(true);
  return benchmark;
}

}  // namespace winnow::eval
