#include "winnow/base/log.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace winnow {
namespace {

TEST(LogTest, MessagesGoToTheSinkAndNowhereWithoutOne) {
  std::vector<std::pair<LogLevel, std::string>> seen;
  set_log_sink([&](LogLevel level, std::string_view text) { seen.emplace_back(level, text); });
  log(LogLevel::Warning, "{} of {}", 3, 4);
  log(LogLevel::Debug, "plain");
  set_log_sink(nullptr);
  log(LogLevel::Info, "nobody listens");
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_EQ(seen[0], std::make_pair(LogLevel::Warning, std::string("3 of 4")));
  EXPECT_EQ(seen[1], std::make_pair(LogLevel::Debug, std::string("plain")));
}

}  // namespace
}  // namespace winnow
