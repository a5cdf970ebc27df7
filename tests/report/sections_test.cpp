// Summary, accuracy over cost and alpha curves of runs made by hand.

#include "tests/report/report_fixture.h"
#include "tests/support/expect_error.h"
#include "winnow/eval/config_name.h"
#include "winnow/report/alpha_curves.h"
#include "winnow/report/bench_file.h"
#include "winnow/report/names.h"
#include "winnow/report/summary.h"
#include "winnow/report/tradeoff.h"

namespace winnow::report {
namespace {

using test::expect_error;

eval::Comparison compared(const std::vector<record::Run>& runs) { return eval::compare(runs, {}); }

BenchFile bench_file(const test::TempFolder& folder, const std::string& text) {
  test::write_text(folder.at("bench.json"), text);
  return read_bench(folder.at("bench.json"));
}

TEST(Names, BudgetsMethodsAndAlphas) {
  EXPECT_EQ(eval::budget_of("balanced:alpha=0.3 @ 25%"), "25%");
  EXPECT_EQ(eval::budget_of("pooling:window=2x2"), "");
  EXPECT_EQ(plain_method_of("balanced:alpha=0.3 @ 25%"), "balanced");
  EXPECT_EQ(plain_method_of("window(fastv, 3x3) @ 25%"), "window(fastv, 3x3)");
  EXPECT_EQ(last_part("runs/a/"), "a");
  EXPECT_EQ(last_part("b.json"), "b.json");
  const auto use = alpha_of("balanced:alpha=0.3,features=hidden@2");
  ASSERT_TRUE(use);
  EXPECT_DOUBLE_EQ(use->alpha, 0.3);
  EXPECT_EQ(use->family, "balanced:alpha=*,features=hidden@2");
  EXPECT_FALSE(alpha_of("fastv@2"));
  EXPECT_FALSE(alpha_of("x:my_alpha=1@2"));
  EXPECT_FALSE(alpha_of("then(a:alpha=0@2, b:alpha=1@3)"));
  EXPECT_FALSE(alpha_of("balanced:alpha=high@2"));
}

TEST(Summary, GroupsSayWhatIsShown) {
  const eval::Comparison c = compared({test::gqa_run()});
  const auto groups = budget_groups(c);
  ASSERT_EQ(groups.size(), 1U);
  EXPECT_EQ(groups[0].budget, "25%");
  ASSERT_EQ(groups[0].rows.size(), 2U);  // the baseline is in no group
  const AverageRow &random = groups[0].rows[0], &fastv = groups[0].rows[1];
  EXPECT_EQ(random.config, "random @ 25%");
  EXPECT_DOUBLE_EQ(random.relative.value, 1.0);
  EXPECT_EQ(random.verdict, "no difference shown");
  EXPECT_FALSE(random.against_random);
  EXPECT_DOUBLE_EQ(fastv.relative.value, 55.0 / 80.0);
  EXPECT_EQ(fastv.verdict, "lower");
  ASSERT_TRUE(fastv.against_random);
  EXPECT_DOUBLE_EQ(fastv.against_random->value, 55.0 / 80.0 - 1.0);
  EXPECT_EQ(fastv.random_verdict, "lower");
  const auto lines = summary_lines(c, groups, nullptr);
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines[0].head, "Keep 25%");
  EXPECT_EQ(lines[0].text,
            "1 of 2 are shown to be lower than the unpruned model; for 1 no difference is shown. Averages "
            "reach from "
            "68.8 % (fastv) to 100.0 % (random) of its score. Against random selection of as many tokens: "
            "shown to be "
            "higher: none; lower: fastv; no difference shown: none.");
}

// FLOPs 30 and 40 of 100; first tokens 15 and 20 of 40 ms.
TEST(Summary, CountedAndMeasuredCostsStandSideBySide) {
  const test::TempFolder folder;
  const BenchFile bench = bench_file(folder, test::bench_text());
  const eval::Comparison c = compared({test::gqa_run()});
  const auto lines = summary_lines(c, budget_groups(c), &bench);
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_NE(lines[0].text.find(
                "Counted FLOPs of the decoder's prefill are 30.0 % to 40.0 % of the unpruned ones, the "
                "measured time to the first token 37.5 % to 50.0 %."),
            std::string::npos)
      << lines[0].text;
}

// Five questions lost of five that differ: the interval leaves 0 out, a fair coin falls like that 6 times of
// 100.
TEST(Summary, OneBenchmarksAverageHeedsItsTestOfQuestions) {
  const eval::Comparison c = compared({test::answered_run(
      "gqa", {{"none", test::times("1", 60)}, {"fastv @ 25%", test::times("1", 55) + test::times("0", 5)}})});
  EXPECT_LT(c.averages.at(1).relative.high, 1.0);
  EXPECT_EQ(budget_groups(c).at(0).rows.at(0).verdict, "no difference shown");
}

TEST(Summary, AllLower) {
  const eval::Comparison c =
      compared({test::answered_run("gqa", {{"none", test::times("1", 50)},
                                           {"fastv @ 25%", test::times("1", 20) + test::times("0", 30)}})});
  EXPECT_EQ(summary_lines(c, budget_groups(c), nullptr).at(0).text,
            "the one is shown to be lower than the unpruned model.");
}

TEST(Summary, FailuresAndBenchmarksWithoutABaselineAreSaid) {
  record::Run run = test::answered_run("gqa", {{"none", "0000"}, {"random @ 25%", "0101"}});
  run.rows[1].error = "[engine.image] broken";
  const eval::Comparison c = compared({run});
  EXPECT_TRUE(budget_groups(c).empty());
  const auto lines = summary_lines(c, {}, nullptr);
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0].text, "Answers that failed and count as wrong: 1.");
  EXPECT_EQ(lines[1].text, "Not in the averages, because the unpruned model may score 0 there: gqa.");
}

