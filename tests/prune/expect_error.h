#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "winnow/base/error.h"

namespace winnow::prune::test {

/// Expects an Error of this code whose message holds every given part.
inline void expect_error(ErrorCode code, const std::vector<std::string>& parts,
                         const std::function<void()>& act) {
  try {
    act();
    ADD_FAILURE() << "no error, expected one with '" << (parts.empty() ? "" : parts.front()) << "'";
  } catch (const Error& error) {
    EXPECT_STREQ(error_code_name(error.code()), error_code_name(code)) << error.what();
    for (const std::string& part : parts) {
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos)
          << "message: " << error.what() << "\nlacks: " << part;
    }
  }
}

}  // namespace winnow::prune::test
