// Comparisons of runs made by hand: 0/1 answers whose counts, differences and interpolated values are worked
// out in the comments.

#include "winnow/eval/comparison.h"

#include "tests/support/answered_run.h"
#include "tests/support/expect_error.h"
#include "winnow/eval/equal_time.h"

namespace winnow::eval {
namespace {

using test::expect_error;
using test::times;

record::Run run_of(const std::string& benchmark, const test::Answers& answers) {
  record::Run run;
  test::add_answers(run, benchmark, answers);
  return run;
}

const ConfigurationResult& result(const BenchmarkResult& benchmark, const std::string& config) {
  for (const ConfigurationResult& c : benchmark.configurations) {
    if (c.config == config) return c;
  }
  throw std::out_of_range(config);
}

// 100 questions: none answers 80. fastv loses 30 of them and gains 5 others: 55. random loses and gains
// 2: 80.
record::Run gqa() {
  return run_of("gqa", {{"none", times("1", 80) + times("0", 20)},
                        {"fastv @ 25%", times("1", 50) + times("0", 30) + times("1", 5) + times("0", 15)},
                        {"random @ 25%", times("1", 78) + times("0", 2) + times("1", 2) + times("0", 18)}});
}

TEST(Compare, CountsDifferencesAndWords) {
  const std::vector<record::Run> runs = {gqa()};
  const Comparison c = compare(runs, {});
  ASSERT_EQ(c.benchmarks.size(), 1U);
  const BenchmarkResult& b = c.benchmarks[0];
  EXPECT_EQ(b.metric, "accuracy");
  EXPECT_EQ(b.n_questions, 100);
  const ConfigurationResult& fastv = result(b, "fastv @ 25%");
  EXPECT_DOUBLE_EQ(fastv.value.value, 55.0);
  EXPECT_NEAR(fastv.value.low, 100.0 * wilson(55, 100).low, 1e-12);
  EXPECT_EQ(fastv.n_better, 5);
  EXPECT_EQ(fastv.n_worse, 30);
  EXPECT_EQ(fastv.n_equal, 65);
  EXPECT_NEAR(*fastv.mcnemar_p, mcnemar_exact(5, 30), 1e-15);
  EXPECT_DOUBLE_EQ(fastv.difference.value, -25.0);
  // Standard error of the difference: sqrt(0.35 - 0.25^2) / 10 = 0.0536.
  EXPECT_NEAR(fastv.difference.low, -25.0 - 1.96 * 5.36, 1.0);
  EXPECT_NEAR(fastv.difference.high, -25.0 + 1.96 * 5.36, 1.0);
  EXPECT_NEAR(fastv.relative->value, 55.0 / 80.0, 1e-12);
  EXPECT_DOUBLE_EQ(fastv.n_visual_after, 4.0);
  EXPECT_DOUBLE_EQ(fastv.first_token_ms, 3.0);
  EXPECT_EQ(verdict(fastv.difference), "lower");

  const ConfigurationResult& random = result(b, "random @ 25%");
  EXPECT_DOUBLE_EQ(random.difference.value, 0.0);
  EXPECT_EQ(verdict(random.difference), "no difference shown");
  EXPECT_EQ(verdict({1.0, 0.0, 2.0}), "no difference shown");  // touches zero
  EXPECT_EQ(verdict({1.0, 0.1, 2.0}), "higher");
  // The interval alone would say lower; a fair coin falls like that 6 times of 100.
  EXPECT_EQ(verdict({-5.0, -9.0, -1.0}, mcnemar_exact(0, 5)), "no difference shown");
  EXPECT_EQ(verdict({-6.0, -9.0, -1.0}, mcnemar_exact(0, 6)), "lower");
  EXPECT_DOUBLE_EQ(result(b, "none").relative->high, 1.0);
}

// The paper's average: (55 / 80 + 30 / 40) / 2.
TEST(Compare, AverageIsTheMeanOfRatios) {
  const std::vector<record::Run> runs = {
      gqa(), run_of("textvqa", {{"none", times("1", 40) + times("0", 10)},
                                {"fastv @ 25%", times("1", 30) + times("0", 20)},
                                {"random @ 25%", times("1", 40) + times("0", 10)}})};
  const Comparison c = compare(runs, {});
  ASSERT_EQ(c.averages.size(), 3U);
  EXPECT_DOUBLE_EQ(c.averages[0].relative.low, 1.0);
  EXPECT_NEAR(c.averages[1].relative.value, 0.5 * (55.0 / 80.0 + 30.0 / 40.0), 1e-12);
  EXPECT_LT(c.averages[1].relative.low, c.averages[1].relative.value);
  EXPECT_GT(c.averages[1].relative.high, c.averages[1].relative.value);
  EXPECT_TRUE(c.averages[2].relative.covers(1.0));
}

// Five questions fall and none rises: the interval of the average lies below the baseline, McNemar's p is
// 0.0625. Alone that decides; beside a benchmark where nothing changes the average has no such test.
TEST(Compare, AverageOfOneBenchmarkIsThatBenchmark) {
  const auto part = [](const std::string& name, const std::string& pruned) {
    return run_of(name, {{"none", times("1", 40)}, {"random @ 25%", pruned}});
  };
  const record::Run fell = part("gqa", times("0", 5) + times("1", 35)), same = part("vqav2", times("1", 40));
  const Comparison one = compare(std::vector{fell}, {}), two = compare(std::vector{fell, same}, {});
  ASSERT_LT(one.averages[1].relative.high, 1.0);
  ASSERT_LT(two.averages[1].relative.high, 1.0);
  EXPECT_EQ(average_verdict(one, 1), "no difference shown");
  EXPECT_EQ(average_verdict(two, 1), "lower");
  EXPECT_EQ(average_verdict(one, 0), "no difference shown");
}

TEST(Compare, BaselineWithoutRightAnswersHasNoRatio) {
  const std::vector<record::Run> runs = {run_of("gqa", {{"none", "0000"}, {"random", "0101"}})};
  const Comparison c = compare(runs, {});
  EXPECT_FALSE(result(c.benchmarks[0], "random").relative.has_value());
  EXPECT_TRUE(c.averages.empty());
  EXPECT_EQ(c.not_in_average, std::vector<std::string>{"gqa"});
}

TEST(Compare, FailedQuestionsCountAsWrongAndAreCounted) {
  record::Run run = run_of("gqa", {{"none", "1111"}, {"random", "1111"}});
  run.rows.back().error = "[engine.image] broken";
  const Comparison c = compare(std::vector<record::Run>{run}, {});
  EXPECT_DOUBLE_EQ(result(c.benchmarks[0], "random").value.value, 75.0);
  EXPECT_EQ(result(c.benchmarks[0], "random").n_failed, 1);
}

TEST(Compare, SaysWhatIsWrong) {
  const auto expect = [](std::vector<record::Run> runs, const std::string& message,
                         CompareOptions options = {}) {
    expect_error(ErrorCode::InvalidArgument, message, [&] { compare(runs, options); });
  };
  expect({}, "no runs");
  expect({gqa(), gqa()}, "gqa is in two of the runs");
  expect({gqa()}, "baseline, got 'nothing', expected one of the configurations none; fastv @ 25%",
         {"nothing", {}});
  record::Run other = run_of("textvqa", {{"none", "1"}});
  expect({gqa(), other}, "runs of different configurations");
  other = gqa();
  other.header.benchmarks[0].name = "textvqa";
  other.header.convention = "lmms";
  expect({gqa(), other}, "runs of different conventions, got llava and lmms");
  other = gqa();
  other.rows.pop_back();
  expect({other}, "1 of 300 rows are missing, the first is question 99 of gqa with 'random @ 25%'");
}

// The curve of random: 40 % at 2 ms, 60 % at 4 ms, none 80 % at 10 ms. fastv with 55 % at 3 ms meets 50 %
// there; at 1 ms it is faster than the whole curve; at 7 ms it meets 70 %.
TEST(EqualTime, IsReadOffTheMeasuredCurve) {
  const std::string low = times("1", 40) + times("0", 60), mid = times("1", 60) + times("0", 40),
                    full = times("1", 80) + times("0", 20), own = times("1", 55) + times("0", 45);
  const std::vector<record::Run> runs = {run_of("gqa", {{"none", full},
                                                        {"random @ 50%", mid},
                                                        {"random @ 25%", low},
                                                        {"fastv @ 10%", own},
                                                        {"fastv @ 25%", own},
                                                        {"fastv @ 50%", own}})};
  const Comparison c = compare(runs, {});
  const std::vector<Timing> timings = {{"none", 10.0},       {"random @ 25%", 2.0}, {"random @ 50%", 4.0},
                                       {"fastv @ 10%", 1.0}, {"fastv @ 25%", 3.0},  {"fastv @ 50%", 7.0}};
  const EqualTimes e = equal_times(c.benchmarks[0], timings, "random", "none");
  EXPECT_EQ(e.outside, std::vector<std::string>{"fastv @ 10%"});
  ASSERT_EQ(e.points.size(), 2U);
  EXPECT_NEAR(e.points[0].reference.value, 50.0, 1e-9);
  EXPECT_NEAR(e.points[0].difference.value, 5.0, 1e-9);
  EXPECT_LT(e.points[0].reference.low, 50.0);
  EXPECT_NEAR(e.points[1].reference.value, 70.0, 1e-9);
  EXPECT_NEAR(e.points[1].difference.value, -15.0, 1e-9);
  EXPECT_EQ(verdict(e.points[1].difference), "lower");
  EXPECT_EQ(method_of("window(fastv, 3x3) @ 25%"), "window(fastv, 3x3)");
  EXPECT_EQ(method_of("pooling:window=2x2"), "pooling:window=2x2");
  expect_error(ErrorCode::InvalidArgument, "curve of 'grid', got 1 points",
               [&] { equal_times(c.benchmarks[0], timings, "grid", "none"); });
  expect_error(ErrorCode::InvalidArgument, "no time was measured for 'none'",
               [&] { equal_times(c.benchmarks[0], {}, "random", "none"); });
}

}  // namespace
}  // namespace winnow::eval
