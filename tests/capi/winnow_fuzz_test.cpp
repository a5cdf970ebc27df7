// Random calls: any mixture of methods, shapes, values and counts is a plan that holds together or a status
// with a text. The sanitizer builds see what it reads.

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "tests/capi/handles.h"

namespace winnow {
namespace {

using test::Owned;

/// Mostly what fits an image of n tokens, sometimes anything.
int64_t some_count(Rng& rng, int64_t fitting) {
  if (rng.below(8) != 0) return fitting;
  return static_cast<int64_t>(rng.below(12)) - 2;
}

float some_value(Rng& rng) {
  const uint64_t kind = rng.below(200);
  if (kind == 0) return std::numeric_limits<float>::quiet_NaN();
  if (kind == 1) return std::numeric_limits<float>::infinity();
  if (kind == 2) return 3e38F;
  if (kind < 20) return 0.0F;
  return static_cast<float>(std::exp(rng.normal()));
}

std::string some_use(Rng& rng) {
  static const std::vector<std::string> odd = {"",
                                               ":",
                                               "fastv:",
                                               "balanced:alpha=nan",
                                               "pooling:window=2x2",
                                               "window_fastv:window=9x9",
                                               "balanced:redundancy=max",
                                               "\xff\xfe"};
  const uint64_t pick = rng.below(static_cast<uint64_t>(winnow_method_count()) + odd.size());
  if (pick < odd.size()) return odd[pick];
  return winnow_method_name(static_cast<int32_t>(pick - odd.size()));
}

/// Signals of one random image; the values live in `store`.
class SomeSignals {
 public:
  explicit SomeSignals(Rng& rng) : rng_(rng) {
    rows_ = static_cast<int32_t>(some_count(rng_, static_cast<int64_t>(1 + rng_.below(6))));
    cols_ = static_cast<int32_t>(some_count(rng_, static_cast<int64_t>(1 + rng_.below(6))));
    winnow_signals* raw = nullptr;
    winnow_signals_new(rows_, cols_, &raw);
    signals_.reset(raw);
    n_ = std::max(rows_, 0) * std::max(cols_, 0);
    width_ = static_cast<int64_t>(1 + rng_.below(9));
    if (signals_ == nullptr) return;
    add_ints();
  }

  /// What the method asks for, mostly.
  void give(const winnow_method* method) {
    winnow_method_info info;
    if (winnow_method_get_info(method, &info) != WINNOW_OK) return;
    for (int32_t i = 0; i < info.need_count; ++i) {
      winnow_need need;
      if (winnow_method_need(method, i, &need) != WINNOW_OK || rng_.below(40) == 0) continue;
      const std::string shape = need.shape;
      int64_t rows = shape.starts_with("[n") ? n_ : (shape.starts_with("[1") ? 1 : 4);
      if (shape.starts_with("[n or")) rows = rows_ * cols_;
      if (shape.starts_with("[n_text")) rows = n_text_;  // of [segments, width] any number fits
      if (shape.starts_with("[heads *")) rows = 2 * n_text_;
      const int64_t cols = shape.ends_with("n]") ? n_ : width_;
      set(need, some_count(rng_, rows), some_count(rng_, cols));
    }
  }

  const winnow_signals* get() const { return signals_.get(); }
  int32_t n() const { return n_; }

 private:
  void add_ints() {
    if (rng_.below(3) == 0) {
      std::vector<int32_t> cells(1 + rng_.below(static_cast<uint64_t>(n_)));
      for (int32_t& cell : cells)
        cell = static_cast<int32_t>(
            some_count(rng_, static_cast<int64_t>(rng_.below(static_cast<uint64_t>(n_)))));
      if (winnow_signals_set_token_of(signals_.get(), cells.data(), static_cast<int64_t>(cells.size())) ==
          WINNOW_OK) {
        n_ = static_cast<int32_t>(cells.size());
      }
    }
    const std::vector<int32_t> ids(128, 5);  // no count below is larger
    if (rng_.below(2) == 0) winnow_signals_set_ids(signals_.get(), ids.data(), some_count(rng_, n_));
    if (rng_.below(2) == 0)
      winnow_signals_set_text_ids(signals_.get(), ids.data(), some_count(rng_, n_text_));
    if (rng_.below(2) == 0) {
      winnow_signals_set_rope(signals_.get(), static_cast<int32_t>(some_count(rng_, 8)), some_value(rng_));
    }
  }

