// winnow scenes writes the procedural questions in the benchmarks' own formats; the loaders read them back:
// the true answers score full marks in every convention, wrong ones nothing.

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tests/eval/fixture.h"
#include "winnow/scenes/benchmark.h"
#include "winnow/scenes/formats/formats.h"

namespace winnow::eval {
namespace {

using test::bytes_of;
using test::Folder;

struct Case {
  const char* benchmark;  ///< ours
  const char* scenes;     ///< who writes it
  int32_t n;              ///< asked for
  std::size_t n_items;    ///< written
};

constexpr Case kCases[] = {
    {"pope", "pope", 4, 12},          {"mme", "mme", 14, 14},           {"gqa", "gqa", 10, 10},
    {"mmbench", "mmbench", 5, 20},    {"scienceqa", "scienceqa", 8, 8}, {"textvqa", "textvqa", 6, 6},
    {"textvqa_ocr", "textvqa", 6, 6}, {"vizwiz", "vizwiz", 6, 6},       {"vqav2", "vqav2", 16, 16},
    {"refcoco", "refcoco", 6, 6},     {"haystack", "haystack", 10, 10}};

std::string wrong_answer_to(const Item& item) {
  if (item.answers[0] == "yes") return "no";
  if (item.answers[0] == "no") return "yes";
  if (!item.choices.empty()) return item.answers[0] == "A" ? "B" : "A";
  if (item.width_px > 0) return "[0.999, 0.999, 1, 1]";
  return "zzz";
}

class ScenesRoundTrip : public testing::TestWithParam<Case> {
 protected:
  std::vector<Item> items() const {
    scenes::ExportRequest request;
    request.benchmark = GetParam().scenes;
    request.seed = 5;
    request.n = GetParam().n;
    request.folder = folder.path();
    return find_benchmark(GetParam().benchmark).load(scenes::export_benchmark(request).folder, {});
  }
  const Benchmark& benchmark() const { return find_benchmark(GetParam().benchmark); }

  Folder folder;  ///< of the running test
};

TEST_P(ScenesRoundTrip, EveryQuestionHasItsPictures) {
  const auto loaded = items();
  ASSERT_EQ(loaded.size(), GetParam().n_items);
  for (const Item& item : loaded) {
    ASSERT_FALSE(item.images.empty());
    for (const ItemImage& image : item.images) {
      EXPECT_EQ(bytes_of(image).substr(1, 3), "PNG") << item.id;
      EXPECT_FALSE(image.key.empty());
    }
    EXPECT_FALSE(item.place.empty());
    EXPECT_FALSE(item.group.empty());
  }
}

TEST_P(ScenesRoundTrip, PromptsPlaceEveryPictureOnce) {
  for (const Item& item : items()) {
    for (const Convention convention : conventions()) {
      const std::string prompt = benchmark().prompt(item, convention);
      std::size_t n_marks = 0;
      for (std::size_t at = 0; (at = prompt.find("<image>", at)) != std::string::npos; ++at) ++n_marks;
      EXPECT_EQ(n_marks, item.images.size()) << prompt;
      EXPECT_GT(prompt.size(), 20U);
    }
  }
}

TEST_P(ScenesRoundTrip, TrueAnswersScoreFullMarksAndWrongOnesNothing) {
  const auto loaded = items();
  for (const Convention convention : conventions()) {
    std::vector<ScoredRow> right, wrong;
    for (const Item& item : loaded) {
      right.push_back(scored_row(item, benchmark().score(item, item.answers[0], convention)));
      EXPECT_EQ(right.back().score.value, 1.0) << convention_name(convention) << ": " << item.answers[0];
      EXPECT_TRUE(right.back().score.valid);
      wrong.push_back(scored_row(item, benchmark().score(item, wrong_answer_to(item), convention)));
      EXPECT_EQ(wrong.back().score.value, 0.0)
          << convention_name(convention) << ": " << wrong_answer_to(item);
    }
    const auto best = benchmark().aggregate(right, convention),
               worst = benchmark().aggregate(wrong, convention);
    EXPECT_NEAR(best[0].value, best[0].max, 1e-9) << best[0].name;
    EXPECT_GT(best[0].n, 0);
    EXPECT_EQ(worst[0].value, 0.0) << worst[0].name;
    EXPECT_EQ(worst.size(), best.size());
  }
}

TEST_P(ScenesRoundTrip, RowsDoNotNeedTheirOrder) {
  const auto loaded = items();
  std::vector<ScoredRow> rows;
  for (std::size_t i = 0; i < loaded.size(); ++i) {
    const std::string answer = i % 3 == 0 ? wrong_answer_to(loaded[i]) : loaded[i].answers[0];
    rows.push_back(scored_row(loaded[i], benchmark().score(loaded[i], answer, Convention::Vlmeval)));
  }
  const auto forward = benchmark().aggregate(rows, Convention::Vlmeval);
  std::reverse(rows.begin(), rows.end());
  const auto backward = benchmark().aggregate(rows, Convention::Vlmeval);
  ASSERT_EQ(forward.size(), backward.size());
  for (std::size_t i = 0; i < forward.size(); ++i) {
    EXPECT_EQ(forward[i].name, backward[i].name);
    EXPECT_NEAR(forward[i].value, backward[i].value, 1e-9) << forward[i].name;
    EXPECT_EQ(forward[i].n, backward[i].n);
  }
}

INSTANTIATE_TEST_SUITE_P(All, ScenesRoundTrip, testing::ValuesIn(kCases),
                         [](const auto& test) { return std::string(test.param.benchmark); });

TEST(ScenesRoundTrip, CoversEveryBenchmarkThatScenesWrite) {
  std::set<std::string> covered;
  for (const Case& c : kCases) covered.insert(c.scenes);
  for (const std::string& name : scenes::benchmarks()) EXPECT_TRUE(covered.contains(name)) << name;
}

TEST(ScenesRoundTripDetails, AreTheWriters) {
  const Folder folder;
  scenes::ExportRequest request;
  request.benchmark = "haystack";
  request.seed = 5;
  request.n = 10;
  request.folder = folder.path();
  scenes::export_benchmark(request);
  const auto drawn = scenes::draw_benchmark("haystack", scenes::Split::Test, 5, 10);
  std::multiset<std::string> asked, loaded;
  for (const auto& one : drawn)
    asked.insert(fmt::format("{} {} {}", one.question.text, one.scenes.size(), one.question.needle));
  const Benchmark& haystack = find_benchmark("haystack");
  for (const Item& item : haystack.load(folder.path("haystack"), {})) {
    loaded.insert(fmt::format("{} {} {}", item.question, item.category, item.subcategory));
    // The scenes' own field `question`: asked as other short questions, without the toolkit's sentence.
    EXPECT_TRUE(haystack.prompt(item, Convention::Llava)
                    .ends_with("\nAnswer the question using a single word or phrase."));
    EXPECT_EQ(haystack.prompt(item, Convention::Llava).find("You are given"), std::string::npos);
  }
  EXPECT_EQ(asked, loaded);
}

}  // namespace
}  // namespace winnow::eval
