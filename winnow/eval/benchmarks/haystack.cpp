// Visual Haystacks, single needle: "For the image with the <anchor>, is there a <target>?" over 1, 2, 3, 5 or
// 10 pictures of which one holds the anchor (Wu et al. 2024, arXiv 2407.13766). Files:
// visual_haystack_{oracle or 1,2,3,5,10}.json of the authors' toolkit (visual-haystacks/vhs_benchmark
// @1a9abb5): conversations, pos_image, neg_image, pictures relative to the folder. The toolkit shuffles the
// pictures anew in each run; here the needle of row i stands at place i mod n, or where a row's own fields
// images and needle say (winnow scenes). Rules, llava: the toolkit's (solvers/base_solver.py, utils.py): its
// sentence in front of the question, then right if the true word is among the lower-case words of the answer:
// "yes or no" is right for both. nltk's tokenizer, which it uses, is taken to cut at blanks and at
// punctuation except inside words. It shows LLaVA the first three pictures only; here all. A row with its own
// field `question` is asked as short questions are, without the toolkit's sentence. lmms-eval and VLMEvalKit
// have no such task: lmms and vlmeval are the prompts and readings of their POPE. The first metric is the
// unweighted mean over numbers of pictures; "accuracy/N/at/K" has the needle at place K of N.

#include <algorithm>

#include "winnow/base/error.h"
#include "winnow/eval/dataset_files.h"
#include "winnow/eval/metrics.h"
#include "winnow/eval/prompt_text.h"
#include "winnow/eval/python_text.h"
#include "winnow/eval/yes_no.h"
#include "winnow/record/jsonl.h"

namespace winnow::eval {
namespace {

constexpr const char* kWhere = "eval.haystack";
constexpr std::string_view kToolkitSentence =
    "You are given a set of images. Please answer the following question in Yes or No: ";

/// Words in the sense of the toolkit's scorer.
std::vector<std::string> words_of(std::string_view answer) {
  std::string text = lower(answer);
  for (char& c : text) {
    if (contains(",;:!?()[]{}<>\"`@#$%&*", {&c, 1})) c = ' ';
  }
  std::vector<std::string> words;
  for (const std::string_view word : split_words(text)) words.emplace_back(strip(word, ".'"));
  return words;
}

/// "yes", "no", "yes no" or "".
std::string yes_no_words(std::string_view answer) {
  const auto words = words_of(answer);
  std::string out;
  for (const char* word : {"yes", "no"}) {
    if (std::find(words.begin(), words.end(), word) == words.end()) continue;
    if (!out.empty()) out += ' ';
    out += word;
  }
  return out;
}

struct Pictures {
  std::vector<std::string> names;
  std::size_t needle = 0;
};

Pictures pictures_of(const record::JsonRow& row, std::size_t number) {
  if (row.has("images")) {
    Pictures out{row.texts("images"), 0};
    const int64_t needle = row.integer("needle");
    WINNOW_CHECK(needle >= 0 && needle < std::ssize(out.names), Corrupt, kWhere,
                 "{}: needle, got {}, expected 0 to {}", row.place(), needle, std::ssize(out.names) - 1);
    out.needle = static_cast<std::size_t>(needle);
    return out;
  }
  const auto needles = row.texts("pos_image");
  WINNOW_CHECK(needles.size() == 1, Corrupt, kWhere,
               "{}: pos_image, got {} pictures, expected 1 (the multi-needle files are another task)",
               row.place(), needles.size());
  Pictures out{row.texts("neg_image"), 0};
  out.needle = number % (out.names.size() + 1);
  out.names.insert(out.names.begin() + static_cast<std::ptrdiff_t>(out.needle), needles[0]);
  return out;
}

std::vector<Item> read_haystack(const std::string& path, const std::string& split) {
  std::vector<Item> items;
  record::for_each_element(path, "", [&](const record::JsonRow& row) {
    Item item;
    item.id = fmt::format("{}/{}", split, items.size());
    item.split = split;
    item.place = row.place();
    item.question = row.row("conversations", 0).text("value");
    if (!row.has("question")) item.asked = std::string(kToolkitSentence) + item.question;
    const std::string answer = yes_no_exact(row.row("conversations", 1).text("value"));
    WINNOW_CHECK(!answer.empty(), Corrupt, kWhere, "{}: answer, got '{}', expected yes or no", item.place,
                 row.row("conversations", 1).text("value"));
    item.answers = {answer};
    const Pictures pictures = pictures_of(row, items.size());
    for (const std::string& name : pictures.names)
      item.images.push_back({.key = "", .path = name, .bytes = nullptr});
    item.category = std::to_string(pictures.names.size());
    item.subcategory = std::to_string(pictures.needle);
    items.push_back(std::move(item));
  });
  return items;
}

class Haystack final : public Benchmark {
 public:
  const BenchmarkInfo& info() const override { return info_; }

