// Numbers of studies on runs made by hand, worked out in the comments.

#include "winnow/study/lab.h"

#include <gtest/gtest.h>

#include "tests/support/answered_run.h"
#include "tests/support/expect_error.h"
#include "winnow/study/curve.h"
#include "winnow/study/study.h"

namespace winnow::study {
namespace {

using test::add_answers;
using test::expect_error;
using test::times;

/// gqa: none 80, a 60, b 40 of 100; textvqa: none 50, a 25, b 50 of 50.
eval::Comparison two_benchmarks() {
  record::Run run;
  add_answers(run, "gqa",
              {{"none", times("1", 80) + times("0", 20)},
               {"a @ 25%", times("1", 60) + times("0", 40)},
               {"b @ 25%", times("1", 40) + times("0", 60)}});
  add_answers(run, "textvqa",
              {{"none", times("1", 50)}, {"a @ 25%", times("10", 25)}, {"b @ 25%", times("1", 50)}});
  return eval::compare({&run, 1}, {});
}

// a - b in percent of unpruned: gqa (60 - 40) / 80 = 25, textvqa (50 - 100) / 100 = -50; the mean is -12.5.
TEST(Lab, DifferencesOfAverages) {
  const eval::Comparison c = two_benchmarks();
  const eval::Interval d = average_difference(c, "a @ 25%", "b @ 25%");
  EXPECT_NEAR(d.value, -12.5, 1e-9);
  EXPECT_LT(d.low, -12.5);
  EXPECT_GT(d.high, -12.5);
  EXPECT_EQ(eval::verdict(d), "lower");
  EXPECT_NEAR(average_of(c, "a @ 25%").value, 0.5 * (75.0 + 50.0), 1e-9);
  EXPECT_NEAR(average_of(c, "a @ 25%").value - average_of(c, "b @ 25%").value, d.value, 1e-9);
  EXPECT_NEAR(difference(benchmark_of(c, "gqa"), "a @ 25%", "b @ 25%").value, 20.0, 1e-9);
  EXPECT_NEAR(mean_tokens(c, "a @ 25%"), 4.0, 1e-12);
  expect_error(ErrorCode::InvalidArgument, "configuration, got 'c'",
               [&] { average_difference(c, "c", "b @ 25%"); });
  expect_error(ErrorCode::InvalidArgument, "benchmark, got 'mme'", [&] { benchmark_of(c, "mme"); });
}

TEST(Lab, TableNamesTheDifferenceAtTheSameBudget) {
  const std::string table = against_table(two_benchmarks(), "b");
  EXPECT_NE(table.find("| gqa accuracy | a @ 25% | 4 | 60.0 [50.2, 69.1] | 75.0 | +20.0 ["),
            std::string::npos)
      << table;  // Wilson's interval of 60 of 100
  EXPECT_NE(table.find("| gqa accuracy | b @ 25% | 4 | 40.0 [30.9, 49.8] | 50.0 |  |"), std::string::npos)
      << table;
}

TEST(Lab, NamesOfConfigurations) {
  EXPECT_EQ(eval::config_name("fastv", "25%"), "fastv @ 25%");
  EXPECT_EQ(eval::config_name("none", ""), "none");
  EXPECT_EQ(eval::method_of("then(a, b@2) @ 50%,25%"), "then(a, b@2)");
  EXPECT_EQ(eval::budget_of("then(a, b@2) @ 50%,25%"), "50%,25%");
  EXPECT_EQ(eval::budget_of("none"), "");
}

TEST(Lab, WhatNeverAnsweredIsLeftOutWithItsReason) {
  record::Run run;
  add_answers(run, "gqa", {{"none", "111"}, {"a @ 1", "xxx"}, {"b @ 1", "1x1"}});
  std::vector<std::string> left_out;
  const record::Run rest = answered(run, left_out);
  EXPECT_EQ(left_out, std::vector<std::string>{"a @ 1 (no such signal)"});
  ASSERT_EQ(rest.header.configurations.size(), 2U);
  EXPECT_EQ(rest.rows.size(), 6U);
  EXPECT_NO_THROW(eval::compare({&rest, 1}, {}));
}

TEST(Lab, APartOfARunIsARunOfItsOwn) {
  record::Run run;
  add_answers(run, "gqa", {{"none", "1101"}, {"a @ 1", "0111"}});
  add_answers(run, "textvqa", {{"none", "11"}, {"a @ 1", "10"}});
  const record::Run part = part_of(run, [](const record::ResultRow& row) { return row.index >= 2; });
  ASSERT_EQ(part.header.benchmarks.size(), 1U);  // textvqa has no such question
  EXPECT_EQ(part.header.benchmarks[0].n_questions, 2);
  ASSERT_EQ(part.rows.size(), 4U);
  const eval::Comparison c = eval::compare({&part, 1}, {});
  EXPECT_NEAR(eval::result_of(c.benchmarks[0], "none").value.value, 50.0, 1e-9);
  EXPECT_NEAR(eval::result_of(c.benchmarks[0], "a @ 1").value.value, 100.0, 1e-9);
}

// Falls from 100 at 50 % of the tokens to 80 at 30 %: 95 is met a quarter of the way, at 45 %.
TEST(Curve, KneeIsWhereItFirstFalls) {
  const std::vector<double> x = {10.0, 30.0, 50.0, 100.0};
  const auto knee = [&](const std::vector<double>& value) { return knee_of(x, value, 95.0); };
  EXPECT_NEAR(knee({99.0, 80.0, 100.0, 100.0}), 45.0, 1e-9);
  EXPECT_NEAR(knee({0.0, 90.0, 95.0, 100.0}), 50.0, 1e-9);
  EXPECT_NEAR(knee({97.0, 98.0, 99.0, 100.0}), 10.0, 1e-9);
  Curve curve{x, {99.0, 80.0, 100.0, 100.0}, {{99.0, 96.0}, {80.0, 96.0}, {100.0, 96.0}, {100.0, 96.0}}};
  const eval::Interval interval = knee_of(curve, 95.0);
  EXPECT_NEAR(interval.value, 45.0, 1e-9);
  EXPECT_NEAR(interval.low, 10.0 + 0.025 * 35.0, 1e-9);  // of the two draws 45 and 10
}

// a has 62.5 % of unpruned on average, none 100; half way between them lies 81.25.
TEST(Curve, PointsAscendAndAreInterpolated) {
  const eval::Comparison c = two_benchmarks();
  const Curve curve = average_curve(c, {"none", "a @ 25%"},
                                    [](const std::string& config) { return config == "none" ? 10.0 : 4.0; });
  EXPECT_EQ(curve.x, (std::vector<double>{4.0, 10.0}));
  EXPECT_NEAR(curve.value[0], 62.5, 1e-9);
  EXPECT_NEAR(at(curve, 7.0)->value, 81.25, 1e-9);
  EXPECT_NEAR(at(curve, 10.0)->value, 100.0, 1e-9);
  EXPECT_FALSE(at(curve, 3.9));
  EXPECT_FALSE(at(curve, 10.1));
  EXPECT_EQ(at(curve, 7.0)->draws.size(), 10000U);
}

TEST(Studies, EachHasANameAndAClaim) {
  for (const Study& study : studies()) {
    EXPECT_EQ(&find_study(study.name), &study);
    EXPECT_FALSE(study.title.empty() || study.claim.empty() || study.write == nullptr);
  }
  expect_error(ErrorCode::NotFound, "study, got 'x', expected one of baselines, position",
               [] { find_study("x"); });
}

}  // namespace
}  // namespace winnow::study
