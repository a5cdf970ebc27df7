// Right and wrong answers, boxes by hand, intervals against Newcombe 1998 (Statistics in Medicine 17, table
// I, method 3: Wilson's score without continuity correction).

#include "tests/support/scene_score.h"

#include <gtest/gtest.h>

#include <array>
#include <map>

namespace winnow::testing {
namespace {

scenes::Question question_of(scenes::Task task, const std::string& answer) {
  scenes::Question question;
  question.task = task;
  question.answer = answer;
  return question;
}

TEST(Normalised, DropsBlanksCaseAndOneFullStop) {
  EXPECT_EQ(normalised("  Yes.\n"), "yes");
  EXPECT_EQ(normalised("No ."), "no");
  EXPECT_EQ(normalised("STAR"), "star");
  EXPECT_EQ(normalised("4.."), "4.");
  EXPECT_EQ(normalised("a b"), "a b");
  EXPECT_EQ(normalised("."), "");
  EXPECT_EQ(normalised(" \n"), "");
  EXPECT_EQ(normalised(""), "");
}

TEST(OptionLetter, ReadsWhatNamesAnOption) {
  for (const char* text : {"B", "b", " B ", "B.", "(B)", "(b", "B)", "B: red star", "B. red star", "B, yes"})
    EXPECT_EQ(option_letter(text), 'B') << text;
}

TEST(OptionLetter, NothingElse) {
  for (const char* text : {"", "(", "2", "Blue", "A star", "BC", "B2", ".B", "[B]"})
    EXPECT_EQ(option_letter(text), std::nullopt) << text;
}

TEST(ParseBox, ReadsFourNumbers) {
  for (const char* text :
       {"[0.1, 0.25, 0.5, 1.00]", "  [0.1,0.25,0.5,1]. ", "at [ 0.1 ,0.25, .5, 1.0 ] [9]"}) {
    const auto box = parse_box(text);
    ASSERT_TRUE(box) << text;
    EXPECT_FLOAT_EQ(box->x0, 0.1F);
    EXPECT_FLOAT_EQ(box->y0, 0.25F);
    EXPECT_FLOAT_EQ(box->x1, 0.5F);
    EXPECT_FLOAT_EQ(box->y1, 1.0F);
  }
}

TEST(ParseBox, RefusesEverythingElse) {
  for (const char* text : {"",
                           "[",
                           "]",
                           "[]",
                           "nothing",
                           "0.1, 0.2, 0.3, 0.4",
                           "[0.1, 0.2, 0.3]",
                           "[0.1, 0.2, 0.3, 0.4, 0.5]",
                           "[0.1, 0.2, 0.3, 0.4",
                           "0.1, 0.2, 0.3, 0.4]",
                           "][0.1, 0.2, 0.3, 0.4",
                           "[0.1 0.2 0.3 0.4]",
                           "[0.1, 0.2, , 0.4]",
                           "[0.1, 0.2, 0.3, ]",
                           "[0.1, 0.2, 0.3, x]",
                           "[0.1, 0.2, 0.3, 0.4 px]",
                           "[0.1, 0.2, 0.3, nan]",
                           "[0.1, 0.2, 0.3, inf]",
                           "[0.1, 0.2, 0.3, 0..4]",
                           "[[0.1, 0.2, 0.3, 0.4]]",
                           "[0.1, 0.2] [0.1, 0.2, 0.3, 0.4]"}) {
    EXPECT_FALSE(parse_box(text)) << text;
  }
}

TEST(Iou, ByHand) {
  const scenes::Box box{0.0F, 0.0F, 2.0F, 2.0F};
  EXPECT_DOUBLE_EQ(iou(box, box), 1.0);
  EXPECT_DOUBLE_EQ(iou(box, {1.0F, 1.0F, 3.0F, 3.0F}), 1.0 / 7.0);
  EXPECT_DOUBLE_EQ(iou({1.0F, 1.0F, 3.0F, 3.0F}, box), 1.0 / 7.0);
  EXPECT_DOUBLE_EQ(iou(box, {0.0F, 0.0F, 1.0F, 2.0F}), 0.5);         // inside
  EXPECT_DOUBLE_EQ(iou(box, {-1.0F, 0.0F, 1.0F, 2.0F}), 1.0 / 3.0);  // beyond the picture
  EXPECT_DOUBLE_EQ(iou(box, {2.0F, 0.0F, 4.0F, 2.0F}), 0.0);         // touching
  EXPECT_DOUBLE_EQ(iou(box, {5.0F, 5.0F, 6.0F, 6.0F}), 0.0);
}

TEST(Iou, WithoutArea) {
  const scenes::Box point{1.0F, 1.0F, 1.0F, 1.0F};
  EXPECT_DOUBLE_EQ(iou(point, point), 0.0);
  EXPECT_DOUBLE_EQ(iou({0.0F, 0.0F, 2.0F, 2.0F}, {2.0F, 2.0F, 0.0F, 0.0F}), 0.0);  // corners the wrong way
}

TEST(Judge, OpenAnswersByTheirText) {
  const auto question = question_of(scenes::Task::ExistRandom, "Yes");
  EXPECT_TRUE(judge(question, " yes.").right);
  EXPECT_FALSE(judge(question, "No").right);
  EXPECT_FALSE(judge(question, "Yes it is").right);
  EXPECT_FALSE(judge(question, "").right);
  EXPECT_FALSE(judge(question, "Yes").iou);
  EXPECT_TRUE(judge(question_of(scenes::Task::ReadWord, "LAMP"), "lamp").right);
}

TEST(Judge, ChoicesByTheirLetter) {
  auto question = question_of(scenes::Task::ChoiceColor, "C");
  question.choices = {"red", "green", "blue", "white"};
  EXPECT_TRUE(judge(question, "C").right);
  EXPECT_TRUE(judge(question, "c. blue").right);
  EXPECT_FALSE(judge(question, "B").right);
  EXPECT_FALSE(judge(question, "blue").right);
  EXPECT_FALSE(judge(question, "").right);
}

TEST(Judge, BoxesByTheirOverlap) {
  auto question = question_of(scenes::Task::Ground, "[0.00, 0.00, 0.50, 0.50]");
  question.box = {0.0F, 0.0F, 48.0F, 48.0F};  // half of 96 pixels
  const auto same = judge(question, question.answer);
  EXPECT_TRUE(same.right);
  EXPECT_DOUBLE_EQ(same.iou.value(), 1.0);
  const auto half = judge(question, "[0.00, 0.00, 0.25, 0.50]");
  EXPECT_TRUE(half.right);  // exactly 0.5
  EXPECT_DOUBLE_EQ(half.iou.value(), 0.5);
  const auto third = judge(question, "[0.25, 0.00, 0.75, 0.50]");
  EXPECT_FALSE(third.right);
  EXPECT_NEAR(third.iou.value(), 1.0 / 3.0, 1e-6);
  const auto none = judge(question, "[0.00, 0.00, 0.50]");
  EXPECT_FALSE(none.right);
  EXPECT_FALSE(none.iou);
}

TEST(Judge, TrueAnswersAreRight) {
  std::map<scenes::Task, int32_t> n_asked;
  for (uint64_t i = 0; i < 200; ++i) {
    Rng rng = scenes::scene_rng(scenes::Split::Test, 11, i);
    const scenes::Scene scene = scenes::make_scene({}, rng);
    for (const scenes::TaskInfo& info : scenes::tasks()) {
      const auto question = scenes::ask(scene, info.task, rng);
      if (!question) continue;
      ++n_asked[info.task];
      EXPECT_TRUE(judge(*question, " " + question->answer).right) << question->text << question->answer;
      for (int32_t shift = 1; shift < std::ssize(question->choices); ++shift)
        EXPECT_FALSE(judge(*question, scenes::rotated(*question, shift).answer).right) << question->text;
    }
  }
  EXPECT_GE(std::ssize(n_asked), scenes::kTasks - 1);  // needles hide in several pictures
}

TEST(Wilson, AgreesWithNewcombe) {
  struct Case {
    Share share;
    double low, high;
  };
  for (const Case& c : {Case{{81, 263}, 0.2553, 0.3662}, Case{{15, 148}, 0.0624, 0.1605},
                        Case{{0, 20}, 0.0, 0.1611}, Case{{1, 29}, 0.0061, 0.1718}}) {
    const Estimate e = wilson(c.share);
    EXPECT_DOUBLE_EQ(e.value, static_cast<double>(c.share.right) / static_cast<double>(c.share.n));
    EXPECT_NEAR(e.low, c.low, 5e-5) << c.share.n;
    EXPECT_NEAR(e.high, c.high, 5e-5) << c.share.n;
    const Estimate mirrored = wilson({c.share.n - c.share.right, c.share.n});
    EXPECT_NEAR(mirrored.low, 1.0 - e.high, 1e-12);
    EXPECT_NEAR(mirrored.high, 1.0 - e.low, 1e-12);
  }
}

TEST(Wilson, KnowsNothingWithoutAnswers) {
  const Estimate e = wilson({});
  EXPECT_EQ(e.low, 0.0);
  EXPECT_EQ(e.high, 1.0);
}

TEST(MeanOf, ByHand) {
  // Variances 0.5 * 0.5 / 100 and 0.8 * 0.2 / 400; half width 1.96 * sqrt(0.0025 + 0.0004) / 2.
  const std::array<Share, 3> shares = {Share{50, 100}, Share{0, 0}, Share{320, 400}};
  const Estimate e = mean_of(shares);
  EXPECT_DOUBLE_EQ(e.value, 0.65);
  EXPECT_NEAR(e.low, 0.65 - 0.052773, 1e-5);
  EXPECT_NEAR(e.high, 0.65 + 0.052773, 1e-5);
}

TEST(MeanOf, StaysWithinOne) {
  const std::array<Share, 1> one = {Share{1, 2}};
  EXPECT_EQ(mean_of(one).low, 0.0);
  EXPECT_EQ(mean_of(one).high, 1.0);
  EXPECT_EQ(mean_of({}).high, 1.0);
}

}  // namespace
}  // namespace winnow::testing
