// POPE: is an object in the picture? (Li et al. 2023, arXiv 2305.10355). Three files of 3000 questions with
// random, popular and adversarial absent objects (LLaVA's evaluation uses an older random file of 2910:
// 8910). Files: AoiDragon/POPE output/coco/coco_pope_*.json, JSON lines. Rules: LLaVA
// llava/eval/eval_pope.py; lmms-eval lmms_eval/tasks/pope; VLMEvalKit vlmeval/dataset/utils/yorn.py
// (POPE_rating), image_yorn.py.
//
// Where they differ
//   reading   llava: everything that is not no is yes; lmms: exactly the word; vlmeval: yes xor no among the
//   words sums      llava: F1 of each file, papers print their unweighted mean; lmms: F1 of all questions
//   together;
//             vlmeval: the same, a question with the category "adversarial,popular" counting in both
//   misses    an answer that is neither counts as missed yes in vlmeval's recall, and not at all in lmms's
//   yes ratio lmms's own number counts the TRUE answers (pope_aggregate_yes_ratio): here "yes_ratio_lmms".
//   The
//             metric "yes_ratio" is that of the predictions, in every convention: pruning fails by saying no.
// LLaVA's script pairs predictions with labels by position; here by question, which is the same for whole
// files. Where it would divide by 0 (nothing predicted yes), precision and F1 are 0, as in the other two.
// VLMEvalKit's table has "Please answer yes or no." behind its questions; the original files have not.

#include <array>

#include "winnow/base/error.h"
#include "winnow/eval/dataset_files.h"
#include "winnow/eval/metrics.h"
#include "winnow/eval/prompt_text.h"
#include "winnow/eval/python_text.h"
#include "winnow/eval/yes_no.h"
#include "winnow/record/jsonl.h"

namespace winnow::eval {
namespace {

constexpr const char* kWhere = "eval.pope";

std::string label_of(std::string_view text, std::string_view place) {
  std::string label = yes_no_exact(text);
  WINNOW_CHECK(!label.empty(), Corrupt, kWhere, "{}: label, got '{}', expected yes or no", place, text);
  return label;
}

std::vector<Item> read_pope(const std::string& path, const std::string& category) {
  std::vector<Item> items;
  record::for_each_line(path, [&](const record::JsonRow& row) {
    Item item;
    item.id = category + "/" + row.text("question_id");
    item.category = item.split = category;
    item.question = row.text("text");
    item.answers = {label_of(row.text("label"), row.place())};
    item.images = {{.key = "", .path = row.text("image"), .bytes = nullptr}};
    item.place = row.place();
    items.push_back(std::move(item));
  });
  return items;
}

bool has_category(const Item& item, std::string_view category) {
  for (const std::string_view one : split_at(item.category, ',')) {
    if (one == category) return true;
  }
  return false;
}

std::vector<Item> load_table(const std::string& path, const LoadOptions& options) {
  VlmevalTable table(path);
  std::vector<Item> items = table.items();
  for (Item& item : items) {
    if (item.question.ends_with(kYesNoAnswer))
      item.question.resize(item.question.size() - kYesNoAnswer.size());
    if (!item.answers.empty()) item.answers = {label_of(item.answers[0], item.place)};
  }
  if (!options.split.empty())
    std::erase_if(items, [&](const Item& item) { return !has_category(item, options.split); });
  return finish_items(std::move(items), options, [&](Item& item) { table.add_pictures(item); });
}

struct Counts {
  double tp = 0, fp = 0, tn = 0, missed = 0, neither_of_yes = 0, predicted_yes = 0, true_yes = 0, right = 0;
  int64_t n = 0;

  void add(const ScoredRow& row) {
    const bool truth = row.expected == "yes";
    const std::string& said = row.score.extracted;
    tp += truth && said == "yes" ? 1 : 0;
    fp += !truth && said == "yes" ? 1 : 0;
    tn += !truth && said == "no" ? 1 : 0;
    missed += truth && said == "no" ? 1 : 0;
    neither_of_yes += truth && said.empty() ? 1 : 0;
    predicted_yes += said == "yes" ? 1 : 0;
    true_yes += truth ? 1 : 0;
    right += row.score.value;
    ++n;
  }
};

double ratio(double part, double whole) { return whole > 0.0 ? part / whole : 0.0; }

struct Rates {
  double f1, accuracy, precision, recall, yes_ratio, true_yes_ratio;
};
Rates rates_of(const Counts& c, Convention convention) {
  const double unread = convention == Convention::Lmms ? 0.0 : c.neither_of_yes;
  const auto n = static_cast<double>(c.n);
  const double precision = ratio(c.tp, c.tp + c.fp), recall = ratio(c.tp, c.tp + c.missed + unread);
  return {ratio(2.0 * precision * recall, precision + recall),
          ratio(c.right, n),
          precision,
          recall,
          ratio(c.predicted_yes, n),
          ratio(c.true_yes, n)};
}

void add_metrics(std::vector<Metric>& out, const Rates& rates, const std::string& suffix, int64_t n,
                 bool with_f1) {
  const auto add = [&](const char* name, double value) {
    out.push_back({.name = name + suffix, .value = 100.0 * value, .n = n});
  };
  if (with_f1) add("f1", rates.f1);
  add("accuracy", rates.accuracy);
  add("precision", rates.precision);
  add("recall", rates.recall);
  add("yes_ratio", rates.yes_ratio);
}

class Pope final : public Benchmark {
 public:
  const BenchmarkInfo& info() const override { return info_; }

