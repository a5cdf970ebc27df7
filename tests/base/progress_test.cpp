#include "winnow/base/progress.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace winnow {
namespace {

struct Seen {
  std::string what;
  int64_t done;
  int64_t total;
  double seconds_left;
};

class ProgressTest : public ::testing::Test {
 protected:
  void SetUp() override {
    set_progress_sink([this](const ProgressReport& report) {
      seen_.push_back({std::string(report.what), report.done, report.total, report.seconds_left});
    });
  }
  void TearDown() override { set_progress_sink(nullptr); }

  std::vector<Seen> seen_;
};

TEST_F(ProgressTest, LastReportAlwaysGoesOut) {
  Progress progress(std::string("a temporary name that is too long for the stack"), 1000);
  for (int i = 0; i < 1000; ++i) progress.step();
  ASSERT_FALSE(seen_.empty());
  EXPECT_EQ(seen_.back().what, "a temporary name that is too long for the stack");
  EXPECT_EQ(seen_.back().done, 1000);
  EXPECT_EQ(seen_.back().total, 1000);
  EXPECT_DOUBLE_EQ(seen_.back().seconds_left, 0.0);
}

TEST_F(ProgressTest, StepsAreCountedTogether) {
  Progress progress("rows", 10);
  progress.step(4);
  progress.step(6);
  ASSERT_EQ(seen_.size(), 1U);
  EXPECT_EQ(seen_[0].done, 10);
}

TEST_F(ProgressTest, WorkOfAnEarlierRunCountsAsDoneButNotForTheTimeLeft) {
  Progress progress("going on", 1000, 999);
  progress.step();
  ASSERT_EQ(seen_.size(), 1U);
  EXPECT_EQ(seen_.back().done, 1000);
  seen_.clear();
  Progress far("going on", 1'000'000'000, 900'000'000);
  while (seen_.empty()) far.step();
  EXPECT_GT(seen_.back().done, 900'000'000);
  // 0.1 s for a few steps, so the other 100 million take very long; counted with the earlier ones it would be
  // 0.01 s.
  EXPECT_GT(seen_.back().seconds_left, 0.05);
}

TEST(ProgressSinkTest, NothingHappensWithoutASink) {
  Progress progress("rows", 2);
  EXPECT_NO_THROW(progress.step(2));
}

}  // namespace
}  // namespace winnow