  void set(const winnow_need& need, int64_t rows, int64_t cols) {
    const int64_t size = std::max<int64_t>(rows, 1) * std::max<int64_t>(cols, 1);
    std::vector<float>& values = store_.emplace_back();
    for (int64_t i = 0; i < size; ++i) values.push_back(some_value(rng_));
    if (rng_.below(3) != 0) {
      for (float& value : values) value = std::isfinite(value) && value < 1e30F ? value : 1.0F;
    }
    const int32_t block = rng_.below(30) == 0 ? static_cast<int32_t>(rng_.below(5)) : need.block;
    winnow_signals_set(signals_.get(), need.signal, block, values.data(), rows, cols);
  }

  Rng& rng_;
  Owned<winnow_signals> signals_;
  std::vector<std::vector<float>> store_;
  int32_t rows_ = 0;
  int32_t cols_ = 0;
  int32_t n_ = 0;
  int64_t n_text_ = 3;
  int64_t width_ = 1;
};

void expect_plan_that_holds(const winnow_plan* plan, int32_t n, int32_t n_keep) {
  winnow_plan_view view;
  ASSERT_EQ(winnow_plan_get(plan, &view), WINNOW_OK);
  EXPECT_EQ(view.n_in, n);
  if (n_keep != WINNOW_METHOD_DECIDES) {
    EXPECT_EQ(view.n_out, n_keep);
  }
  EXPECT_EQ(view.offsets[0], 0);
  EXPECT_EQ(view.offsets[view.n_out], view.n_sources);
  for (int32_t o = 0; o < view.n_out; ++o) {
    EXPECT_LT(view.offsets[o], view.offsets[o + 1]);
    EXPECT_TRUE(view.position_of[o] >= 0 && view.position_of[o] < n);
  }
  for (int32_t i = 0; i < view.n_sources; ++i) {
    EXPECT_TRUE(view.index[i] >= 0 && view.index[i] <= n);
    EXPECT_TRUE(std::isfinite(view.weight[i]));
  }
  for (int32_t j = 0; view.scores != nullptr && j < n; ++j) EXPECT_TRUE(std::isfinite(view.scores[j]));
  const std::vector<float> features(static_cast<std::size_t>(n) * 3, 1.0F);
  const std::vector<float> cls(3, 1.0F);
  std::vector<float> out(static_cast<std::size_t>(view.n_out) * 3 + 1);
  EXPECT_EQ(winnow_plan_apply(plan, features.data(), n, 3, cls.data(), out.data()), WINNOW_OK)
      << winnow_last_error();
}

TEST(CapiFuzzTest, RandomCallsAreAPlanOrAText) {
  Rng rng(77);
  int n_plans = 0;
  int n_failures = 0;
  for (int round = 0; round < 20000; ++round) {
    const std::string use = some_use(rng);
    SCOPED_TRACE("round " + std::to_string(round) + ", " + use);
    winnow_method* raw_method = nullptr;
    const winnow_status parsed = winnow_method_new(use.c_str(), &raw_method);
    const Owned<winnow_method> method(raw_method);
    ASSERT_EQ(parsed == WINNOW_OK, method != nullptr);
    SomeSignals signals(rng);
    if (method != nullptr && signals.get() != nullptr) signals.give(method.get());
    const auto n_keep = static_cast<int32_t>(
        some_count(rng, static_cast<int64_t>(rng.below(static_cast<uint64_t>(signals.n()) + 2))));
    winnow_plan* raw_plan = nullptr;
    const winnow_status status = winnow_run(method.get(), signals.get(), n_keep, rng.next(), &raw_plan);
    const Owned<winnow_plan> plan(raw_plan);
    ASSERT_EQ(status == WINNOW_OK, plan != nullptr);
    if (plan != nullptr) {
      ++n_plans;
      expect_plan_that_holds(plan.get(), signals.n(), n_keep);
    } else {
      ++n_failures;
      ASSERT_NE(status, WINNOW_INTERNAL) << winnow_last_error();
      ASSERT_STRNE(winnow_last_error(), "");
    }
    if (testing::Test::HasFailure()) return;
  }
  EXPECT_GT(n_plans, 1000);
  EXPECT_GT(n_failures, 1000);
}

}  // namespace
}  // namespace winnow
