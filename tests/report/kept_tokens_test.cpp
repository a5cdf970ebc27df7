// Positions, overlaps and examples of kept tokens, worked out by hand on a 4 x 4 grid.

#include "winnow/report/kept_tokens.h"

#include "tests/report/report_fixture.h"
#include "tests/support/expect_error.h"
#include "winnow/report/examples.h"

namespace winnow::report {
namespace {

using Kept = std::vector<std::vector<int32_t>>;

record::Run kept_run(const test::Answers& answers, const std::vector<Kept>& kept) {
  record::Run run = test::answered_run("pope", answers);
  for (std::size_t i = 0; i < run.rows.size(); ++i) {
    run.rows[i].kept = kept[i];
    run.rows[i].kept_maps = {{{4, 4, {0.0, 0.0, 1.0, 1.0}, kept[i].front()}}};
  }
  return run;
}

const Kept kAll = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}};

/// Two questions; a and b keep 4 of 16 tokens each.
record::Run two_questions() {
  return kept_run({{"none", "11"}, {"a @ 25%", "10"}, {"b @ 25%", "01"}},
                  {kAll, {{0, 1, 2, 3}}, {{2, 3, 12, 13}}, kAll, {{0, 1, 2, 12}}, {{0, 1, 2, 12}}});
}

TEST(Positions, SharesOfImagesThatKeepAPlace) {
  const std::vector<record::Run> runs = {two_questions()};
  const Positions p = kept_positions(runs);
  EXPECT_EQ(p.n_tokens, 16);
  ASSERT_EQ(p.shares.size(), 2U);  // none drops nothing
  EXPECT_EQ(p.shares[0].config, "a @ 25%");
  EXPECT_EQ(p.shares[0].n_images, 2);
  EXPECT_DOUBLE_EQ(p.shares[0].share[0], 1.0);
  EXPECT_DOUBLE_EQ(p.shares[0].share[3], 0.5);
  EXPECT_DOUBLE_EQ(p.shares[0].share[15], 0.0);
  EXPECT_DOUBLE_EQ(p.shares[0].last_quarter, 1.0 / 8.0);  // token 12, once among eight
  EXPECT_DOUBLE_EQ(p.shares[1].last_quarter, 3.0 / 8.0);
}

TEST(Positions, OtherGridsAreCountedAndLeftOut) {
  record::Run run = two_questions();
  run.rows[4].n_visual_before = 9;  // and its token 12 lies outside
  const std::vector<record::Run> runs = {run};
  const Positions p = kept_positions(runs);
  EXPECT_EQ(p.n_other, 1);
  EXPECT_EQ(p.shares[0].n_images, 1);
}

TEST(Positions, NothingRecorded) {
  const std::vector<record::Run> runs = {test::gqa_run()};
  EXPECT_TRUE(kept_positions(runs).shares.empty());
  EXPECT_TRUE(overlaps(runs).empty());
  EXPECT_TRUE(choose_examples(runs, 5).empty());
}

// First question: {2, 3} of six; second: equal sets. (1/3 + 1) / 2.
TEST(Overlaps, MeanIntersectionOverUnion) {
  const std::vector<record::Run> runs = {two_questions()};
  const auto list = overlaps(runs);
  ASSERT_EQ(list.size(), 1U);
  EXPECT_EQ(list[0].budget, "25%");
  EXPECT_EQ(list[0].n_images, 2);
  EXPECT_DOUBLE_EQ(list[0].iou[0][0], 1.0);
  EXPECT_DOUBLE_EQ(list[0].iou[0][1], (1.0 / 3.0 + 1.0) / 2.0);
  EXPECT_DOUBLE_EQ(list[0].iou[1][0], list[0].iou[0][1]);
  EXPECT_DOUBLE_EQ(list[0].chance, 4.0 / 28.0);  // k / (2 n - k)
}

TEST(Overlaps, OrderOfIndicesDoesNotMatterAndFailedQuestionsAreLeftOut) {
  record::Run run = two_questions();
  run.rows[1].kept = Kept{{3, 2, 1, 0}};
  run.rows[4].error = "[engine.image] broken";
  const std::vector<record::Run> runs = {run};
  const auto list = overlaps(runs);
  ASSERT_EQ(list.size(), 1U);
  EXPECT_EQ(list[0].n_images, 1);
  EXPECT_DOUBLE_EQ(list[0].iou[0][1], 1.0 / 3.0);
}

TEST(Examples, MostDisputedFirstAndBenchmarksInTurn) {
  // Right answers: question 0 all, question 1 one of three, question 2 two of three.
  record::Run pope = kept_run({{"none", "111"}, {"a @ 25%", "100"}, {"b @ 25%", "101"}},
                              std::vector<Kept>(9, Kept{{0, 1, 2, 3}}));
  record::Run gqa =
      kept_run({{"none", "1"}, {"a @ 25%", "1"}, {"b @ 25%", "1"}}, std::vector<Kept>(3, Kept{{1}}));
  gqa.header.benchmarks[0].name = "gqa";
  for (record::ResultRow& row : gqa.rows) row.benchmark = "gqa";
  const std::vector<record::Run> runs = {pope, gqa};
  const auto list = choose_examples(runs, 3);
  ASSERT_EQ(list.size(), 3U);
  EXPECT_EQ(list[0].question_id, "pope-1");
  EXPECT_EQ(list[1].benchmark, "gqa");
  EXPECT_EQ(list[2].question_id, "pope-2");
  ASSERT_EQ(list[0].answers.size(), 3U);
  EXPECT_TRUE(list[0].answers[0].is_right);
  EXPECT_FALSE(list[0].answers[1].is_right);
  ASSERT_EQ(list[0].answers[1].maps->size(), 1U);
  EXPECT_EQ(list[0].answers[1].maps->front().kept, (std::vector<int32_t>{0, 1, 2, 3}));
  EXPECT_EQ(choose_examples(runs, 100).size(), 4U);
}

