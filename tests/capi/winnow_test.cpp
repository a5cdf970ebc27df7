#include "winnow/capi/winnow.h"

#include <gtest/gtest.h>

#include <limits>
#include <thread>
#include <vector>

#include "tests/capi/handles.h"

namespace winnow {
namespace {

using prune::test::OwnedSignals;
using prune::test::random_signals;
using test::expect_failure;
using test::method_of;
using test::Owned;
using test::signals_of;

constexpr winnow_status kBad = WINNOW_INVALID_ARGUMENT;

TEST(CapiTest, VersionIsTheProjects) {
  EXPECT_STREQ(winnow_version(), WINNOW_PROJECT_VERSION);
  EXPECT_EQ(winnow_version_number(), WINNOW_VERSION_NUMBER);
}

TEST(CapiTest, StatusNames) {
  EXPECT_STREQ(winnow_status_name(WINNOW_OK), "ok");
  EXPECT_STREQ(winnow_status_name(WINNOW_NOT_FOUND), "not_found");
  EXPECT_STREQ(winnow_status_name(WINNOW_INTERNAL), "internal");
  EXPECT_STREQ(winnow_status_name(WINNOW_UNSUPPORTED), "unsupported");
}

TEST(CapiTest, ListsEveryMethod) {
  ASSERT_EQ(winnow_method_count(), static_cast<int32_t>(prune::selecting_methods().size()));
  for (int32_t i = 0; i < winnow_method_count(); ++i) {
    const prune::Method& method = *prune::selecting_methods()[static_cast<std::size_t>(i)];
    EXPECT_STREQ(winnow_method_name(i), method.info().name.c_str());
    const auto handle = method_of(winnow_method_name(i));
    winnow_method_info info;
    ASSERT_EQ(winnow_method_get_info(handle.get(), &info), WINNOW_OK);
    EXPECT_EQ(info.name, method.info().name);
    EXPECT_EQ(info.summary, method.info().summary);
    EXPECT_EQ(info.paper, method.info().paper);
    EXPECT_EQ(info.stage, prune::stage_name(method.info().stage));
    EXPECT_EQ(info.position, prune::position_policy_name(method.info().position));
    EXPECT_EQ(info.default_layer, method.info().default_layer);
    EXPECT_EQ(info.min_layer, method.info().min_layer);
    EXPECT_EQ(info.keeps_all != 0, method.info().keeps_all);
    EXPECT_EQ(info.adaptive != 0, method.info().adaptive);
    EXPECT_EQ(info.may_drop_all != 0, method.info().may_drop_all);
    const prune::MethodUse use = prune::parse_method(info.use);
    const auto needs = use.method->needs(use.params);
    ASSERT_EQ(info.need_count, static_cast<int32_t>(needs.size()));
    for (int32_t n = 0; n < info.need_count; ++n) {
      winnow_need need;
      ASSERT_EQ(winnow_method_need(handle.get(), n, &need), WINNOW_OK);
      EXPECT_EQ(need.signal, prune::signal_name(needs[static_cast<std::size_t>(n)].signal));
      EXPECT_EQ(need.block, needs[static_cast<std::size_t>(n)].block);
      EXPECT_EQ(need.shape[0], '[');
    }
  }
  for (const int32_t i : {-1, winnow_method_count(), INT32_MAX, INT32_MIN})
    EXPECT_EQ(winnow_method_name(i), nullptr);
}

TEST(CapiTest, ParametersAndShapes) {
  const auto balanced = method_of("balanced:alpha=0.30,redundancy=mean");
  winnow_method_info info;
  ASSERT_EQ(winnow_method_get_info(balanced.get(), &info), WINNOW_OK);
  EXPECT_STREQ(info.use,
               "balanced:alpha=0.3,features=hidden,importance=last_text,normalise=minmax,redundancy=mean");
  ASSERT_EQ(info.need_count, 2);
  winnow_need need;
  ASSERT_EQ(winnow_method_need(balanced.get(), 0, &need), WINNOW_OK);
  EXPECT_STREQ(need.signal, "last_text_attention");
  EXPECT_STREQ(need.shape, "[heads, n]");
  ASSERT_EQ(winnow_method_need(balanced.get(), 1, &need), WINNOW_OK);
  EXPECT_STREQ(need.signal, "hidden");
  EXPECT_STREQ(need.shape, "[n, width]");
  int32_t count = -7;
  EXPECT_EQ(winnow_method_fixed_count(balanced.get(), 6, 6, &count), WINNOW_OK);
  EXPECT_EQ(count, 0);
  EXPECT_EQ(winnow_method_fixed_count(method_of("pooling:window=2x3").get(), 6, 6, &count), WINNOW_OK);
  EXPECT_EQ(count, 6);
  EXPECT_EQ(winnow_resolve_block(WINNOW_FEATURE_BLOCK, 23), 22);
  EXPECT_EQ(winnow_resolve_block(WINNOW_NEXT_BLOCK, 23), 23);
  winnow_resolve_block(INT32_MIN, INT32_MAX);  // the sanitizers would see an overflow
}

/// Every method makes the same plan through the C API as through C++, also on an image that was pruned
/// before.
TEST(CapiTest, PlansEqualTheCppOnes) {
  for (const std::vector<int32_t>& token_of :
       {std::vector<int32_t>{}, std::vector<int32_t>{0, 3, 4, 5, 7, 9, 12, 13, 17, 20, 22, 23}}) {
    const OwnedSignals owned = random_signals({4, 6}, 11, token_of);
    const int32_t n = owned.view({}).n();
    for (const prune::Method* method : prune::selecting_methods()) {
      const std::string& use = method->info().name;
      SCOPED_TRACE(use);
      const int32_t n_keep = method->info().keeps_all ? n : 7;
      const auto handle = method_of(use);
      const auto signals = signals_of(owned, use);
      winnow_plan* raw = nullptr;
      ASSERT_EQ(winnow_run(handle.get(), signals.get(), n_keep, 5, &raw), WINNOW_OK) << winnow_last_error();
      const Owned<winnow_plan> plan(raw);
      winnow_plan_view view;
      ASSERT_EQ(winnow_plan_get(plan.get(), &view), WINNOW_OK);
      const prune::MethodUse parsed = prune::parse_method(use);
      Rng rng(5, 0);
      const prune::Plan expected =
          prune::run_method(parsed, owned.view(parsed.method->needs(parsed.params)), n_keep, rng);
      EXPECT_EQ(view.n_in, n);
      ASSERT_EQ(view.n_out, expected.n_out());
      ASSERT_EQ(view.n_sources, static_cast<int32_t>(expected.index.size()));
      EXPECT_EQ(std::vector<int32_t>(view.offsets, view.offsets + view.n_out + 1), expected.offsets);
      EXPECT_EQ(std::vector<int32_t>(view.index, view.index + view.n_sources), expected.index);
      EXPECT_EQ(std::vector<float>(view.weight, view.weight + view.n_sources), expected.weight);
      EXPECT_EQ(std::vector<int32_t>(view.position_of, view.position_of + view.n_out), expected.position_of);
      EXPECT_EQ(view.is_selection != 0, expected.is_selection());
      ASSERT_EQ(view.scores == nullptr, expected.scores.empty());
      if (view.scores != nullptr) {
        EXPECT_EQ(std::vector<float>(view.scores, view.scores + n), expected.scores);
      }

      const prune::test::Matrix& features = owned.of.at(prune::Signal::Projected);
      const prune::test::Matrix& cls = owned.of.at(prune::Signal::ClsToken);
      std::vector<float> out(static_cast<std::size_t>(view.n_out * features.cols));
      ASSERT_EQ(winnow_plan_apply(plan.get(), features.values.data(), n, features.cols, cls.values.data(),
                                  out.data()),
                WINNOW_OK)
          << winnow_last_error();
      EXPECT_EQ(out, prune::apply_plan(expected, features.view(), cls.values));
    }
  }
}

TEST(CapiTest, EveryImageHasItsStreamOfRandomNumbers) {
  const auto random = method_of("random");
  const auto signals = signals_of(8, 8);
  for (const int32_t image : {0, 1, 5}) {
    ASSERT_EQ(winnow_signals_set_image(signals.get(), image), WINNOW_OK);
    winnow_plan* raw = nullptr;
    ASSERT_EQ(winnow_run(random.get(), signals.get(), 9, 3, &raw), WINNOW_OK);
    const Owned<winnow_plan> plan(raw);
    winnow_plan_view view;
    ASSERT_EQ(winnow_plan_get(plan.get(), &view), WINNOW_OK);
    EXPECT_EQ(std::vector<int32_t>(view.index, view.index + 9),
              Rng(3, static_cast<uint64_t>(image)).sample(64, 9));
  }
}

TEST(CapiTest, NullIsAnErrorEverywhere) {
  const auto method = method_of("random");
  const auto signals = signals_of(2, 2);
  winnow_plan* made = nullptr;
  ASSERT_EQ(winnow_run(method.get(), signals.get(), 2, 0, &made), WINNOW_OK);
  const Owned<winnow_plan> plan(made);
  winnow_method* new_method = nullptr;
  winnow_method_info info;
  winnow_need need;
  winnow_plan* new_plan = nullptr;
  winnow_plan_view view;
  int32_t count = 0;
  const float one = 1.0F;
  float out[8];
  expect_failure(winnow_method_new(nullptr, &new_method), kBad, {"winnow_method_new", "use", "NULL"});
  expect_failure(winnow_method_new("random", nullptr), kBad, {"method"});
  expect_failure(winnow_method_get_info(nullptr, &info), kBad, {"winnow_method_get_info", "method"});
  expect_failure(winnow_method_get_info(method.get(), nullptr), kBad, {"info"});
  expect_failure(winnow_method_need(nullptr, 0, &need), kBad, {"method"});
  expect_failure(winnow_method_need(method.get(), 0, nullptr), kBad, {"need"});
  expect_failure(winnow_method_fixed_count(nullptr, 1, 1, &count), kBad, {"method"});
  expect_failure(winnow_method_fixed_count(method.get(), 1, 1, nullptr), kBad, {"count"});
  expect_failure(winnow_signals_new(1, 1, nullptr), kBad, {"signals"});
  expect_failure(winnow_signals_set(nullptr, "hidden", 0, &one, 1, 1), kBad, {"signals"});
  expect_failure(winnow_signals_set(signals.get(), nullptr, 0, &one, 1, 1), kBad, {"name"});
  expect_failure(winnow_signals_set(signals.get(), "hidden", 0, nullptr, 1, 1), kBad, {"hidden", "NULL"});
  expect_failure(winnow_signals_set_token_of(nullptr, &count, 1), kBad, {"signals"});
  expect_failure(winnow_signals_set_token_of(signals.get(), nullptr, 1), kBad, {"cells"});
  expect_failure(winnow_signals_set_ids(nullptr, &count, 1), kBad, {"signals"});
  expect_failure(winnow_signals_set_ids(signals.get(), nullptr, 4), kBad, {"ids"});
  expect_failure(winnow_signals_set_text_ids(nullptr, &count, 1), kBad, {"signals"});
  expect_failure(winnow_signals_set_text_ids(signals.get(), nullptr, 4), kBad, {"ids"});
  expect_failure(winnow_signals_set_rope(nullptr, 8, 1.0F), kBad, {"signals"});
  expect_failure(winnow_signals_set_image(nullptr, 0), kBad, {"signals"});
  expect_failure(winnow_run(nullptr, signals.get(), 1, 0, &new_plan), kBad, {"winnow_run", "method"});
  expect_failure(winnow_run(method.get(), nullptr, 1, 0, &new_plan), kBad, {"signals"});
  expect_failure(winnow_run(method.get(), signals.get(), 1, 0, nullptr), kBad, {"plan"});
  expect_failure(winnow_plan_get(nullptr, &view), kBad, {"plan"});
  expect_failure(winnow_plan_get(plan.get(), nullptr), kBad, {"view"});
  expect_failure(winnow_plan_apply(nullptr, out, 4, 1, nullptr, out), kBad, {"plan"});
  expect_failure(winnow_plan_apply(plan.get(), nullptr, 4, 1, nullptr, out), kBad, {"features"});
  expect_failure(winnow_plan_apply(plan.get(), out, 4, 1, nullptr, nullptr), kBad, {"out"});
  winnow_method_free(nullptr);
  winnow_signals_free(nullptr);
  winnow_plan_free(nullptr);
}

TEST(CapiTest, BadMethodsAreNamed) {
  auto* method = reinterpret_cast<winnow_method*>(&winnow_version);  // must not survive a failure
  expect_failure(winnow_method_new("fastvv", &method), WINNOW_NOT_FOUND, {"'fastvv'", "none, random, grid"});
  EXPECT_EQ(method, nullptr);
  expect_failure(winnow_method_new("", &method), WINNOW_NOT_FOUND, {"''"});
  expect_failure(winnow_method_new("balanced:alpha=2", &method), kBad, {"balanced:alpha", "'2'"});
  expect_failure(winnow_method_new("fastv:", &method), kBad, {"fastv", "name=value"});
  expect_failure(winnow_method_new(std::string(100000, 'x').c_str(), &method), WINNOW_NOT_FOUND, {"xxx"});
  winnow_need need;
  for (const int32_t i : {-1, 1, INT32_MAX}) {
    expect_failure(winnow_method_need(method_of("fastv").get(), i, &need), kBad, {"expected 0 to 0"});
  }
  int32_t count = 0;
  expect_failure(winnow_method_fixed_count(method_of("pooling:window=2x2").get(), 0, 3, &count), kBad,
                 {"0x3"});
}

TEST(CapiTest, BadSignalsAreNamed) {
  winnow_signals* none = nullptr;
  for (const int32_t side : {0, -3, 40000, INT32_MAX}) {
    expect_failure(winnow_signals_new(side, 4, &none), kBad, {"token grid"});
    expect_failure(winnow_signals_new(4, side, &none), kBad, {"token grid"});
    EXPECT_EQ(none, nullptr);
  }
  const auto signals = signals_of(2, 3);
  const float values[12] = {};
  expect_failure(winnow_signals_set(signals.get(), "hiden", 0, values, 6, 2), WINNOW_NOT_FOUND, {"'hiden'"});
  for (const auto& [rows, cols] : {std::pair<int64_t, int64_t>{0, 2},
                                   {6, 0},
                                   {-1, -6},
                                   {INT64_MAX, 2},
                                   {INT64_MAX / 2, INT64_MAX / 2},
                                   {INT64_MIN, 1}}) {
    expect_failure(winnow_signals_set(signals.get(), "hidden", 0, values, rows, cols), kBad,
                   {"shape of hidden"});
  }
  const int32_t cells[] = {0, 6, -1};
  expect_failure(winnow_signals_set_token_of(signals.get(), cells, 2), kBad, {"grid index", "got 6"});
  expect_failure(winnow_signals_set_token_of(signals.get(), cells + 2, 1), kBad, {"got -1"});
  expect_failure(winnow_signals_set_token_of(signals.get(), cells, -1), kBad, {"got -1"});
  expect_failure(winnow_signals_set_ids(signals.get(), cells, INT64_MAX), kBad, {"number of ids"});
  expect_failure(winnow_signals_set_rope(signals.get(), 0, 1.0F), kBad, {"rotary"});
  expect_failure(winnow_signals_set_rope(signals.get(), 7, 1.0F), kBad, {"rotary"});
  for (const float base :
       {0.0F, -1.0F, std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()})
    expect_failure(winnow_signals_set_rope(signals.get(), 8, base), kBad, {"rotary"});
  expect_failure(winnow_signals_set_image(signals.get(), -1), kBad, {"image, got -1"});
}

TEST(CapiTest, RunsThatCannotBeAreNamed) {
  const auto fastv = method_of("fastv");
  const auto signals = signals_of(2, 3);
  winnow_plan* plan = nullptr;
  const auto expect_bad = [&](int32_t n_keep, const std::vector<std::string>& parts) {
    expect_failure(winnow_run(fastv.get(), signals.get(), n_keep, 0, &plan), kBad, parts);
    EXPECT_EQ(plan, nullptr);
  };
  expect_bad(2, {"fastv", "no last_text_attention"});
  std::vector<float> rows(12, 0.5F);
  ASSERT_EQ(winnow_signals_set(signals.get(), "last_text_attention", 9, rows.data(), 2, 6), WINNOW_OK);
  for (const int32_t n_keep : {0, -1, -2, 7, INT32_MAX, INT32_MIN})
    expect_bad(n_keep, {"tokens to keep", "1 to 6"});
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
    rows[7] = bad;
    expect_bad(2, {"last_text_attention", "NaN or infinity"});
  }
  rows[7] = 0.5F;
  ASSERT_EQ(winnow_signals_set(signals.get(), "last_text_attention", 0, rows.data(), 6, 2), WINNOW_OK);
  expect_bad(2, {"shape of last_text_attention", "[6, 2]", "[heads, 6]"});
  const int32_t cells[] = {1, 4};
  ASSERT_EQ(winnow_signals_set_token_of(signals.get(), cells, 2), WINNOW_OK);
  ASSERT_EQ(winnow_run(fastv.get(), signals.get(), 1, 0, &plan), WINNOW_OK) << winnow_last_error();
  winnow_plan_free(std::exchange(plan, nullptr));
  const int32_t ids[] = {3, 4, 5};
  ASSERT_EQ(winnow_signals_set_ids(signals.get(), ids, 3), WINNOW_OK);
  expect_bad(1, {"position ids, got 3", "2 tokens"});
}

TEST(CapiTest, WhatAMethodCannotDoIsSaid) {
  const auto pooling = method_of("pooling:window=2x2");
  const auto signals = signals_of(2, 4);
  const int32_t cells[] = {1, 4, 5};
  ASSERT_EQ(winnow_signals_set_token_of(signals.get(), cells, 3), WINNOW_OK);
  winnow_plan* plan = nullptr;
  expect_failure(winnow_run(pooling.get(), signals.get(), 2, 0, &plan), WINNOW_UNSUPPORTED,
                 {"already pruned"});
  for (const char* use : {"resize", "tome"}) {  // the whole model's business
    const auto whole = signals_of(2, 4);
    expect_failure(winnow_run(method_of(use).get(), whole.get(), 4, 0, &plan), WINNOW_UNSUPPORTED,
                   {use, "a run of the whole model"});
  }
}

TEST(CapiTest, ApplyChecksTheShape) {
  const auto pooling = method_of("pooling");
  const auto signals = signals_of(2, 2);
  winnow_plan* raw = nullptr;
  ASSERT_EQ(winnow_run(pooling.get(), signals.get(), 1, 0, &raw), WINNOW_OK);
  const Owned<winnow_plan> plan(raw);
  const float features[] = {1, 10, 2, 20, 3, 30, 6, 60};
  float out[2] = {};
  ASSERT_EQ(winnow_plan_apply(plan.get(), features, 4, 2, nullptr, out), WINNOW_OK);
  EXPECT_EQ(out[0], 3.0F);
  EXPECT_EQ(out[1], 30.0F);
  for (const auto& [n, width] :
       {std::pair<int64_t, int64_t>{3, 2}, {5, 2}, {4, 0}, {4, -1}, {4, INT64_MAX}}) {
    expect_failure(winnow_plan_apply(plan.get(), features, n, width, nullptr, out), kBad,
                   {"expected [4, width]"});
  }
}

TEST(CapiTest, ErrorTextsBelongToTheirThread) {
  winnow_method* method = nullptr;
  expect_failure(winnow_method_new("first", &method), WINNOW_NOT_FOUND, {"'first'"});
  std::thread other([] {
    EXPECT_STREQ(winnow_last_error(), "");
    winnow_method* none = nullptr;
    expect_failure(winnow_method_new("second", &none), WINNOW_NOT_FOUND, {"'second'"});
  });
  other.join();
  EXPECT_NE(std::string(winnow_last_error()).find("'first'"), std::string::npos);
}

TEST(CapiTest, OneMethodServesManyThreads) {
  const OwnedSignals owned = random_signals({6, 6}, 4);
  const auto method = method_of("balanced");
  const auto signals = signals_of(owned, "balanced");
  std::vector<std::vector<int32_t>> kept(4);
  std::vector<std::thread> threads;
  for (auto& mine : kept) {
    threads.emplace_back([&] {
      for (int round = 0; round < 50; ++round) {
        winnow_plan* raw = nullptr;
        ASSERT_EQ(winnow_run(method.get(), signals.get(), 9, 0, &raw), WINNOW_OK);
        const Owned<winnow_plan> plan(raw);
        winnow_plan_view view;
        ASSERT_EQ(winnow_plan_get(plan.get(), &view), WINNOW_OK);
        mine.assign(view.index, view.index + view.n_out);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& mine : kept) EXPECT_EQ(mine, kept.front());
  EXPECT_EQ(kept.front().size(), 9U);
}

}  // namespace
}  // namespace winnow
