#include "winnow/base/error.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace winnow {
namespace {

TEST(ErrorTest, MessageSaysWhereAndWhat) {
  try {
    fail(ErrorCode::Corrupt, "engine.load", "magic, got {}, expected {}", 7, "GGUF");
    FAIL() << "fail() returned";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::Corrupt);
    EXPECT_STREQ(error.what(), "[engine.load] magic, got 7, expected GGUF");
  }
}

TEST(ErrorTest, CheckThrowsOnlyWhenFalse) {
  const auto check = [](bool good) { WINNOW_CHECK(good, NotFound, "base.test", "got {}", 1); };
  EXPECT_NO_THROW(check(true));
  try {
    check(false);
    FAIL() << "WINNOW_CHECK let it pass";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::NotFound);
    EXPECT_STREQ(error.what(), "[base.test] got 1");
  }
}

TEST(ErrorTest, CheckIsOneStatement) {
  bool otherwise = false;
  if (false)
    WINNOW_CHECK(false, Internal, "base.test", "unreachable");
  else
    otherwise = true;
  EXPECT_TRUE(otherwise);
}

TEST(ErrorTest, AssertNamesTheCondition) {
  try {
    const int answer = 41;
    WINNOW_ASSERT(answer == 42);
    FAIL() << "WINNOW_ASSERT let it pass";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::Internal);
    EXPECT_NE(std::string(error.what()).find("answer == 42"), std::string::npos) << error.what();
  }
}

TEST(ErrorTest, EveryCodeHasItsOwnName) {
  std::set<std::string> names;
  for (const auto code :
       {ErrorCode::InvalidArgument, ErrorCode::NotFound, ErrorCode::Corrupt, ErrorCode::Unsupported,
        ErrorCode::Io, ErrorCode::OutOfMemory, ErrorCode::Internal}) {
    names.insert(error_code_name(code));
  }
  EXPECT_EQ(names.size(), 7U);
  EXPECT_STREQ(error_code_name(ErrorCode::InvalidArgument), "invalid_argument");
}

}  // namespace
}  // namespace winnow
