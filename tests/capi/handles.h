#pragma once

// Handles of the C API that end themselves, and signals of a test handed over through it.

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "tests/prune/random_signals.h"
#include "winnow/capi/winnow.h"

namespace winnow::test {

struct Free {
  void operator()(winnow_method* method) const { winnow_method_free(method); }
  void operator()(winnow_signals* signals) const { winnow_signals_free(signals); }
  void operator()(winnow_plan* plan) const { winnow_plan_free(plan); }
};
template <class Handle>
using Owned = std::unique_ptr<Handle, Free>;

inline Owned<winnow_method> method_of(const std::string& use) {
  winnow_method* method = nullptr;
  EXPECT_EQ(winnow_method_new(use.c_str(), &method), WINNOW_OK) << winnow_last_error();
  return Owned<winnow_method>(method);
}

inline Owned<winnow_signals> signals_of(int32_t rows, int32_t cols) {
  winnow_signals* signals = nullptr;
  EXPECT_EQ(winnow_signals_new(rows, cols, &signals), WINNOW_OK) << winnow_last_error();
  return Owned<winnow_signals>(signals);
}

/// Everything that `use` reads, from signals of the C++ tests.
inline Owned<winnow_signals> signals_of(const prune::test::OwnedSignals& owned, const std::string& use) {
  const prune::MethodUse parsed = prune::parse_method(use);
  const std::vector<prune::Need> needs = parsed.method->needs(parsed.params);
  const prune::Signals views = owned.view(needs);
  auto signals = signals_of(owned.grid.rows, owned.grid.cols);
  for (const prune::Need& need : needs) {
    const MatrixView view = views.view(need);
    EXPECT_EQ(winnow_signals_set(signals.get(), prune::signal_name(need.signal).data(), need.block, view.data,
                                 view.rows, view.cols),
              WINNOW_OK)
        << winnow_last_error();
  }
  const auto size = [](const std::vector<int32_t>& values) { return static_cast<int64_t>(values.size()); };
  EXPECT_EQ(winnow_signals_set_token_of(signals.get(), views.token_of.data(), size(views.token_of)),
            WINNOW_OK);
  EXPECT_EQ(winnow_signals_set_ids(signals.get(), views.ids.data(), size(views.ids)), WINNOW_OK);
  EXPECT_EQ(winnow_signals_set_text_ids(signals.get(), views.text_ids.data(), size(views.text_ids)),
            WINNOW_OK);
  EXPECT_EQ(winnow_signals_set_rope(signals.get(), views.rope.d_head, views.rope.base), WINNOW_OK);
  return signals;
}

/// A call that must fail with this status and a text that holds every part.
inline void expect_failure(winnow_status actual, winnow_status status,
                           const std::vector<std::string>& parts) {
  EXPECT_STREQ(winnow_status_name(actual), winnow_status_name(status)) << winnow_last_error();
  for (const std::string& part : parts) {
    EXPECT_NE(std::string(winnow_last_error()).find(part), std::string::npos)
        << "text: " << winnow_last_error() << "\nlacks: " << part;
  }
}

}  // namespace winnow::test