  std::vector<Item> load(const std::string& path, const LoadOptions& options) const override {
    check_options(options, info_);
    DataFolder folder(path, info_.name);
    std::vector<Item> items;
    bool found = false;
    for (const std::string& split : info_.splits) {
      if (!options.split.empty() && options.split != split) continue;
      const std::string name = fmt::format("visual_haystack_{}.json", split);
      const auto file =
          split == "1" ? folder.find({name, "visual_haystack_oracle.json"}) : folder.find({name});
      if (!file) continue;
      found = true;
      for (Item& item : read_haystack(*file, split)) items.push_back(std::move(item));
    }
    if (!found) folder.nothing_here();
    return finish_items(std::move(items), options, [&](Item& item) {
      for (ItemImage& image : item.images)
        image = folder.picture({image.path}, {"images", "", "dataset"}, item);
    });
  }

  std::string prompt(const Item& item, Convention convention) const override {
    if (convention == Convention::Llava && !item.asked.empty())
      return with_images(item.images.size(), convention, item.asked);
    const std::string_view suffix = convention == Convention::Vlmeval ? kYesNoAnswer : kShortAnswer;
    return with_images(item.images.size(), convention, item.question + std::string(suffix));
  }

  Score score(const Item& item, std::string_view answer, Convention convention) const override {
    Score score;
    switch (convention) {
      case Convention::Llava: score.extracted = yes_no_words(answer); break;
      case Convention::Lmms: score.extracted = yes_no_exact(answer); break;
      case Convention::Vlmeval: score.extracted = yes_no_vlmeval(answer); break;
    }
    score.valid = !score.extracted.empty();
    const auto words = split_at(score.extracted, ' ');
    const bool right = std::find(words.begin(), words.end(), item.answers[0]) != words.end();
    score.value = right ? 1.0 : 0.0;
    return score;
  }

  std::vector<Metric> aggregate(std::span<const ScoredRow> rows, Convention) const override {
    check_rows(rows, info_.name);
    const auto by_number = grouped_by(rows, &ScoredRow::category);
    Metric mean{.name = "accuracy", .value = 0.0, .n = std::ssize(rows)};
    std::vector<Metric> details;
    for (const auto& [number, refs] : by_number) {
      details.push_back(percent("accuracy/" + number, refs));
      mean.value += details.back().value / static_cast<double>(by_number.size());
      std::map<std::string, RowRefs> by_place;
      for (const ScoredRow* row : refs) by_place[row->subcategory].push_back(row);
      if (by_place.size() < 2) continue;
      for (const auto& [place, some] : by_place)
        details.push_back(percent(fmt::format("accuracy/{}/at/{}", number, place), some));
    }
    double n_valid = 0.0;
    for (const ScoredRow& row : rows) n_valid += row.score.valid ? 1.0 : 0.0;
    std::vector<Metric> out = {mean,
                               {.name = "compliance",
                                .value = 100.0 * n_valid / static_cast<double>(rows.size()),
                                .n = std::ssize(rows)}};
    out.insert(out.end(), details.begin(), details.end());
    return out;
  }

  Headline headline(Convention) const override { return mean_headline(&ScoredRow::category); }

 private:
  BenchmarkInfo info_{.name = "haystack",
                      .summary = "a yes/no question about the one picture of several that holds an anchor",
                      .paper = "Wu et al. 2024, arXiv 2407.13766",
                      .splits = {"1", "2", "3", "5", "10"},
                      .max_new_tokens = {.llava = 512, .lmms = 128}};
};

}  // namespace

const Benchmark& haystack_benchmark() {
  static const Haystack benchmark;
  return benchmark;
}

}  // namespace winnow::eval
