// MME: fourteen subtasks of yes/no questions, two per picture, one true and one false (Fu et al. 2023, arXiv
// 2306.13394). Release: CATEGORY/NAME.txt, two lines "question, tab, Yes or No", beside the picture; five
// categories keep texts in questions_answers_YN/ and pictures in images/. Rules: MME's
// eval_tool/calculation.py (which LLaVA runs; read in zjunlp/Deco eval_tool/calculation.py, and LLaVA's
// converter in EasonAI-5589/MME convert_answer_to_mme.py); lmms-eval lmms_eval/tasks/mme; VLMEvalKit
// vlmeval/dataset/utils/yorn.py (MME_rating).
//
// Score of a category = 100 x share of right answers + 100 x share of pictures with both right (at most 200).
// perception = sum of ten categories, cognition ("reasoning" in VLMEvalKit) = sum of four; papers print
// perception or the sum of both. Categories that are not there are left out of the sums and of their `max`.
// Prompts: llava and lmms replace " Please answer yes or no." by their own sentence, vlmeval asks as it
// stands.

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>

#include "winnow/base/error.h"
#include "winnow/eval/dataset_files.h"
#include "winnow/eval/metrics.h"
#include "winnow/eval/prompt_text.h"
#include "winnow/eval/python_text.h"
#include "winnow/eval/yes_no.h"

namespace winnow::eval {
namespace fs = std::filesystem;
namespace {

constexpr const char* kWhere = "eval.mme";
constexpr std::size_t kPair = 2;

constexpr std::array<std::string_view, 10> kPerception = {
    "existence", "count", "position", "color", "posters", "celebrity", "scene", "landmark", "artwork", "OCR"};
constexpr std::array<std::string_view, 4> kCognition = {"commonsense_reasoning", "numerical_calculation",
                                                        "text_translation", "code_reasoning"};

template <std::size_t n>
bool is_one_of(const std::array<std::string_view, n>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string answer_of(std::string_view text, std::string_view place) {
  std::string answer = yes_no_exact(text);
  WINNOW_CHECK(!answer.empty(), Corrupt, kWhere, "{}: answer, got '{}', expected Yes or No", place, text);
  return answer;
}

std::vector<Item> read_pair(const fs::path& path, const std::string& category) {
  std::ifstream file(path, std::ios::binary);
  WINNOW_CHECK(file, Io, kWhere, "{}: cannot be read", path.string());
  std::vector<Item> items;
  std::string line;
  for (int64_t number = 1; std::getline(file, line); ++number) {
    const std::string_view text = strip(line);
    if (text.empty()) continue;
    Item item;
    item.place = fmt::format("{}:{}", path.string(), number);
    const auto cells = split_at(text, '\t');
    WINNOW_CHECK(cells.size() == 2, Corrupt, kWhere, "{}: expected a question, a tab, Yes or No, got '{}'",
                 item.place, text);
    item.category = category;
    item.group = category + "/" + path.stem().string();
    item.id = fmt::format("{}/{}", item.group, items.size() + 1);
    item.question = cells[0];
    item.answers = {answer_of(cells[1], item.place)};
    items.push_back(std::move(item));
  }
  return items;
}

std::vector<fs::path> texts_in(const fs::path& folder) {
  std::vector<fs::path> texts;
  try {
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (entry.is_regular_file() && entry.path().extension() == ".txt") texts.push_back(entry.path());
    }
  } catch (const fs::filesystem_error& error) {
    fail(ErrorCode::Io, kWhere, "{}: cannot be read: {}", folder.string(), error.code().message());
  }
  std::sort(texts.begin(), texts.end());
  return texts;
}

void check_pairs(const std::vector<Item>& items) {
  std::map<std::string_view, std::vector<const Item*>> groups;
  for (const Item& item : items) groups[item.group].push_back(&item);
  for (const auto& [name, group] : groups) {
    WINNOW_CHECK(group.size() == kPair, Corrupt, kWhere, "{}: picture '{}' has {} questions, expected 2",
                 group[0]->place, name, group.size());
  }
}

std::vector<Item> load_table(const std::string& path, const LoadOptions& options) {
  VlmevalTable table(path);
  std::vector<Item> items = table.items();
  for (Item& item : items) {
    WINNOW_CHECK(!item.category.empty() && table.has("image_path"), Corrupt, kWhere,
                 "{}: expected columns category and image_path (questions with the same path are a pair)",
                 item.place);
    item.group = item.category + "/" + table.cell(item, "image_path");
    if (!item.answers.empty()) item.answers = {answer_of(item.answers[0], item.place)};
  }
  check_pairs(items);
  return finish_items(std::move(items), options, [&](Item& item) { table.add_pictures(item); });
}

class Mme final : public Benchmark {
 public:
  const BenchmarkInfo& info() const override { return info_; }