TEST(Tradeoff, TokensWithoutABenchFile) {
  const Tradeoff t = tradeoff(compared({test::gqa_run()}), nullptr);
  EXPECT_FALSE(t.is_measured);
  ASSERT_EQ(t.points.size(), 3U);
  EXPECT_DOUBLE_EQ(t.points[0].cost, 4.0);
  EXPECT_DOUBLE_EQ(t.points[2].cost, 16.0);
  // random is as good as none with fewer tokens; fastv has as many tokens as random and is worse.
  for (const TradeoffPoint& p : t.points) EXPECT_EQ(p.on_front, p.config == "random @ 25%") << p.config;
}

TEST(Tradeoff, MeasuredTimesAndWhatWasNotMeasured) {
  const test::TempFolder folder;
  const BenchFile bench = bench_file(folder, test::bench_text());
  record::Run run = test::answered_run(
      "gqa", {{"none", "1111"}, {"random @ 25%", "1110"}, {"fastv @ 25%", "1111"}, {"grid @ 25%", "1111"}});
  const eval::Comparison c = compared({run});
  const Tradeoff t = tradeoff(c, &bench);
  EXPECT_TRUE(t.is_measured);
  EXPECT_EQ(t.not_measured, std::vector<std::string>{"grid @ 25%"});
  ASSERT_EQ(t.points.size(), 3U);
  EXPECT_EQ(t.points[0].config, "random @ 25%");
  EXPECT_DOUBLE_EQ(t.points[0].cost, 15.0);
  EXPECT_TRUE(t.points[0].on_front);   // the fastest
  EXPECT_TRUE(t.points[1].on_front);   // fastv: slower and better
  EXPECT_FALSE(t.points[2].on_front);  // none: as good as fastv, slower
  EXPECT_TRUE(equal_time_results(c, bench).empty());
}

// random's curve: 80 at 15 ms (pruned) and 80 at 40 ms (unpruned), so 80 at fastv's 20 ms, where it has 55.
TEST(Tradeoff, EqualMeasuredTime) {
  const test::TempFolder folder;
  const auto results =
      equal_time_results(compared({test::gqa_run()}), bench_file(folder, test::bench_text()));
  ASSERT_EQ(results.size(), 1U);
  ASSERT_EQ(results[0].times.points.size(), 1U);
  EXPECT_EQ(results[0].times.points[0].config, "fastv @ 25%");
  EXPECT_DOUBLE_EQ(results[0].times.points[0].reference.value, 80.0);
  EXPECT_DOUBLE_EQ(results[0].times.points[0].difference.value, -25.0);
}

