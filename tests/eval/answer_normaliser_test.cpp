// Golden strings worked out by hand from the rules of the sources named in answer_normaliser.h.

#include "winnow/eval/answer_normaliser.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace winnow::eval {
namespace {

struct Case {
  const char* answer;
  const char* normalised;
};

void expect_all(AnswerRules rules, std::initializer_list<Case> cases) {
  for (const Case& c : cases) EXPECT_EQ(normalise_answer(c.answer, rules), c.normalised) << c.answer;
}

TEST(AnswerNormaliser, EvalAi) {
  expect_all(AnswerRules::EvalAi,
             {{"Yes", "yes"},
              {"Yes, it is.", "yes it is"},
              {" the  red\tcar\n", "red car"},
              {"A cat and an owl", "cat and owl"},
              {"two", "2"},
              {"None", "0"},
              {"ten dogs", "10 dogs"},
              {"twenty one", "twenty 1"},
              {"The cat's", "cat 's"},          // " 's" becomes a word
              {"T-shirt", "t shirt"},           // a mark without a blank beside it becomes one
              {"red - blue", "red blue"},       // with one it goes
              {"t-shirt - red", "tshirt red"},  // ... everywhere
              {"10/12", "10 12"},
              {"[x](y)", "x y"},
              {"1,000", "1000"},  // commas go before anything looks at them
              {"red,blue", "redblue"},
              {"1,000 black-white", "1000 black white"},
              {"what?!", "what"},
              {"3.5", "3.5"},
              {"3.", "3"},
              {"v.2", "v.2"},
              {".5", ".5"},
              {"U.S.A.", "usa"},
              {"3.5.", "3.5"},
              {"dont know", "don't know"},
              {"cant", "can't"},
              {"somebody'd", "somebodyd"},
              {"oclock", "o'clock"},
              {"It's", "it 's"},
              {"I'dve", "i'dve"},  // its table entry has a capital and never matches
              {"b........................................", "b........"},  // 40 stops, 32 of them go
              {"blue\ngreen", "blue green"},
              {"\xc3\x89"
               "COLE",
               "\xc3\xa9"
               "cole"},
              {"the", ""},
              {"", ""}});
}

TEST(AnswerNormaliser, EvalAiRaw) {
  expect_all(AnswerRules::EvalAiRaw,
             {{"Yes, it is.", "yes it is"},
              {"red,blue", "red blue"},
              {"1,000", "1000"},
              {"1,,000", "1000"},
              {"1,000 black-white", "1000 blackwhite"},  // digit commas: every mark just goes
              {"It's", "it's"},
              {"is it?", "is it"},
              {"3.", "3"},
              {"two", "2"},
              {"The", ""}});
}

TEST(AnswerNormaliser, Official) {
  expect_all(AnswerRules::Official, {{"1,000", "1000"},
                                     {"1,,000", "1 000"},  // one comma between digits, no more
                                     {"red,blue", "red blue"},
                                     {"3.", "3"},
                                     {"It's", "it's"},
                                     {"dont", "don't"}});
}

TEST(AnswerNormaliser, Vlmeval) {
  expect_all(AnswerRules::Vlmeval, {{"3.", "3."},  // a stop beside a digit stays
                                    {"v.2", "v.2"},
                                    {"end.", "end"},
                                    {"3.5", "3.5"},
                                    {"1,000", "1000"},
                                    {"1,,000", "1 000"},
                                    {"It's", "it's"},
                                    {"The two", "2"},
                                    {"a\tb", "b"}});
  EXPECT_EQ(vlmeval_punctuation("yes/no, ok!"), "yes no ok ");
}

TEST(SoftScore, IsTheMeanOverLeftOutAnnotators) {
  for (int32_t n = 1; n <= 12; ++n) {
    for (int32_t m = 0; m <= n; ++m) {
      std::vector<std::string> annotators(static_cast<std::size_t>(m), "x");
      annotators.resize(static_cast<std::size_t>(n), "y");
      double sum = 0.0;
      for (std::size_t i = 0; i < annotators.size(); ++i) {
        double others = 0.0;
        for (std::size_t j = 0; j < annotators.size(); ++j)
          others += j != i && annotators[j] == "x" ? 1.0 : 0.0;
        sum += std::min(1.0, others / 3.0);
      }
      EXPECT_NEAR(soft_score("x", annotators), sum / n, 1e-12) << m << " of " << n;
    }
  }
}

TEST(SoftScore, OfTenAnnotators) {
  const double expected[] = {0.0, 0.3, 0.6, 0.9, 1.0, 1.0};
  for (std::size_t m = 0; m < 6; ++m) {
    std::vector<std::string> annotators(m, "x");
    annotators.resize(10, "y");
    EXPECT_NEAR(soft_score("x", annotators), expected[m], 1e-12) << m;
  }
  EXPECT_EQ(soft_score("x", {}), 0.0);
}

}  // namespace
}  // namespace winnow::eval