  std::vector<Item> load(const std::string& path, const LoadOptions& options) const override {
    check_options(options, info_);
    DataFolder folder(path, info_.name);
    std::vector<Item> items;
    std::map<std::string, std::vector<std::string>> folders_of;  // with pictures, by category
    for (const std::string root : {"", "MME_Benchmark_release_version/",
                                   "MME_Benchmark_release_version/MME_Benchmark/", "MME_Benchmark/"}) {
      for (const std::string_view name : kPerception) add_category(folder, root, name, items, folders_of);
      for (const std::string_view name : kCognition) add_category(folder, root, name, items, folders_of);
      if (!items.empty()) break;
    }
    if (items.empty()) {
      if (const auto table = folder.find_table({"MME.tsv"})) return load_table(*table, options);
      folder.nothing_here();
    }
    check_pairs(items);
    return finish_items(std::move(items), options, [&](Item& item) {
      const std::string stem = item.group.substr(item.category.size() + 1);
      item.images = {
          folder.picture({stem + ".jpg", stem + ".png", stem + ".jpeg"}, folders_of.at(item.category), item)};
    });
  }

  std::string prompt(const Item& item, Convention convention) const override {
    if (convention == Convention::Vlmeval) return with_images(item.images.size(), convention, item.question);
    std::string question = replaced(strip(item.question), kYesNoAnswer, "");
    if (convention == Convention::Llava) question = strip(question);
    return with_images(item.images.size(), convention, question.append(kShortAnswer));
  }

  Score score(const Item& item, std::string_view answer, Convention convention) const override {
    Score score;
    switch (convention) {
      case Convention::Llava: score.extracted = yes_no_mme(strip(answer)); break;
      case Convention::Lmms: score.extracted = yes_no_lmms_mme(answer); break;
      case Convention::Vlmeval: score.extracted = yes_no_vlmeval(answer); break;
    }
    score.valid = !score.extracted.empty();
    score.value = score.extracted == item.answers[0] ? 1.0 : 0.0;
    return score;
  }

  std::vector<Metric> aggregate(std::span<const ScoredRow> rows, Convention) const override {
    check_rows(rows, info_.name);
    std::map<std::string, std::map<std::string, std::vector<double>>>
        pictures;  // values by category and group
    for (const ScoredRow& row : rows) pictures[row.category][row.group].push_back(row.score.value);
    Metric total{.name = "total", .max = 0.0}, perception{.name = "perception", .max = 0.0},
        cognition{.name = "cognition", .max = 0.0};
    std::vector<Metric> categories;
    for (const auto& [name, groups] : pictures) {
      categories.push_back(points_of(name, groups));
      for (Metric* sum : {&total, is_one_of(kCognition, name) ? &cognition : &perception}) {
        sum->value += categories.back().value;
        sum->max += categories.back().max;
        sum->n += categories.back().n;
      }
    }
    std::vector<Metric> out = {total};
    for (const Metric& sum : {perception, cognition}) {
      if (sum.n > 0) out.push_back(sum);
    }
    out.insert(out.end(), categories.begin(), categories.end());
    return out;
  }

  Headline headline(Convention) const override {
    Headline out;
    out.parts = [](std::span<const ScoredRow* const> pair) -> std::vector<HeadlinePart> {
      WINNOW_CHECK(pair.size() == kPair, InvalidArgument, kWhere,
                   "picture '{}' has {} scored questions, expected 2", pair[0]->group, pair.size());
      const double first = pair[0]->score.value, second = pair[1]->score.value;
      return {{pair[0]->category, {first + second, first * second, 1.0}}};
    };
    out.value = [](const Sums& sums) {
      return sums[2] > 0.0 ? (50.0 * sums[0] + 100.0 * sums[1]) / sums[2] : 0.0;
    };
    out.adds_strata = true;
    return out;
  }

 private:
  static void add_category(DataFolder& folder, const std::string& root, std::string_view category,
                           std::vector<Item>& items,
                           std::map<std::string, std::vector<std::string>>& folders_of) {
    const std::string name(category), inside = root + name;
    const auto found = folder.find({inside});
    std::error_code ignored;
    if (!found || !fs::is_directory(*found, ignored)) return;
    const bool apart = fs::is_directory(fs::path(*found) / "questions_answers_YN", ignored);
    for (const fs::path& text :
         texts_in(apart ? fs::path(*found) / "questions_answers_YN" : fs::path(*found))) {
      for (Item& item : read_pair(text, name)) items.push_back(std::move(item));
    }
    folders_of[name] = {apart ? inside + "/images" : inside};
  }

  static Metric points_of(const std::string& name, const std::map<std::string, std::vector<double>>& groups) {
    double right = 0.0, both_right = 0.0;
    for (const auto& [group, values] : groups) {
      WINNOW_CHECK(values.size() == kPair, InvalidArgument, kWhere,
                   "picture '{}' has {} scored questions, expected 2", group, values.size());
      right += values[0] + values[1];
      both_right += values[0] * values[1];
    }
    const auto n = static_cast<double>(groups.size());
    return {.name = "points/" + name,
            .value = 100.0 * right / (2.0 * n) + 100.0 * both_right / n,
            .max = 200.0,
            .n = 2 * std::ssize(groups)};
  }

  BenchmarkInfo info_{.name = "mme",
                      .summary = "two yes/no questions per picture in fourteen subtasks, scored in points",
                      .paper = "Fu et al. 2023, arXiv 2306.13394",
                      .max_new_tokens = {.llava = 128, .lmms = 16}};
};

}  // namespace

const Benchmark& mme_benchmark() {
  static const Mme benchmark;
  return benchmark;
}

}  // namespace winnow::eval