TEST(Examples, NoMapNoExample) {
  record::Run run = two_questions();
  for (record::ResultRow& row : run.rows) row.kept_maps.reset();
  const std::vector<record::Run> runs = {run};
  EXPECT_TRUE(choose_examples(runs, 5).empty());
}

/// POPE's files with two questions about one picture.
void write_pope(const std::string& folder) {
  std::filesystem::create_directories(folder + "/images");
  test::write_text(folder + "/images/a.png", "no real picture");
  for (const char* part : {"random", "popular", "adversarial"})
    test::write_text(folder + "/coco_pope_" + part + ".json",
                     "{\"question_id\":0,\"image\":\"a.png\",\"text\":\"q\",\"label\":\"yes\"}\n"
                     "{\"question_id\":1,\"image\":\"a.png\",\"text\":\"q\",\"label\":\"yes\"}\n");
}

class ExamplePictures : public testing::Test {
 protected:
  ExamplePictures() {
    run_.header.data = folder_.at("data");
    source_.run_folders = {folder_.at("run")};
    source_.make = [](const eval::ItemImage& image) {
      return Thumbnail{"data:," + std::filesystem::path(image.path).filename().string(), 30, 20};
    };
  }
  std::vector<std::string> add() {
    const std::vector<record::Run> runs = {run_};
    examples_ = choose_examples(runs, 2);
    return add_pictures(runs, source_, examples_);
  }

  test::TempFolder folder_;
  record::Run run_ = two_questions();
  PictureSource source_;
  std::vector<Example> examples_;
};

TEST_F(ExamplePictures, ComeThroughTheLoader) {
  write_pope(folder_.at("data/pope"));
  const auto items = eval::find_benchmark("pope").load(folder_.at("data/pope"), {});
  for (std::size_t i = 0; i < run_.rows.size(); ++i) run_.rows[i].question_id = items[i / 3].id;
  EXPECT_EQ(add(), std::vector<std::string>{});
  ASSERT_TRUE(examples_.at(0).picture);
  EXPECT_EQ(examples_[0].picture->data_url, "data:,a.png");
  EXPECT_EQ(examples_[0].picture->width_px, 30);
}

TEST_F(ExamplePictures, OfProceduralQuestionsLieInTheRun) {
  run_.header.data = "scenes";
  run_.header.parameters["scenes_seed"] = "7";
  write_pope(folder_.at("run/scenes/pope-seed7-n2/pope"));
  const auto items = eval::find_benchmark("pope").load(folder_.at("run/scenes/pope-seed7-n2/pope"), {});
  for (std::size_t i = 0; i < run_.rows.size(); ++i) run_.rows[i].question_id = items[i / 3].id;
  EXPECT_EQ(add(), std::vector<std::string>{});
  EXPECT_TRUE(examples_.at(0).picture);
  run_.header.parameters["scenes_seed"] = "8";
  const auto problems = add();
  ASSERT_EQ(problems.size(), 1U);
  EXPECT_NE(problems[0].find("pope-seed8-n"), std::string::npos) << problems[0];
}

TEST_F(ExamplePictures, OfProceduralQuestionsOfAnotherSplit) {
  run_.header.data = "scenes";
  run_.header.parameters["scenes_seed"] = "7";
  run_.header.benchmarks[0].split = "val";
  write_pope(folder_.at("run/scenes/pope-val-seed7-n2/pope"));
  const auto items = eval::find_benchmark("pope").load(folder_.at("run/scenes/pope-val-seed7-n2/pope"), {});
  for (std::size_t i = 0; i < run_.rows.size(); ++i) run_.rows[i].question_id = items[i / 3].id;
  EXPECT_EQ(add(), std::vector<std::string>{});
  EXPECT_TRUE(examples_.at(0).picture);
}

TEST_F(ExamplePictures, OfAStudyLieBesideItsRunsAndEachRunHasItsOwnCount) {
  run_.header.data = "scenes";
  run_.header.parameters["scenes_seed"] = "7";
  run_.header.parameters["limit"] = "2";
  write_pope(folder_.at("scenes/pope-seed7-n2/pope"));
  std::filesystem::create_directories(
      folder_.at("scenes/pope-seed7-n20/pope"));  // another run's, without the questions
  std::filesystem::create_directories(folder_.at("study/run"));
  source_.run_folders = {folder_.at("study/run")};
  const auto items = eval::find_benchmark("pope").load(folder_.at("scenes/pope-seed7-n2/pope"), {"", 2});
  for (std::size_t i = 0; i < run_.rows.size(); ++i) run_.rows[i].question_id = items[i / 3].id;
  EXPECT_EQ(add(), std::vector<std::string>{});
  EXPECT_TRUE(examples_.at(0).picture);
}

TEST_F(ExamplePictures, ThatAreMissingAreSaid) {
  auto problems = add();
  ASSERT_EQ(problems.size(), 1U);
  EXPECT_NE(problems[0].find("pope: "), std::string::npos) << problems[0];
  EXPECT_FALSE(examples_.at(0).picture);
  // Other questions than the run's.
  write_pope(folder_.at("elsewhere"));
  source_.data = folder_.at("elsewhere");
  problems = add();
  ASSERT_EQ(problems.size(), 1U);
  EXPECT_NE(problems[0].find("the data have no question pope-0"), std::string::npos) << problems[0];
}

}  // namespace
}  // namespace winnow::report
