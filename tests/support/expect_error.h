#pragma once

#include <gtest/gtest.h>

#include <string>

#include "winnow/base/error.h"

namespace winnow::test {

/// Runs `call`, which has to throw Error with this code and this text somewhere in its message.
template <class Call>
void expect_error(ErrorCode code, const std::string& text, Call call) {
  try {
    call();
    ADD_FAILURE() << "no error, expected: " << text;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_NE(std::string(error.what()).find(text), std::string::npos)
        << error.what() << "\nexpected: " << text;
  }
}

/// The same for an Error of any code.
template <class Call>
void expect_refused(const std::string& text, Call call) {
  try {
    call();
    FAIL() << "no error with " << text;
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(text), std::string::npos) << error.what();
  }
}

}  // namespace winnow::test
