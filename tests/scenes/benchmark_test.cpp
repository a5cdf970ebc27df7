#include "winnow/scenes/benchmark.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <set>

#include "tests/support/expect_error.h"

namespace winnow::scenes {
namespace {

using test::expect_error;

class DrawBenchmark : public testing::TestWithParam<std::string> {};

TEST_P(DrawBenchmark, SpreadsEvenlyOverItsTasks) {
  constexpr int32_t kItems = 84;  // two for each of mme's seven tasks, several times
  std::map<Task, int32_t> n_of;
  for (const BenchmarkItem& item : draw_benchmark(GetParam(), Split::Test, 1, kItems)) {
    EXPECT_EQ(task_info(item.question.task).benchmark, GetParam());
    EXPECT_FALSE(item.scenes.empty());
    ++n_of[item.question.task];
  }
  const auto n_tasks = static_cast<int32_t>(n_of.size());
  for (const auto& [task, n] : n_of) {
    EXPECT_GE(n, kItems / n_tasks) << task_info(task).name;
    EXPECT_LE(n, kItems / n_tasks + 1) << task_info(task).name;
  }
  for (const TaskInfo& info : tasks()) {
    EXPECT_EQ(n_of.contains(info.task), info.benchmark == GetParam()) << info.name;
  }
}

TEST_P(DrawBenchmark, BalancesYesAndNo) {
  std::map<Task, int32_t> balance;
  for (const BenchmarkItem& item : draw_benchmark(GetParam(), Split::Test, 2, 70)) {
    const Question& question = item.question;
    if (question.answer == "Yes" || question.answer == "No") {
      balance[question.task] += question.answer == "Yes" ? 1 : -1;
    } else if (question.task == Task::Unanswerable) {
      balance[question.task] += question.answer == "unanswerable" ? -1 : 1;
    }
  }
  for (const auto& [task, difference] : balance) EXPECT_LE(std::abs(difference), 1) << task_info(task).name;
}

TEST_P(DrawBenchmark, BeginsEqualForEveryNumber) {
  const auto some = draw_benchmark(GetParam(), Split::Validation, 3, 5);
  const auto more = draw_benchmark(GetParam(), Split::Validation, 3, 12);
  ASSERT_EQ(some.size(), 5U);
  ASSERT_EQ(more.size(), 12U);
  for (std::size_t i = 0; i < some.size(); ++i) {
    EXPECT_EQ(some[i].question.text, more[i].question.text);
    EXPECT_EQ(some[i].question.answer, more[i].question.answer);
    EXPECT_EQ(some[i].scenes.front().seed, more[i].scenes.front().seed);
  }
}

TEST_P(DrawBenchmark, WorksAtEveryDifficulty) {
  for (const char* name : {"easy", "hard"})
    EXPECT_EQ(draw_benchmark(GetParam(), Split::Test, 4, 40, parse_difficulty(name)).size(), 40U);
}

INSTANTIATE_TEST_SUITE_P(All, DrawBenchmark, testing::ValuesIn(benchmarks()),
                         [](const auto& one) { return one.param; });

TEST(DrawBenchmarks, ShareNoPictures) {
  std::set<uint64_t> seeds;
  std::size_t n = 0;
  for (const std::string& benchmark : benchmarks()) {
    if (benchmark == "mme") continue;  // shares within its pairs
    for (const Split split : {Split::Test, Split::Validation, Split::Train}) {
      for (const BenchmarkItem& item : draw_benchmark(benchmark, split, 5, 20)) {
        for (const Scene& scene : item.scenes) seeds.insert(scene.seed), ++n;
      }
    }
  }
  EXPECT_EQ(seeds.size(), n);
}

TEST(DrawBenchmarks, MmeComesInPairsAboutOnePicture) {
  const auto items = draw_benchmark("mme", Split::Test, 6, 15);
  ASSERT_EQ(items.size(), 15U);
  for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
    EXPECT_EQ(items[i].scenes.front().seed, items[i + 1].scenes.front().seed);
    EXPECT_EQ(items[i].question.task, items[i + 1].question.task);
    EXPECT_EQ(items[i].question.answer, "Yes");
    EXPECT_EQ(items[i + 1].question.answer, "No");
  }
}

TEST(DrawBenchmarks, HaystacksGrowInTurn) {
  const auto items = draw_benchmark("haystack", Split::Test, 7, 10);
  const std::vector<std::size_t> sizes = {1, 2, 3, 5, 10, 1, 2, 3, 5, 10};
  for (std::size_t i = 0; i < items.size(); ++i) {
    EXPECT_EQ(items[i].scenes.size(), sizes[i]);
    EXPECT_LT(static_cast<std::size_t>(items[i].question.needle), sizes[i]);
  }
}

TEST(DrawBenchmarks, RefuseWhatMakesNoSense) {
  expect_error(ErrorCode::InvalidArgument, "unknown benchmark, got 'POPE', expected one of pope, mme",
               [] { draw_benchmark("POPE", Split::Test, 0, 1); });
  expect_error(ErrorCode::InvalidArgument, "number of questions, got 0, expected 1 to",
               [] { draw_benchmark("pope", Split::Test, 0, 0); });
  const Difficulty one_object = {.max_objects = 1};
  expect_error(ErrorCode::InvalidArgument,
               "this difficulty has no questions of the kind gqa_relation, got none in 4096 pictures",
               [&] { draw_benchmark("gqa", Split::Test, 0, 5, one_object); });
}

}  // namespace
}  // namespace winnow::scenes