TEST(AlphaCurves, PointsInOrderOfAlphaAndBudgetsApart) {
  const std::vector<record::ConfigurationPart> list = {
      {"none", "none", ""},
      {"balanced:alpha=1 @ 25%", "balanced:alpha=1,features=hidden@2", "25%"},
      {"balanced:alpha=0 @ 25%", "balanced:alpha=0,features=hidden@2", "25%"},
      {"balanced:alpha=0 @ 50%", "balanced:alpha=0,features=hidden@2", "50%"},
      {"balanced:alpha=1,beta=2 @ 25%", "balanced:alpha=1,features=tower@2", "25%"}};
  const auto curves = alpha_curves(list);
  ASSERT_EQ(curves.size(), 1U);  // the others have one point
  EXPECT_EQ(curves[0].budget, "25%");
  ASSERT_EQ(curves[0].points.size(), 2U);
  EXPECT_DOUBLE_EQ(curves[0].points[0].alpha, 0.0);
  EXPECT_EQ(curves[0].points[0].idx, 2U);
  EXPECT_EQ(curves[0].points[1].idx, 1U);
}

TEST(BenchFile, ReadsNumbersAndTheLoadSection) {
  const test::TempFolder folder;
  const BenchFile bench = bench_file(
      folder,
      test::bench_text(
          R"(,"load":[{"sessions":2,"threads_per_session":1,"answers_per_s":1.5,"ttft_ms":)"
          R"({"median":10,"p90":20},"answer_ms":{"median":30,"p90":40},"kv_bytes":5,"peak_rss_bytes":6}])"));
  ASSERT_EQ(bench.configurations.size(), 3U);
  EXPECT_EQ(bench.n_repetitions, 3);
  const BenchConfiguration& fastv = bench.configurations[2];
  EXPECT_DOUBLE_EQ(fastv.first_token_ms.median, 20.0);
  EXPECT_DOUBLE_EQ(fastv.stage_ms.at("prefill"), 15.0);
  ASSERT_TRUE(fastv.own);
  EXPECT_DOUBLE_EQ(fastv.own->ideal_flops, 2.0);
  ASSERT_EQ(fastv.load.size(), 1U);
  EXPECT_EQ(fastv.load[0].n_sessions, 2);
  EXPECT_DOUBLE_EQ(fastv.load[0].answer_p90_ms, 40.0);
  EXPECT_TRUE(bench.configurations[0].load.empty());
}

TEST(BenchFile, BadFilesNameFileAndField) {
  const test::TempFolder folder;
  const auto with = [](std::string text, const std::string& old, const std::string& now) {
    return text.replace(text.find(old), old.size(), now);
  };
  const struct {
    std::string text, message;
  } cases[] = {
      {"{", "bench.json"},
      {"[]", "bench.json"},
      {"{}", "winnow"},
      {with(test::bench_text(), "\"threads\":2", "\"threads\":\"two\""), "threads"},
      {with(test::bench_text(), "\"median\":40", "\"median\":\"40\""),
       "configurations[0]: ttft_ms: field 'median'"},
      {with(test::bench_text(), "\"prefill_flops\":30", "\"prefill_flops\":-30"),
       "configurations[1]: field 'prefill_flops'"},
      {with(test::bench_text(), "\"amdahl_ceiling\"", "\"ceiling\""), "amdahl_ceiling"},
      {with(test::bench_text(), "\"prefill_flops\"", "\"flops\""),
       "configurations[0]: field 'prefill_flops'"},
      {test::bench_text(",\"load\":3"), "load"},
      {test::bench_text(",\"load\":[{}]"), "sessions"},
  };
  for (const auto& c : cases)
    expect_error(ErrorCode::Corrupt, c.message, [&] { bench_file(folder, c.text); });
  expect_error(ErrorCode::NotFound, "nowhere.json", [&] { read_bench(folder.at("nowhere.json")); });
}

}  // namespace
}  // namespace winnow::report