  std::vector<Item> load(const std::string& path, const LoadOptions& options) const override {
    check_options(options, info_);
    DataFolder folder(path, info_.name);
    std::vector<Item> items;
    std::vector<std::string> missing;
    for (const std::string& category : info_.splits) {
      if (!options.split.empty() && options.split != category) continue;
      const std::string name = fmt::format("coco_pope_{}.json", category), inside = "coco/" + name;
      const auto file = folder.find({name, inside});
      if (!file) {
        missing.push_back(name);
        continue;
      }
      for (Item& item : read_pope(*file, category)) items.push_back(std::move(item));
    }
    if (items.empty()) {
      if (const auto table = folder.find_table({"POPE.tsv"})) return load_table(*table, options);
      folder.nothing_here();
    }
    WINNOW_CHECK(missing.empty(), NotFound, kWhere,
                 "{}: {} is missing beside the other files (or name a split to load alone)", path,
                 missing[0]);
    return finish_items(std::move(items), options, [&](Item& item) {
      item.images[0] = folder.picture({item.images[0].path},
                                      {"images", "val2014", "coco/val2014", "coco/images", ""}, item);
    });
  }

  std::string prompt(const Item& item, Convention convention) const override {
    const std::string_view suffix = convention == Convention::Vlmeval ? kYesNoAnswer : kShortAnswer;
    const std::string_view question = convention == Convention::Lmms ? strip(item.question) : item.question;
    return with_images(item.images.size(), convention, std::string(question).append(suffix));
  }

  Score score(const Item& item, std::string_view answer, Convention convention) const override {
    Score score;
    switch (convention) {
      case Convention::Llava: score.extracted = yes_no_llava_pope(strip(answer)); break;
      case Convention::Lmms: score.extracted = yes_no_exact(answer); break;
      case Convention::Vlmeval: score.extracted = yes_no_vlmeval(answer); break;
    }
    score.valid = !score.extracted.empty();
    score.value = score.extracted == item.answers[0] ? 1.0 : 0.0;
    return score;
  }

  std::vector<Metric> aggregate(std::span<const ScoredRow> rows, Convention convention) const override {
    check_rows(rows, info_.name);
    const bool several = convention != Convention::Lmms;  // a question may count in several categories
    Counts all;
    std::map<std::string, Counts> by_category;
    for (const ScoredRow& row : rows) {
      const auto categories = split_at(row.category, ',');
      for (const std::string_view category : categories) by_category[std::string(category)].add(row);
      for (std::size_t i = 0; i < (several ? categories.size() : 1); ++i) all.add(row);
    }
    const Rates overall = rates_of(all, convention);
    double f1 = overall.f1;
    if (convention == Convention::Llava) {
      f1 = 0.0;
      for (const auto& [name, counts] : by_category) f1 += rates_of(counts, convention).f1;
      f1 /= static_cast<double>(by_category.size());
    }
    std::vector<Metric> out = {{.name = "f1", .value = 100.0 * f1, .n = all.n}};
    add_metrics(out, overall, "", all.n, false);
    if (convention == Convention::Lmms)
      out.push_back({.name = "yes_ratio_lmms", .value = 100.0 * overall.true_yes_ratio, .n = all.n});
    for (const auto& [name, counts] : by_category)
      add_metrics(out, rates_of(counts, convention), "/" + name, counts.n, true);
    return out;
  }

  Headline headline(Convention convention) const override {
    Headline out;
    out.parts = [convention](std::span<const ScoredRow* const> group) {
      std::vector<HeadlinePart> parts;
      for (const ScoredRow* row : group) {
        Counts one;
        one.add(*row);
        const Sums sums{one.tp, one.fp, one.missed, one.neither_of_yes};
        for (const std::string_view category : split_at(row->category, ',')) {
          parts.push_back({convention == Convention::Llava ? std::string(category) : std::string(), sums});
          if (convention == Convention::Lmms) break;  // a question counts once
        }
      }
      return parts;
    };
    out.value = [convention](const Sums& sums) {
      Counts counts;
      counts.tp = sums[0];
      counts.fp = sums[1];
      counts.missed = sums[2];
      counts.neither_of_yes = sums[3];
      return 100.0 * rates_of(counts, convention).f1;
    };
    return out;
  }

 private:
  BenchmarkInfo info_{
      .name = "pope",
      .summary = "is an object in the picture (yes/no), with random, popular, adversarial absent ones",
      .paper = "Li et al. 2023, arXiv 2305.10355",
      .splits = {"random", "popular", "adversarial"},
      .max_new_tokens = {.llava = 128, .lmms = 128}};
};

}  // namespace

const Benchmark& pope_benchmark() {
  static const Pope benchmark;
  return benchmark;
}

}  // namespace winnow::eval
