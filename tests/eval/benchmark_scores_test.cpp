// Prompts, scores and sums of each benchmark in each convention, on items made by hand. Expected values
// follow from the rules that each file in winnow/eval/benchmarks names.

#include <gtest/gtest.h>

#include <set>

#include "tests/eval/fixture.h"
#include "tests/support/expect_error.h"

namespace winnow::eval {
namespace {

using test::metric;
using test::scored;
using winnow::test::expect_error;

constexpr auto kLlava = Convention::Llava, kLmms = Convention::Lmms, kVlmeval = Convention::Vlmeval;

Item item_with(std::string question, std::vector<std::string> answers) {
  Item item;
  item.id = item.group = "1";
  item.question = std::move(question);
  item.answers = std::move(answers);
  item.images.resize(1);
  return item;
}

Item choice_with(std::string question, std::string answer) {
  Item item = item_with(std::move(question), {std::move(answer)});
  item.choices = {"red", "green", "blue", "white"};
  return item;
}

struct Prompts {
  std::string llava, lmms, vlmeval;
};
void expect_prompts(const std::string& name, const Item& item, const Prompts& expected) {
  const Benchmark& benchmark = find_benchmark(name);
  EXPECT_EQ(benchmark.prompt(item, kLlava), expected.llava);
  EXPECT_EQ(benchmark.prompt(item, kLmms), expected.lmms);
  EXPECT_EQ(benchmark.prompt(item, kVlmeval), expected.vlmeval);
}

struct Values {
  std::string answer;
  double llava, lmms, vlmeval;
};
void expect_values(const std::string& name, const Item& item, std::initializer_list<Values> cases) {
  for (const Values& c : cases) {
    EXPECT_NEAR(scored(name, item, c.answer, kLlava).value, c.llava, 1e-12) << "llava: " << c.answer;
    EXPECT_NEAR(scored(name, item, c.answer, kLmms).value, c.lmms, 1e-12) << "lmms: " << c.answer;
    EXPECT_NEAR(scored(name, item, c.answer, kVlmeval).value, c.vlmeval, 1e-12) << "vlmeval: " << c.answer;
  }
}

const std::string kImage = "<image>\n";
const std::string kShort = "\nAnswer the question using a single word or phrase.";
const std::string kLetter = "\nAnswer with the option's letter from the given choices directly.";

/// A row of a benchmark whose answer was read as `extracted`.
ScoredRow row_of(const std::string& group, const std::string& category, const std::string& expected,
                 const std::string& extracted) {
  static int32_t n_rows = 0;
  ScoredRow row;
  row.id = std::to_string(++n_rows);
  row.group = group;
  row.category = category;
  row.expected = expected;
  row.score = {expected == extracted ? 1.0 : 0.0, extracted, !extracted.empty(), {}};
  return row;
}

TEST(Benchmarks, AreAllThere) {
  std::set<std::string> names;
  for (const Benchmark* benchmark : benchmarks()) {
    const BenchmarkInfo& info = benchmark->info();
    names.insert(info.name);
    EXPECT_FALSE(info.summary.empty());
    EXPECT_NE(info.paper.find("arXiv"), std::string::npos) << info.name;
    EXPECT_EQ(&find_benchmark(info.name), benchmark);
    for (const Convention convention : conventions()) EXPECT_GE(benchmark->max_new_tokens(convention), 16);
    expect_error(ErrorCode::InvalidArgument, info.name + ": no scored questions",
                 [&] { benchmark->aggregate({}, kLlava); });
    expect_error(ErrorCode::NotFound, "no such folder", [&] { benchmark->load("/nowhere/at/all", {}); });
  }
  EXPECT_EQ(names.size(), 15U);
  expect_error(ErrorCode::NotFound, "unknown benchmark, got 'popes', expected one of pope, mme, gqa",
               [] { find_benchmark("popes"); });
}

TEST(Benchmarks, ConventionsByName) {
  for (const Convention convention : conventions())
    EXPECT_EQ(parse_convention(convention_name(convention)), convention);
  expect_error(ErrorCode::InvalidArgument, "unknown convention, got 'LLaVA', expected llava, lmms or vlmeval",
               [] { parse_convention("LLaVA"); });
}

TEST(Pope, PromptsAndScores) {
  const Item item = item_with("Is there a car in the image?", {"no"});
  const std::string question = "<image>\nIs there a car in the image?";
  expect_prompts("pope", item,
                 {question + kShort, question + kShort, question + " Please answer yes or no."});
  expect_values("pope", item,
                {{"No", 1, 1, 1},
                 {"No.", 1, 0, 1},
                 {"no, it is not", 1, 0, 1},
                 {"Yes", 0, 0, 0},
                 {"There is no car", 1, 0, 1},
                 {"not visible", 1, 0, 0},
                 {"nope", 0, 0, 0}});
  EXPECT_TRUE(scored("pope", item, "banana", kLlava).valid);
  EXPECT_FALSE(scored("pope", item, "banana", kLmms).valid);
  EXPECT_EQ(find_benchmark("pope").max_new_tokens(kLlava), 128);
}

// random: 2 of 4 said yes, both right, one yes missed, one no right; popular: 1 hit, 1 false alarm.
std::vector<ScoredRow> pope_rows() {
  return {row_of("", "random", "yes", "yes"),  row_of("", "random", "yes", "yes"),
          row_of("", "random", "yes", "no"),   row_of("", "random", "no", "no"),
          row_of("", "popular", "yes", "yes"), row_of("", "popular", "no", "yes")};
}

TEST(Pope, Sums) {
  const Benchmark& pope = find_benchmark("pope");
  const auto rows = pope_rows();
  // random: precision 1, recall 2/3, F1 4/5. popular: precision 1/2, recall 1, F1 2/3. Together: 3/4, 3/4,
  // 3/4.
  const auto llava = pope.aggregate(rows, kLlava);
  EXPECT_EQ(llava[0].name, "f1");
  EXPECT_NEAR(llava[0].value, 100.0 * (0.8 + 2.0 / 3.0) / 2.0, 1e-9);
  EXPECT_NEAR(metric(llava, "f1/random"), 80.0, 1e-9);
  EXPECT_NEAR(metric(llava, "recall/random"), 200.0 / 3.0, 1e-9);
  EXPECT_NEAR(metric(llava, "precision/popular"), 50.0, 1e-9);
  EXPECT_NEAR(metric(llava, "yes_ratio"), 400.0 / 6.0, 1e-9);
  EXPECT_NEAR(metric(llava, "yes_ratio/random"), 50.0, 1e-9);
  EXPECT_NEAR(metric(llava, "accuracy"), 400.0 / 6.0, 1e-9);
  const auto lmms = pope.aggregate(rows, kLmms);
  EXPECT_NEAR(lmms[0].value, 75.0, 1e-9);
  EXPECT_NEAR(metric(lmms, "yes_ratio_lmms"), 400.0 / 6.0, 1e-9);  // of the truth: 4 of 6
  EXPECT_NEAR(pope.aggregate(rows, kVlmeval)[0].value, 75.0, 1e-9);
}

TEST(Pope, UnreadAnswersCountDifferently) {
  const Benchmark& pope = find_benchmark("pope");
  const std::vector<ScoredRow> rows = {row_of("", "random", "yes", "yes"), row_of("", "random", "yes", "")};
  EXPECT_NEAR(metric(pope.aggregate(rows, kLmms), "recall"), 100.0, 1e-9);    // not a "no"
  EXPECT_NEAR(metric(pope.aggregate(rows, kVlmeval), "recall"), 50.0, 1e-9);  // not a "yes"
  const std::vector<ScoredRow> never = {row_of("", "random", "yes", "no")};
  EXPECT_EQ(pope.aggregate(never, kLlava)[0].value, 0.0);  // nothing said yes: no division by 0
}

TEST(Pope, AQuestionOfSeveralCategoriesCountsInEach) {
  const std::vector<ScoredRow> rows = {row_of("", "adversarial,popular", "yes", "yes"),
                                       row_of("", "random", "yes", "no")};
  const auto vlmeval = find_benchmark("pope").aggregate(rows, kVlmeval);
  EXPECT_EQ(vlmeval[0].n, 3);
  EXPECT_NEAR(metric(vlmeval, "recall"), 200.0 / 3.0, 1e-9);
  EXPECT_NEAR(metric(vlmeval, "recall/popular"), 100.0, 1e-9);
  EXPECT_EQ(find_benchmark("pope").aggregate(rows, kLmms)[0].n, 2);
}

TEST(Mme, PromptsAndScores) {
  const Item item = item_with("Is this a cat? Please answer yes or no.", {"yes"});
  expect_prompts("mme", item,
                 {kImage + "Is this a cat?" + kShort, kImage + "Is this a cat?" + kShort,
                  kImage + "Is this a cat? Please answer yes or no."});
  // Two blanks, as in some of MME's files: llava's question file has none at the end, lmms-eval keeps one.
  expect_prompts("mme", item_with("Is this a cat?  Please answer yes or no.", {"yes"}),
                 {kImage + "Is this a cat?" + kShort, kImage + "Is this a cat? " + kShort,
                  kImage + "Is this a cat?  Please answer yes or no."});
  expect_values("mme", item,
                {{"Yes", 1, 1, 1},
                 {"yes.", 1, 1, 1},
                 {"Yes, it is", 1, 1, 1},
                 {"y", 0, 1, 0},
                 {"It is, yes", 0, 0, 1},
                 {"Yes\nNo", 1, 1, 0},
                 {" .Yes", 1, 1, 1},
                 {"No", 0, 0, 0}});
}

TEST(Mme, PointsOfPairs) {
  // color: one picture with both right, one with one right: 75 + 50. count: nothing right.
  const std::vector<ScoredRow> rows = {row_of("color/1", "color", "yes", "yes"),
                                       row_of("color/1", "color", "no", "no"),
                                       row_of("color/2", "color", "yes", "yes"),
                                       row_of("color/2", "color", "no", "yes"),
                                       row_of("count/1", "count", "yes", "no"),
                                       row_of("count/1", "count", "no", "yes"),
                                       row_of("code_reasoning/1", "code_reasoning", "yes", "yes"),
                                       row_of("code_reasoning/1", "code_reasoning", "no", "no")};
  for (const Convention convention : conventions()) {
    const auto metrics = find_benchmark("mme").aggregate(rows, convention);
    EXPECT_EQ(metrics[0].name, "total");
    EXPECT_NEAR(metrics[0].value, 325.0, 1e-9);
    EXPECT_NEAR(metrics[0].max, 600.0, 1e-9);
    EXPECT_EQ(metrics[0].n, 8);
    EXPECT_NEAR(metric(metrics, "perception"), 125.0, 1e-9);
    EXPECT_NEAR(metric(metrics, "cognition"), 200.0, 1e-9);
    EXPECT_NEAR(metric(metrics, "points/color"), 125.0, 1e-9);
  }
  expect_error(ErrorCode::InvalidArgument, "picture 'color/1' has 1 scored questions, expected 2",
               [&] { find_benchmark("mme").aggregate(std::span(rows).first(1), kLlava); });
}

TEST(Gqa, PromptsAndScores) {
  Item item = item_with("What color is the car?", {"light blue"});
  const std::string asked = kImage + "What color is the car?" + kShort;
  expect_prompts("gqa", item, {asked, asked, asked});
  expect_values("gqa", item,
                {{"light blue", 1, 1, 1},
                 {"Light Blue", 1, 1, 1},
                 {"Light blue.", 1, 1, 0},
                 {" light blue ", 1, 1, 1},
                 {"light-blue", 0, 0, 0},
                 {"light, blue", 0, 1, 0},
                 {"light blue .", 0, 0, 0},  // llava: "light blue " is left; lmms alike
                 {"blue", 0, 0, 0}});
  item.asked = "Asked otherwise";
  EXPECT_EQ(find_benchmark("gqa").prompt(item, kLlava), kImage + "Asked otherwise");
  EXPECT_EQ(find_benchmark("gqa").prompt(item, kLmms), asked);
}

TEST(Gqa, Sums) {
  const std::vector<ScoredRow> rows = {row_of("", "query", "a", "a"), row_of("", "query", "a", "b"),
                                       row_of("", "verify", "yes", "yes"), row_of("", "logical", "no", "no")};
  const auto metrics = find_benchmark("gqa").aggregate(rows, kLlava);
  EXPECT_NEAR(metrics[0].value, 75.0, 1e-9);
  EXPECT_NEAR(metric(metrics, "open"), 50.0, 1e-9);
  EXPECT_NEAR(metric(metrics, "binary"), 100.0, 1e-9);
  EXPECT_NEAR(metric(metrics, "accuracy/verify"), 100.0, 1e-9);
}

TEST(MmBench, Prompts) {
  Item item = choice_with("Which color?", "C");
  const std::string options = "\nA. red\nB. green\nC. blue\nD. white";
  const std::string plain = kImage + "Which color?" + options + kLetter;
  expect_prompts(
      "mmbench", item,
      {plain, kImage + "Which color? There are several options:" + options + "\n" + kLetter, plain});
  item.hint = "Look.";
  const std::string hinted = kImage + "Look.\nWhich color?" + options + kLetter;
  expect_prompts(
      "mmbench", item,
      {hinted, kImage + "Look. Which color? There are several options:" + options + "\n" + kLetter, hinted});
}

TEST(MmBench, OptionsThatAreMissing) {
  Item item = choice_with("Which?", "A");
  item.choices = {"red", "", "blue", "nan", "five", "six"};
  // llava stops at the first that is missing, lmms shows A to E, vlmeval all.
  expect_prompts("mmbench", item,
                 {kImage + "Which?\nA. red" + kLetter,
                  kImage + "Which? There are several options:\nA. red\nC. blue\nD. nan\nE. five\n" + kLetter,
                  kImage + "Which?\nA. red\nC. blue\nD. nan\nE. five\nF. six" + kLetter});
  item.choices = {"red", "None", "blue"};
  EXPECT_EQ(find_benchmark("mmbench").prompt(item, kLlava), kImage + "Which?\nA. red" + kLetter);
}

TEST(MmBench, Chinese) {
  const std::string cat = "\xe7\x8c\xab", directly = "\xe8\xaf\xb7\xe7\x9b\xb4\xe6\x8e\xa5";
  Item item = item_with(cat, {"A"});
  item.choices = {"1", "2"};
  const Benchmark& chinese = find_benchmark("mmbench_cn");
  for (const Convention convention : conventions())
    EXPECT_NE(chinese.prompt(item, convention).find("\n" + directly), std::string::npos);
  EXPECT_TRUE(
      chinese.prompt(item, kLmms).find(cat + " There are several options:\nA. 1\nB. 2\n\n" + directly) !=
      std::string::npos);
  EXPECT_NE(chinese.prompt(item, kLlava), chinese.prompt(item, kLmms));
  item.question = "cat?";
  EXPECT_NE(chinese.prompt(item, kLlava).find(directly), std::string::npos);  // by the benchmark
  EXPECT_TRUE(chinese.prompt(item, kVlmeval).ends_with(kLetter));             // by the text
  EXPECT_EQ(chinese.max_new_tokens(kLmms), 256);
  EXPECT_EQ(scored("mmbench_cn", item, "A", kVlmeval).value, 1.0);
}

TEST(MmBench, Scores) {
  expect_values("mmbench", choice_with("Which?", "C"),
                {{"C", 1, 1, 1},
                 {"C.", 1, 1, 1},
                 {"blue", 1, 1, 1},
                 {"c", 0, 0, 0},
                 {"the answer is blue", 0, 1, 0},
                 {"either B) or C)", 0, 1, 0},
                 {"Z", 0, 0, 0}});
  EXPECT_FALSE(scored("mmbench", choice_with("Which?", "C"), "Z", kVlmeval).valid);
}

ScoredRow rotation_of(const std::string& id, const std::string& group, double value,
                      const std::string& category) {
  ScoredRow row = row_of(group, category, "A", value > 0.0 ? "A" : "B");
  row.id = id;
  row.subcategory = "l2";
  return row;
}

TEST(MmBench, AGroupCountsWhenEveryRotationIsRight) {
  const std::vector<ScoredRow> rows = {
      rotation_of("1", "1", 1, "x"),       rotation_of("2", "2", 1, "y"),
      rotation_of("1000001", "1", 1, "x"), rotation_of("1000002", "2", 0, "y"),
      rotation_of("3", "3", 0, "y"),       rotation_of("1000009", "9", 1, "x")};
  const auto metrics = find_benchmark("mmbench").aggregate(rows, kVlmeval);
  EXPECT_EQ(metrics[0].name, "circular");
  EXPECT_NEAR(metrics[0].value, 100.0 / 3.0, 1e-9);  // 1 of groups 1, 2, 3; group 9 has no first order
  EXPECT_EQ(metrics[0].n, 3);
  EXPECT_NEAR(metric(metrics, "vanilla"), 200.0 / 3.0, 1e-9);
  EXPECT_NEAR(metric(metrics, "vanilla_all"), 400.0 / 6.0, 1e-9);
  EXPECT_NEAR(metric(metrics, "category/x"), 100.0, 1e-9);
  EXPECT_NEAR(metric(metrics, "category/y"), 0.0, 1e-9);
  EXPECT_NEAR(metric(metrics, "l2/l2"), 100.0 / 3.0, 1e-9);
  const std::vector<ScoredRow> plain = {rotation_of("1", "1", 1, "x"), rotation_of("2", "2", 0, "x")};
  EXPECT_EQ(find_benchmark("mmbench").aggregate(plain, kLlava)[0].name, "vanilla");
}

TEST(ScienceQa, PromptsAndScores) {
  Item item = choice_with("Which?", "B");
  const std::string options = "\nA. red\nB. green\nC. blue\nD. white";
  const std::string plain = kImage + "Which?" + options + kLetter;
  expect_prompts("scienceqa", item, {plain, plain, plain});
  item.hint = "Look.";
  const std::string context = kImage + "Context: Look.\nWhich?" + options + kLetter;
  expect_prompts("scienceqa", item, {context, context, kImage + "Look.\nWhich?" + options + kLetter});
  expect_values("scienceqa", item,
                {{"B", 1, 1, 1},
                 {"b", 0, 1, 0},
                 {"B.", 0, 1, 1},
                 {"B. green", 1, 1, 1},
                 {"The answer is B.", 1, 0, 1},
                 {"green", 0, 0, 1},
                 {"C", 0, 0, 0}});
  item.choices.resize(2);
  EXPECT_FALSE(scored("scienceqa", item, "E", kLlava).valid);  // a letter, but of no option
}

std::vector<std::string> ten(const std::string& first, std::size_t n_first, const std::string& rest) {
  std::vector<std::string> answers(n_first, first);
  answers.resize(10, rest);
  return answers;
}

TEST(TextVqa, PromptsAndScores) {
  Item item = item_with("what does the SIGN say?", ten("Stop.", 2, "go"));
  expect_prompts("textvqa", item,
                 {kImage + "what does the SIGN say?" + kShort, kImage + "What does the sign say?" + kShort,
                  kImage + "what does the SIGN say?" + kShort});
  expect_values(
      "textvqa", item,
      {{"STOP", 0.6, 0.6, 0.6}, {"go", 1, 1, 1}, {"Go!", 1, 1, 1}, {"the go", 1, 1, 1}, {"left", 0, 0, 0}});
  // "3." and "3": vlmeval keeps a full stop beside a digit.
  expect_values("textvqa", item_with("q", ten("3", 10, "")), {{"3.", 1, 1, 0}, {"three", 1, 1, 1}});
  item.hint = "STOP, GO";
  expect_prompts("textvqa_ocr", item,
                 {kImage + "what does the SIGN say?\nReference OCR token: STOP, GO" + kShort,
                  kImage + "What does the sign say?\nReference OCR token: STOP, GO" + kShort,
                  kImage + "what does the SIGN say?\nReference OCR token: STOP, GO" + kShort});
}

TEST(VizWiz, PromptsAndScores) {
  const std::string unanswerable =
      "\nWhen the provided information is insufficient, respond with 'Unanswerable'.";
  const Item item = item_with("what IS this?", ten("unanswerable", 3, "a can"));
  expect_prompts("vizwiz", item,
                 {kImage + "what IS this?" + unanswerable + kShort,
                  kImage + "What is this?" + unanswerable + kShort, kImage + "what IS this?"});
  expect_values("vizwiz", item, {{"Unanswerable", 0.9, 0.9, 0.9}, {"can", 1, 1, 1}, {"cans", 0, 0, 0}});
}

TEST(VqaV2, Scores) {
  const Item item = item_with("How many?", ten("2", 9, "two dogs"));
  const std::string asked = kImage + "How many?" + kShort;
  expect_prompts("vqav2", item, {asked, asked, asked});
  expect_values("vqav2", item, {{"2", 1, 1, 1}, {"Two", 1, 1, 1}, {"2 dogs", 0.3, 0.3, 0.3}, {"3", 0, 0, 0}});
  // All annotators say the same: the official script compares their text as it stands with the normalised
  // prediction.
  expect_values("vqav2", item_with("q", ten("t-shirt", 10, "")),
                {{"t-shirt", 0, 1, 1}, {"t shirt", 0, 1, 1}});
  // They differ: their answers are normalised too.
  expect_values("vqav2", item_with("q", ten("t-shirt", 9, "vest")), {{"t-shirt", 1, 1, 1}});
  // lmms-eval leaves out the tokenising step on both sides: "red,blue" is two words to it.
  expect_values("vqav2", item_with("q", ten("red blue", 9, "x")), {{"red,blue", 0, 1, 1}});
}

TEST(SeedBench, Scores) {
  const Item item = choice_with("Which?", "B");
  const std::string asked = kImage + "Which?\nA. red\nB. green\nC. blue\nD. white" + kLetter;
  expect_prompts("seedbench", item, {asked, asked, asked});
  expect_values("seedbench", item,
                {{"B", 1, 1, 1},
                 {" B\n", 1, 1, 1},
                 {"b", 0, 1, 0},
                 {"B.", 0, 1, 1},
                 {"blue", 0, 1, 0},  // lmms: its first character
                 {"green", 0, 0, 1},
                 {"C", 0, 0, 0},
                 {"", 0, 0, 0}});
}

TEST(OcrBench, PromptsAndScores) {
  Item item = item_with("what is written? ", {"Sam's Deli", "SAM"});
  item.category = "Regular Text Recognition";
  item.subcategory = "IIIT5K";
  expect_prompts(
      "ocrbench", item,
      {kImage + "what is written? " + kShort, kImage + "what is written?", kImage + "what is written? "});
  expect_values("ocrbench", item,
                {{"It says sam.", 1, 1, 1},
                 {"same thing", 1, 1, 1},  // part of a word is enough
                 {"sa m", 0, 0, 0},
                 {"\xef\xbc\xb3\xef\xbc\xa1\xef\xbc\xad", 0, 1, 0},  // full-width SAM
                 {"", 0, 0, 0}});
  Item lines = item_with("q", {"a\nb"});
  expect_values("ocrbench", lines, {{"A b", 1, 1, 1}, {"A\nB", 1, 1, 1}, {"ab", 0, 0, 0}});
  Item formula = item_with("q", {"x ^ { 2 }"});
  formula.category = "Handwritten Mathematical Expression Recognition";
  formula.subcategory = "HME100k";
  expect_values("ocrbench", formula, {{"x^{2}", 1, 1, 1}, {"X^{2}", 0, 0, 0}, {"= x^{ 2}\n", 1, 1, 1}});
}

TEST(OcrBench, CountsPoints) {
  const std::vector<ScoredRow> rows = {
      row_of("", "Regular Text Recognition", "a", "a"), row_of("", "Handwriting Recognition", "a", ""),
      row_of("", "Key Information Extraction", "a", "a"), row_of("", "Key Information Extraction", "a", "a")};
  const auto metrics = find_benchmark("ocrbench").aggregate(rows, kLmms);
  EXPECT_NEAR(metrics[0].value, 3.0, 1e-9);
  EXPECT_NEAR(metrics[0].max, 4.0, 1e-9);
  EXPECT_NEAR(metric(metrics, "points/Text Recognition"), 1.0, 1e-9);
  EXPECT_NEAR(metric(metrics, "points/Key Information Extraction"), 2.0, 1e-9);
}

TEST(ChartQa, PromptsAndScores) {
  const Item item = item_with("How much?", {"20"});
  expect_prompts(
      "chartqa", item,
      {kImage + "How much?" + kShort, kImage + "How much?\nAnswer the question with a single word.",
       kImage + "How much?" + kShort});
  expect_values("chartqa", item,
                {{"20", 1, 1, 1},
                 {"21", 1, 1, 1},
                 {"21.1", 0, 0, 0},
                 {" 19\n", 1, 1, 1},
                 {"20%", 0, 0, 0},
                 {"twenty", 0, 0, 0}});
  const std::vector<ScoredRow> rows = {row_of("", "human", "1", "1"), row_of("", "augmented", "1", "2"),
                                       row_of("", "augmented", "1", "2")};
  const auto metrics = find_benchmark("chartqa").aggregate(rows, kLmms);
  EXPECT_NEAR(metrics[0].value, 100.0 / 3.0, 1e-9);
  EXPECT_NEAR(metric(metrics, "accuracy/human"), 100.0, 1e-9);
}

Item boxed(const Box& box) {
  Item item = item_with("Where?", {to_text(box)});
  item.box = box;
  item.width_px = 200;
  item.height_px = 100;
  return item;
}

TEST(RefCoco, Scores) {
  const Item item = boxed({0.0, 0.25, 0.5, 0.75});
  expect_prompts("refcoco", item, {kImage + "Where?", kImage + "Where?", kImage + "Where?"});
  expect_values("refcoco", item,
                {{"[0, 0.25, 0.5, 0.75]", 1, 1, 1},
                 {"[0, 0.25, 0.25, 0.75]", 1, 1, 1},  // exactly half
                 {"[0, 0.25, 0.24, 0.75]", 0, 0, 0},
                 {"[.0, .25, .5, .75]", 0, 0, 1},
                 {"0 0.25 0.5 0.75", 0, 0, 1},
                 {"[0, 250, 500, 750]", 0, 0, 1},    // thousandths
                 {"[0.5, 0.75, 0, 0.25]", 0, 0, 1},  // corners turned round
                 {"no", 0, 0, 0}});
  const Score half = scored("refcoco", item, "[0, 0.25, 0.25, 0.75]", kLmms);
  EXPECT_DOUBLE_EQ(half.detail.at("iou"), 0.5);
  EXPECT_EQ(half.detail.at("center"), 1.0);
  EXPECT_EQ(half.extracted, "[0, 0.25, 0.25, 0.75]");
  const Score none = scored("refcoco", item, "no", kLmms);
  EXPECT_FALSE(none.valid);
  EXPECT_EQ(none.detail.at("iou"), 0.0);
}

TEST(RefCoco, Sums) {
  std::vector<ScoredRow> rows;
  for (const auto& [split, overlap] :
       {std::pair{"refcoco_val", 0.95}, {"refcoco_val", 0.5}, {"refcoco_val", 0.2}, {"refcoco+_val", 0.6}}) {
    rows.push_back(row_of("", split, "", ""));
    rows.back().score = {overlap >= 0.5 ? 1.0 : 0.0, "", true, {{"iou", overlap}, {"center", 1.0}}};
  }
  const auto metrics = find_benchmark("refcoco").aggregate(rows, kLmms);
  EXPECT_NEAR(metrics[0].value, 100.0 * (2.0 / 3.0 + 1.0) / 2.0, 1e-9);  // mean over splits
  EXPECT_NEAR(metric(metrics, "iou"), 56.25, 1e-9);
  EXPECT_NEAR(metric(metrics, "acc@0.1"), 100.0, 1e-9);
  EXPECT_NEAR(metric(metrics, "acc@0.5"), 75.0, 1e-9);
  EXPECT_NEAR(metric(metrics, "acc@0.9"), 25.0, 1e-9);
  EXPECT_NEAR(metric(metrics, "center"), 100.0, 1e-9);
  EXPECT_NEAR(metric(metrics, "accuracy/refcoco_val"), 200.0 / 3.0, 1e-9);
}

TEST(Haystack, PromptsAndScores) {
  Item item = item_with("For the image with the cat, is there a dog?", {"yes"});
  item.images.resize(2);
  const std::string question = "For the image with the cat, is there a dog?";
  expect_prompts("haystack", item,
                 {"<image>\n<image>\n" + question + kShort, "<image> <image>\n" + question + kShort,
                  "<image>\n<image>\n" + question + " Please answer yes or no."});
  item.asked = "You are given a set of images. " + question;
  EXPECT_EQ(find_benchmark("haystack").prompt(item, kLlava), "<image>\n<image>\n" + item.asked);
  expect_values("haystack", item,
                {{"Yes", 1, 1, 1},
                 {"yes.", 1, 0, 1},
                 {"Yes, there is", 1, 0, 1},
                 {"yes or no", 1, 0, 0},  // the toolkit looks for the true word alone
                 {"No", 0, 0, 0},
                 {"yesterday", 0, 0, 0},
                 {"maybe", 0, 0, 0}});
  EXPECT_FALSE(scored("haystack", item, "maybe", kLlava).valid);
}

TEST(Haystack, SumsByNumberAndPlace) {
  std::vector<ScoredRow> rows;
  for (const auto& [number, place, right] :
       {std::tuple{"1", "0", true}, {"2", "0", true}, {"2", "0", false}, {"2", "1", false}}) {
    rows.push_back(row_of("", number, "yes", right ? "yes" : "no"));
    rows.back().subcategory = place;
  }
  rows.push_back(row_of("", "1", "yes", ""));
  rows.back().subcategory = "0";
  const auto metrics = find_benchmark("haystack").aggregate(rows, kLlava);
  EXPECT_NEAR(metrics[0].value, 100.0 * (0.5 + 1.0 / 3.0) / 2.0, 1e-9);
  EXPECT_NEAR(metric(metrics, "compliance"), 80.0, 1e-9);
  EXPECT_NEAR(metric(metrics, "accuracy/2/at/0"), 50.0, 1e-9);
  EXPECT_NEAR(metric(metrics, "accuracy/2/at/1"), 0.0, 1e-9);
}

}  // namespace
}  // namespace winnow::eval
