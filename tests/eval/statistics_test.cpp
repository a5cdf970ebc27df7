// Statistics against numbers worked out apart from the code:
//   McNemar   sums of binomial coefficients by hand, 2 x (C(6,0) + C(6,1)) / 2^6 = 14 / 64 and so on; the
//   large
//             tables by exact integers in Python (math.comb)
//   Wilson    its closed form with z = 1.959963984540054 in Python; 0 of 10 is the textbook's [0, 0.278]
//   bootstrap what theory says: standard errors, frequencies of small samples, coverage in simulations
#include <cmath>
#include <numeric>

#include "tests/support/expect_error.h"
#include "winnow/base/rng.h"
#include "winnow/eval/bootstrap.h"
#include "winnow/eval/interval.h"

namespace winnow::eval {
namespace {

using test::expect_error;

TEST(McNemar, SmallTablesByHand) {
  EXPECT_DOUBLE_EQ(mcnemar_exact(1, 5), 14.0 / 64.0);
  EXPECT_DOUBLE_EQ(mcnemar_exact(5, 1), 14.0 / 64.0);
  EXPECT_DOUBLE_EQ(mcnemar_exact(0, 5), 2.0 / 32.0);
  EXPECT_NEAR(mcnemar_exact(2, 10), 158.0 / 4096.0, 1e-15);  // 1 + 12 + 66 = 79
  EXPECT_DOUBLE_EQ(mcnemar_exact(4, 4), 1.0);
  EXPECT_DOUBLE_EQ(mcnemar_exact(0, 0), 1.0);
  EXPECT_DOUBLE_EQ(mcnemar_exact(0, 1), 1.0);
}

TEST(McNemar, LargeTablesDoNotOverflow) {
  EXPECT_NEAR(mcnemar_exact(80, 120), 0.0056851559967503055, 1e-15);
  EXPECT_NEAR(mcnemar_exact(900, 1100), 8.457089535503927e-06, 1e-18);
  expect_error(ErrorCode::InvalidArgument, "counts, got -1 and 2", [] { mcnemar_exact(-1, 2); });
}

TEST(Wilson, ClosedForm) {
  const Interval some = wilson(8, 10);
  EXPECT_DOUBLE_EQ(some.value, 0.8);
  EXPECT_NEAR(some.low, 0.49016247153664183, 1e-12);
  EXPECT_NEAR(some.high, 0.9433178485456247, 1e-12);
  const Interval none = wilson(0, 10);
  EXPECT_DOUBLE_EQ(none.low, 0.0);
  EXPECT_NEAR(none.high, 0.27753279986288806, 1e-12);
  const Interval all = wilson(10, 10);
  EXPECT_NEAR(all.low, 1.0 - none.high, 1e-12);
  EXPECT_DOUBLE_EQ(all.high, 1.0);
  expect_error(ErrorCode::InvalidArgument, "got 3 of 2", [] { wilson(3, 2); });
}

TEST(Percentiles, BetweenOrderStatistics) {
  std::vector<double> draws(1001);
  std::iota(draws.rbegin(), draws.rend(), 0.0);
  const Interval wide = percentile_interval(7.0, draws);
  EXPECT_DOUBLE_EQ(wide.value, 7.0);
  EXPECT_DOUBLE_EQ(wide.low, 25.0);
  EXPECT_DOUBLE_EQ(wide.high, 975.0);
  const Interval two = percentile_interval(0.0, {0.0, 1.0});
  EXPECT_DOUBLE_EQ(two.low, 0.025);
  EXPECT_DOUBLE_EQ(two.high, 0.975);
}

ScoredRow question(std::size_t number, double value, const std::string& group = "") {
  ScoredRow row;
  row.id = fmt::format("{}", number);
  row.group = group.empty() ? row.id : group;
  row.score.value = value;
  return row;
}

double spread_of(const std::vector<double>& draws) {
  const double n = static_cast<double>(draws.size());
  const double mean = std::accumulate(draws.begin(), draws.end(), 0.0) / n;
  double squares = 0.0;
  for (const double d : draws) squares += (d - mean) * (d - mean);
  return std::sqrt(squares / n);
}

TEST(Bootstrap, TwoQuestionsHaveThreeOutcomes) {
  const std::vector<std::vector<ScoredRow>> rows = {{question(0, 1.0), question(1, 0.0)}};
  const Resamples r = resample(mean_headline(), rows, {});
  EXPECT_DOUBLE_EQ(r.value[0], 50.0);
  int n_half = 0, n_none = 0;
  for (const double d : r.draws[0]) {
    EXPECT_TRUE(d == 0.0 || d == 50.0 || d == 100.0);
    n_half += d == 50.0 ? 1 : 0;
    n_none += d == 0.0 ? 1 : 0;
  }
  EXPECT_NEAR(n_half, 5000, 200);  // four standard deviations of a binomial(10000, 1/2)
  EXPECT_NEAR(n_none, 2500, 174);
}

TEST(Bootstrap, StandardErrorOfAShare) {
  std::vector<std::vector<ScoredRow>> rows(1);
  for (std::size_t i = 0; i < 100; ++i) rows[0].push_back(question(i, i < 50 ? 1.0 : 0.0));
  const Resamples r = resample(mean_headline(), rows, {});
  EXPECT_EQ(r.n_groups, 100);
  EXPECT_NEAR(spread_of(r.draws[0]), 5.0, 0.15);  // 100 sqrt(0.5 * 0.5 / 100)
}

TEST(Bootstrap, QuestionsOfAGroupStayTogether) {
  std::vector<std::vector<ScoredRow>> rows(1);
  for (std::size_t i = 0; i < 100; ++i)
    rows[0].push_back(question(i, i % 4 < 2 ? 1.0 : 0.0, fmt::format("pair {}", i / 2)));
  const Resamples r = resample(mean_headline(), rows, {});
  EXPECT_EQ(r.n_groups, 50);
  EXPECT_NEAR(spread_of(r.draws[0]), 100.0 * std::sqrt(0.25 / 50.0), 0.2);  // pairs are equal: 50 draws
}

TEST(Bootstrap, StrataKeepTheirSizes) {
  std::vector<std::vector<ScoredRow>> rows(1);
  for (std::size_t i = 0; i < 40; ++i) {
    rows[0].push_back(question(i, i < 10 ? 1.0 : 0.0));
    rows[0].back().category = i < 10 ? "few" : "many";
  }
  const Resamples r = resample(mean_headline(&ScoredRow::category), rows, {});
  EXPECT_DOUBLE_EQ(r.value[0], 50.0);
  EXPECT_DOUBLE_EQ(spread_of(r.draws[0]), 0.0);  // within a stratum all scores are equal
}

TEST(Bootstrap, IsPairedAndRepeats) {
  std::vector<std::vector<ScoredRow>> rows(2);
  Rng rng(3);
  for (std::size_t i = 0; i < 60; ++i) {
    const double value = rng.uniform();
    rows[0].push_back(question(i, value));
    rows[1].push_back(question(i, 0.5 * value));
  }
  const Resamples r = resample(mean_headline(), rows, {.n_resamples = 200, .seed = 9});
  for (std::size_t i = 0; i < 200; ++i) EXPECT_NEAR(r.draws[1][i], 0.5 * r.draws[0][i], 1e-9);
  EXPECT_EQ(resample(mean_headline(), rows, {.n_resamples = 200, .seed = 9}).draws, r.draws);
  EXPECT_NE(resample(mean_headline(), rows, {.n_resamples = 200, .seed = 8}).draws, r.draws);
}

TEST(Bootstrap, RefusesDifferentQuestions) {
  const std::vector<std::vector<ScoredRow>> rows = {{question(0, 1.0)}, {question(1, 1.0)}};
  expect_error(ErrorCode::InvalidArgument, "different questions",
               [&] { resample(mean_headline(), rows, {}); });
  const std::vector<std::vector<ScoredRow>> none(1);
  expect_error(ErrorCode::InvalidArgument, "no scored questions",
               [&] { resample(mean_headline(), none, {}); });
}

// 250 experiments of 150 questions: the second configuration loses 10 % of the right answers and gains 5 % of
// the wrong ones, so the true difference is 70 (-0.1) + 30 (0.05) = -5.5 points. 95 % of 250 is 237; five
// standard deviations of that count are 17.
TEST(Bootstrap, DifferencesAreCoveredAsOftenAsPromised) {
  int n_covered = 0;
  for (uint64_t experiment = 0; experiment < 250; ++experiment) {
    Rng rng(77, experiment);
    std::vector<std::vector<ScoredRow>> rows(2);
    for (std::size_t i = 0; i < 150; ++i) {
      const bool first = rng.uniform() < 0.7;
      const bool second = rng.uniform() < (first ? 0.9 : 0.05);
      rows[0].push_back(question(i, first ? 1.0 : 0.0));
      rows[1].push_back(question(i, second ? 1.0 : 0.0));
    }
    const Resamples r = resample(mean_headline(), rows, {.n_resamples = 300, .seed = experiment});
    std::vector<double> differences;
    for (std::size_t i = 0; i < r.draws[0].size(); ++i) differences.push_back(r.draws[1][i] - r.draws[0][i]);
    n_covered += percentile_interval(r.value[1] - r.value[0], differences).covers(-5.5) ? 1 : 0;
  }
  EXPECT_GE(n_covered, 220);
  EXPECT_LE(n_covered, 249);
}

/// Rows as each benchmark has them: pairs for MME, rotations for MMBench, several categories.
std::vector<ScoredRow> random_rows(const std::string& benchmark, uint64_t seed) {
  Rng rng(seed);
  std::vector<ScoredRow> rows;
  for (std::size_t i = 0; i < 240; ++i) {
    const bool several = rng.below(3) == 0;
    ScoredRow row = question(i, static_cast<double>(rng.below(2)));
    row.category = benchmark == "mme"        ? (i / 2 % 3 == 0 ? "code_reasoning" : "color")
                   : benchmark == "pope"     ? (several ? "adversarial,popular" : "random")
                   : benchmark == "haystack" ? (i % 3 == 0 ? "1" : "5")
                                             : (i % 3 == 0 ? "a" : "b");
    row.expected = rng.below(2) == 0 ? "yes" : "no";
    row.score.extracted = std::vector<std::string>{"yes", "no", ""}[rng.below(3)];
    row.score.detail = {{"iou", 0.5}, {"center", 1.0}};
    if (benchmark == "mme") row.group = fmt::format("{}/{}", row.category, i / 2);
    if (benchmark.starts_with("mmbench")) {
      row.group = fmt::format("{}", i / 3);
      row.id =
          fmt::format("{}", i / 3 + i % 3 * 1'000'000 + (i < 6 ? 1'000'000 : 0));  // two without their first
    }
    rows.push_back(row);
  }
  return rows;
}

TEST(Headline, EqualsTheFirstMetricOfEveryBenchmark) {
  for (const Benchmark* benchmark : benchmarks()) {
    for (const Convention convention : conventions()) {
      const std::string& name = benchmark->info().name;
      const std::vector<std::vector<ScoredRow>> rows = {random_rows(name, 5), random_rows(name, 5)};
      const Resamples r = resample(benchmark->headline(convention), rows, {.n_resamples = 1});
      const Metric metric = benchmark->aggregate(rows[0], convention).front();
      EXPECT_NEAR(r.value[0], metric.value, 1e-9) << name << ' ' << convention_name(convention);
      EXPECT_GT(metric.value, 0.0) << name;
    }
  }
}

}  // namespace
}  // namespace winnow::eval
