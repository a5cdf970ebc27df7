// Yes/no, choices, numbers, boxes: golden answers worked out by hand from the rules of the sources named in
// the headers.

#include <gtest/gtest.h>

#include "winnow/eval/box.h"
#include "winnow/eval/choice.h"
#include "winnow/eval/relaxed_match.h"
#include "winnow/eval/yes_no.h"

namespace winnow::eval {
namespace {

struct Case {
  const char* answer;
  const char* extracted;
};
using Rule = std::string (*)(std::string_view);

void expect_all(Rule rule, std::initializer_list<Case> cases) {
  for (const Case& c : cases) EXPECT_EQ(rule(c.answer), c.extracted) << c.answer;
}

TEST(YesNo, LlavaPopeTakesEverythingElseForYes) {
  expect_all(yes_no_llava_pope, {{"Yes", "yes"},
                                 {"No", "no"},
                                 {"no,", "no"},
                                 {"No, there is not.", "no"},
                                 {"There is no dog", "no"},
                                 {"It is  not", "no"},
                                 {"NO", "yes"},
                                 {"nope", "yes"},
                                 {"None.", "yes"},
                                 {"", "yes"},
                                 {"banana", "yes"},
                                 {"No\nbecause", "yes"},        // cut at blanks only
                                 {"I cannot see. No.", "yes"},  // the first sentence only
                                 {"Yes. It is not big.", "yes"}});
}

TEST(YesNo, ExactTakesOnlyTheWord) {
  expect_all(yes_no_exact,
             {{"Yes", "yes"}, {" NO\n", "no"}, {"yes.", ""}, {"Yes, it is", ""}, {"", ""}, {"y", ""}});
}

TEST(YesNo, MmeLooksAtFourCharacters) {
  expect_all(yes_no_mme, {{"Yes", "yes"},
                          {"no", "no"},
                          {"No.", "no"},
                          {"yes, it", "yes"},
                          {"know", "no"},
                          {"Not", "no"},
                          {"noyes", "no"},
                          {"\"Yes\"", "yes"},
                          {"\xe2\x80\x9cYes\xe2\x80\x9d", "yes"},  // four characters, not bytes
                          {"y", ""},
                          {"n", ""},
                          {". Yes", ""},
                          {"Maybe yes", ""},
                          {"The answer is yes", ""},
                          {"Hm\nno", ""},
                          {"", ""}});
}

TEST(YesNo, LmmsMmeAlsoTakesOneLetter) {
  expect_all(yes_no_lmms_mme, {{"y", "yes"},
                               {"N.", "no"},
                               {"x", ""},
                               {" No. ", "no"},
                               {". Yes", "yes"},
                               {"Y.E.S", "yes"},
                               {"know", "no"},
                               {"The answer is yes", ""},
                               {"Hm\nno", ""},
                               {"", ""}});
}

TEST(YesNo, VlmevalWantsOneOfTheTwoWords) {
  expect_all(yes_no_vlmeval, {{"Yes, there is", "yes"},
                              {"No.", "no"},
                              {"I think yes!", "yes"},
                              {"yes and no", ""},
                              {"yes/no", ""},
                              {"nothing", ""},
                              {"no-one", "no"},  // the dash becomes a blank
                              {"Yes\nbecause", "yes"},
                              {"", ""}});
}

const std::vector<Option>& colours() {
  static const std::vector<Option> options = {{'A', "red"}, {'B', "green"}, {'C', "blue"}, {'D', "white"}};
  return options;
}

void expect_choices(std::string (*rule)(std::string_view, std::span<const Option>),
                    std::span<const Option> options, std::initializer_list<Case> cases) {
  for (const Case& c : cases) EXPECT_EQ(rule(c.answer, options), c.extracted) << c.answer;
}

TEST(Choice, Vlmeval) {
  expect_choices(choice_vlmeval, colours(),
                 {{"B", "B"},
                  {"B.", "B"},
                  {"(B)", "B"},
                  {"**D**", "D"},
                  {"The answer is B", "B"},
                  {"B. green", "B"},
                  {"b", ""},       // letters are capitals
                  {"green", "B"},  // the option's text
                  {"GREEN!", "B"},
                  {"red and green", ""},                    // two of them
                  {"A cat", "A"},                           // an article is a letter
                  {"A cat is on the mat here", ""},         // but not so far from the end
                  {"A red bus is on the street now", "A"},  // then by the text, 30 of at most 34 characters
                  {"I see that the bus in this picture is blue", ""},  // 42 characters
                  {"B or C", ""},
                  {"the answer is blue", "B"},  // "answer is b", in any case: not C
                  {"The correct answer is **C**. Here's why: the sky", "C"},
                  {"answer is  *d", "D"},
                  {"answer isB", ""},
                  {"Cannot determine the answer", "Z"},
                  {"Z", "Z"},
                  {"Failed to obtain answer via API, C", ""},
                  {"", ""}});
  const std::vector<Option> three(colours().begin(), colours().begin() + 3);
  EXPECT_EQ(choice_vlmeval("D", three), "");
  EXPECT_EQ(choice_vlmeval("the answer is D", three), "");
}

TEST(Choice, VlmevalCountsCharacters) {
  // Two options of one Chinese character: at most 4 characters of answer (12 bytes).
  const std::vector<Option> options = {{'A', "\xe7\x8c\xab"}, {'B', "\xe7\x8b\x97"}};
  EXPECT_EQ(choice_vlmeval("\xe6\x98\xaf\xe7\x8b\x97\xe5\x90\xa7\xe3\x80\x82", options), "B");
  EXPECT_EQ(choice_vlmeval("\xe6\x98\xaf\xe7\x8b\x97\xe5\x90\xa7\xe3\x80\x82!", options), "");
}

TEST(Choice, Lmms) {
  expect_choices(choice_lmms, colours(),
                 {{"B", "B"},
                  {"B.", "B"},
                  {"I think (C).", "C"},
                  {"E", "E"},                      // A..E, whatever options there are
                  {"the answer is Blue", "C"},     // the text comes before the phrase
                  {"my choice is B, not A", "B"},  // "A" among more than three words is ignored
                  {"A cat is here", "A"},          // ... and found again at the start
                  {"A or B", "A"},                 // the start counts more than the end
                  {"either B) or C)", "C"},        // the later of one form
                  {"Because it is", "B"},          // the letter anywhere
                  {"the answer is Dunno", "D"},
                  {"it is so D", "D"},
                  {"'C'", "C"},
                  {"nothing", ""},
                  {" ", ""},
                  {"", ""}});
}

TEST(Choice, LlavaScience) {
  expect_all(choice_llava_science, {{"A", "A"},
                                    {"E", "E"},
                                    {"F", ""},
                                    {"b", ""},
                                    {"B. blue", "B"},
                                    {"B.blue", ""},
                                    {"B.", ""},
                                    {"The answer is C.", "C"},
                                    {"The answer is C", ""},  // some character has to follow
                                    {"The answer is C,", "C"},
                                    {"The answer is C\n", ""},
                                    {"So: The answer is D. Yes.", "D"},
                                    {"The answer is C. The answer is D.", ""},
                                    {"The answer is F.", ""},
                                    {"", ""}});
}

TEST(Choice, LmmsScience) {
  expect_all(choice_lmms_science, {{"b", "B"},
                                   {"B", "B"},
                                   {"B.blue", "B"},
                                   {"B) blue", ""},
                                   {"b. blue", ""},
                                   {"The answer is B.", ""},
                                   {"7", ""},
                                   {"", ""}});
}

TEST(RelaxedMatch, NumbersWithinFivePercent) {
  const std::pair<const char*, const char*> right[] = {
      {"14", "14"},   {"14.7", "14"}, {"13.3", "14"},        {"0.25", "25%"}, {"25%", "0.25"},
      {"5%%", "5%"},  {"1_4", "14"},  {" 14 ", "14"},        {"Yes", "yes"},  {"0", "0"},
      {"-14", "-14"}, {"1e2", "100"}, {"nothing", "Nothing"}};
  for (const auto& [prediction, target] : right) EXPECT_TRUE(relaxed_match(prediction, target)) << prediction;
  const std::pair<const char*, const char*> wrong[] = {
      {"14.8", "14"}, {"13.2", "14"},       {"25%", "25"}, {"25", "25%"},   {"0.0", "0"}, {"nan", "nan"},
      {"inf", "inf"}, {"14 million", "14"}, {"-14", "14"}, {"yes.", "yes"}, {"", "14"},   {"1,000", "1000"}};
  for (const auto& [prediction, target] : wrong)
    EXPECT_FALSE(relaxed_match(prediction, target)) << prediction;
}

TEST(Boxes, LmmsTakesTheFirstBracketsWithPlainNumbers) {
  const auto box = parse_box_lmms("It is [ 0.1, 0.25,0.5,  1 ], or [0, 0, 1, 1].");
  ASSERT_TRUE(box);
  EXPECT_EQ(to_text(*box), "[0.1, 0.25, 0.5, 1]");
  EXPECT_EQ(to_text(parse_box_lmms("[x] [1, 2, 3] [-1.5, 2, 3, 4]").value()), "[-1.5, 2, 3, 4]");
  EXPECT_EQ(to_text(parse_box_lmms("[[1, 2, 3, 4]]").value()), "[1, 2, 3, 4]");
  for (const char* text : {"", "0.1, 0.2, 0.3, 0.4", "[0.1, 0.2, 0.3]", "[0.1, 0.2, 0.3, 0.4, 0.5]",
                           "[.1, .2, .3, .4]", "[+1, 2, 3, 4]", "[1e-1, 2, 3, 4]", "[1 , 2, 3, 4]",
                           "[1., 2, 3, 4]", "(1, 2, 3, 4)", "[1 2 3 4]", "[1, 2, 3, 4"})
    EXPECT_FALSE(parse_box_lmms(text)) << text;
}

TEST(Boxes, VlmevalTakesFourNumbersAnywhere) {
  EXPECT_EQ(to_text(parse_box_vlmeval("[.1 .2, 3e-1,\n+.4]").value()), "[0.1, 0.2, 0.3, 0.4]");
  EXPECT_EQ(to_text(parse_box_vlmeval("1 2 3 [10, 20, 30, 40]").value()),
            "[10, 20, 30, 40]");                                                            // brackets first
  EXPECT_EQ(to_text(parse_box_vlmeval("x1=10, y1=20 (30-40)").value()), "[1, 10, 1, 20]");  // every number
  EXPECT_EQ(to_text(parse_box_vlmeval("(30-40) 5 6").value()), "[30, -40, 5, 6]");
  EXPECT_EQ(to_text(parse_box_vlmeval("1.2.3 4 5").value()), "[1.2, 0.3, 4, 5]");
  EXPECT_FALSE(parse_box_vlmeval("1 2 3"));
  EXPECT_FALSE(parse_box_vlmeval(""));
}

TEST(Boxes, VlmevalGuessesTheUnit) {
  const auto shares = [](Box box) { return to_text(as_shares_vlmeval(box, 200, 2000)); };
  EXPECT_EQ(shares({0.1, 0.2, 0.5, 1.5}), "[0.1, 0.2, 0.5, 1]");       // shares, clipped
  EXPECT_EQ(shares({100, 250, 500, 1000}), "[0.1, 0.25, 0.5, 1]");     // thousandths
  EXPECT_EQ(shares({50, 500, 100, 1500}), "[0.25, 0.25, 0.5, 0.75]");  // pixels
  EXPECT_EQ(shares({0.5, 0.9, 0.1, 0.2}), "[0.1, 0.2, 0.5, 0.9]");     // corners in order
}

TEST(Boxes, Overlap) {
  const Box box{0.0, 0.0, 2.0, 2.0};
  EXPECT_DOUBLE_EQ(iou(box, box), 1.0);
  EXPECT_DOUBLE_EQ(iou(box, {1.0, 1.0, 3.0, 3.0}), 1.0 / 7.0);
  EXPECT_DOUBLE_EQ(iou(box, {0.0, 0.0, 1.0, 2.0}), 0.5);
  EXPECT_DOUBLE_EQ(iou(box, {2.0, 0.0, 4.0, 2.0}), 0.0);  // touching
  EXPECT_DOUBLE_EQ(iou(box, {2.0, 2.0, 0.0, 0.0}), 0.0);  // corners the wrong way
  EXPECT_DOUBLE_EQ(iou(box, {}), 0.0);
  EXPECT_DOUBLE_EQ(iou({}, {}), 0.0);
  EXPECT_TRUE(holds_centre(box, {1.0, 1.0, 3.0, 3.0}));  // its middle is a corner
  EXPECT_FALSE(holds_centre(box, {1.0, 1.0, 3.1, 3.0}));
  EXPECT_TRUE(holds_centre({0.2, 0.2, 0.8, 0.8}, {0.0, 0.0, 1.0, 1.0}));
}

TEST(Boxes, RescaledForModelsWithOtherUnits) {
  EXPECT_EQ(with_box_rescaled("bbox: [100, 250, 500, 1000].", 1000, 1000),
            "bbox: [0.100000, 0.250000, 0.500000, 1.000000].");
  EXPECT_EQ(with_box_rescaled("(48, 24), (96, 96)", 96, 96), "([0.500000, 0.250000, 1.000000, 1.000000])");
  EXPECT_EQ(with_box_rescaled("nothing", 10, 10), "nothing");
}

}  // namespace
}  // namespace winnow::eval
