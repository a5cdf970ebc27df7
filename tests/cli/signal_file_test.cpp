#include "winnow/cli/signal_file.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "tests/prune/expect_error.h"
#include "tests/prune/random_signals.h"

namespace winnow::cli {
namespace {

using prune::kFeatureBlock;
using prune::Need;
using prune::Signal;
using prune::Signals;
using prune::test::expect_error;
using prune::test::OwnedSignals;
using prune::test::random_signals;

constexpr int32_t kBlocks = 24;

std::vector<Need> every_need(const std::vector<int32_t>& blocks = {kFeatureBlock}) {
  std::vector<Need> needs;
  for (int32_t i = 0; i <= static_cast<int32_t>(prune::kLastSignal); ++i) {
    const auto signal = static_cast<Signal>(i);
    for (const int32_t block : blocks) {
      if (block == kFeatureBlock || prune::is_tower_tap(signal)) needs.push_back({signal, block});
    }
  }
  return needs;
}

record::TensorFile file_of(const OwnedSignals& owned, const std::vector<Need>& needs) {
  return signal_tensors(owned.view(needs), kBlocks);
}

record::TensorFile small_file() { return file_of(random_signals({2, 3}, 1), every_need()); }

/// A method that reads what the test says.
class Reader final : public prune::Method {
 public:
  explicit Reader(std::vector<Need> needs) : needs_(std::move(needs)) {}
  const prune::MethodInfo& info() const override { return info_; }
  std::vector<Need> needs(const prune::Params&) const override { return needs_; }
  prune::Plan select(const Signals&, int32_t n_keep, const prune::Params&, Rng&) const override {
    return prune::identity_plan(n_keep);
  }

 private:
  std::vector<Need> needs_;
  prune::MethodInfo info_{.name = "reader", .summary = "", .paper = ""};
};

Signals read_needs(const SignalFile& file, const std::vector<Need>& needs) {
  const Reader reader(needs);
  return file.for_method({&reader, {}});
}

void expect_same(const MatrixView& a, const MatrixView& b, std::string_view what) {
  ASSERT_TRUE(a.present() && b.present()) << what;
  ASSERT_EQ(a.rows, b.rows) << what;
  ASSERT_EQ(a.cols, b.cols) << what;
  for (int64_t i = 0; i < a.size(); ++i) ASSERT_EQ(a.data[i], b.data[i]) << what << " " << i;
}

TEST(SignalFileTest, EverySignalComesBack) {
  const std::vector<Need> needs =
      every_need({kFeatureBlock, -2, 0, prune::kNextBlock, prune::block_at(9, kBlocks)});
  for (const std::vector<int32_t>& token_of : {std::vector<int32_t>{}, std::vector<int32_t>{0, 2, 5, 7}}) {
    const OwnedSignals owned = random_signals({3, 3}, 2, token_of);
    const Signals given = owned.view(needs);
    const std::string path = testing::TempDir() + "winnow_signals.safetensors";
    record::TensorFile written = signal_tensors(given, kBlocks);
    written.metadata["image"] = "3";
    if (token_of.empty()) written.metadata["tile"] = "2";
    record::write_safetensors(written, path);
    const SignalFile file = SignalFile::read(path);
    const Signals back = read_needs(file, needs);
    EXPECT_EQ(back.grid.rows, 3);
    EXPECT_EQ(back.grid.cols, 3);
    EXPECT_EQ(back.token_of, given.token_of);
    EXPECT_EQ(back.ids, given.ids);
    EXPECT_EQ(back.text_ids, given.text_ids);
    EXPECT_EQ(back.rope.d_head, given.rope.d_head);
    EXPECT_EQ(back.rope.base, given.rope.base);
    EXPECT_EQ(file.image(), 3);
    EXPECT_EQ(file.tile(), token_of.empty() ? 2 : -1);
    EXPECT_EQ(file.n(), given.n());
    for (const Need& need : needs)
      expect_same(back.view(need), given.view(need), prune::signal_name(need.signal));
  }
}

TEST(SignalFileTest, TensorsOfTowerBlocksAreNumbered) {
  const std::vector<Need> needs = {{Signal::ClsAttention},
                                   {Signal::ClsAttention, prune::kNextBlock},
                                   {Signal::ColumnAttention, prune::block_at(9, kBlocks)},
                                   {Signal::TowerKeys, -3}};
  const record::TensorFile file = file_of(random_signals({2, 3}, 1), needs);
  for (const char* name : {"cls_attention", "cls_attention.block=24", "column_attention.block=8",
                           "tower_keys.block=21", "n_block"}) {
    EXPECT_EQ(file.tensors.count(name), 1U) << name;
  }
  EXPECT_EQ(file.metadata.at("winnow_signals"), "1");
}

TEST(SignalFileTest, BlocksAreFoundByAnyOfTheirNames) {
  record::TensorFile tensors;
  tensors.metadata["winnow_signals"] = "1";
  tensors.add_i32("grid", {2}, {1, 2});
  tensors.add_f32("cls_attention.block=-2", {1, 2}, {1, 2});
  tensors.add_f32("column_attention.block=23", {1, 2}, {3, 4});
  {
    const SignalFile without(tensors, "f");
    EXPECT_EQ(read_needs(without, {{Signal::ClsAttention, -2}}).tower_taps.size(), 1U);
    expect_error(ErrorCode::NotFound,
                 {"f", "reader needs column_attention, the file holds cls_attention.block=-2"},
                 [&] { read_needs(without, {{Signal::ColumnAttention}}); });
    expect_error(ErrorCode::NotFound, {"column_attention of a block", "holds no n_block"}, [&] {
      read_needs(without, {{Signal::ColumnAttention, prune::kNextBlock}});
    });
  }
  tensors.add_i32("n_block", {1}, {kBlocks});
  const SignalFile with(tensors, "f");
  EXPECT_EQ(read_needs(with, {{Signal::ClsAttention, 22}}).view({Signal::ClsAttention, 22}).data[1], 2.0F);
  EXPECT_EQ(read_needs(with, {{Signal::ColumnAttention}}).view({Signal::ColumnAttention}).data[1], 4.0F);
  tensors.add_f32("column_attention", {1, 2}, {3, 4});
  expect_error(ErrorCode::InvalidArgument, {"column_attention.block=23", "are the same signal"},
               [&] { SignalFile(tensors, "f"); });
}

TEST(SignalFileTest, AMissingSignalIsNamed) {
  const SignalFile file(file_of(random_signals({2, 3}, 1), {{Signal::Hidden}, {Signal::HiddenLast}}),
                        "some.file");
  expect_error(ErrorCode::NotFound,
               {"some.file: fastv needs last_text_attention, the file holds hidden, hidden_last"},
               [&] { file.for_method(prune::parse_method("fastv")); });
  const SignalFile empty(file_of(random_signals({2, 3}, 1), {}), "f");
  expect_error(ErrorCode::NotFound, {"holds no signals"},
               [&] { empty.for_method(prune::parse_method("fastv")); });
  EXPECT_NO_THROW(empty.for_method(prune::parse_method("random")));
}

TEST(SignalFileTest, OtherTensorsAreLeftAlone) {
  record::TensorFile tensors = small_file();
  tensors.add_f32("my notes", {1, 1, 1}, {1});
  tensors.add_i32("labels.block=x", {2}, {1, 2});
  EXPECT_NO_THROW(SignalFile(tensors, "f"));
}

TEST(SignalFileTest, BadFilesAreNamed) {
  const auto expect_bad = [](ErrorCode code, const std::vector<std::string>& parts, const auto& change) {
    record::TensorFile tensors = small_file();
    change(tensors);
    expect_error(code, parts, [&] { SignalFile(tensors, "f"); });
  };
  const auto put_i32 = [](const char* name, std::vector<int64_t> shape, std::vector<int32_t> values) {
    return [=](record::TensorFile& file) {
      file.tensors.erase(name);
      file.add_i32(name, shape, values);
    };
  };
  const auto put_f32 = [](const char* name, std::vector<int64_t> shape, std::vector<float> values) {
    return [=](record::TensorFile& file) {
      file.tensors.erase(name);
      file.add_f32(name, shape, values);
    };
  };
  constexpr auto kBad = ErrorCode::InvalidArgument;
  expect_bad(kBad, {"no signal file", "winnow_signals"}, [](record::TensorFile& f) { f.metadata.clear(); });
  expect_bad(ErrorCode::Unsupported, {"winnow_signals", "got '2', expected 1"},
             [](record::TensorFile& f) { f.metadata["winnow_signals"] = "2"; });
  for (const char* image : {"", "one", "-1", "1.5", "99999999999"}) {
    expect_bad(kBad, {"metadata 'image'", image},
               [&](record::TensorFile& f) { f.metadata["image"] = image; });
    expect_bad(kBad, {"metadata 'tile'", image}, [&](record::TensorFile& f) { f.metadata["tile"] = image; });
  }
  expect_bad(kBad, {"f: tensor grid, got nothing"}, [](record::TensorFile& f) { f.tensors.erase("grid"); });
  expect_bad(kBad, {"tensor grid, got [3] of integers"}, put_i32("grid", {3}, {1, 2, 3}));
  expect_bad(kBad, {"tensor grid, got [1, 2] of integers"}, put_i32("grid", {1, 2}, {1, 2}));
  expect_bad(kBad, {"tensor grid, got [2] of floats"}, put_f32("grid", {2}, {1, 2}));
  expect_bad(kBad, {"token grid, got 0x5"}, put_i32("grid", {2}, {0, 5}));
  expect_bad(kBad, {"token grid, got 2000000000x2000000000"}, put_i32("grid", {2}, {2000000000, 2000000000}));
  expect_bad(kBad, {"grid index", "got 6"}, put_i32("token_of", {2}, {0, 6}));
  expect_bad(kBad, {"tensor token_of"}, put_i32("token_of", {2, 1}, {0, 5}));
  expect_bad(kBad, {"position ids, got 2"}, put_i32("ids", {2}, {0, 5}));
  expect_bad(kBad, {"tensor text_ids"}, put_f32("text_ids", {2}, {0, 5}));
  expect_bad(kBad, {"tensor n_block"}, put_i32("n_block", {1}, {0}));
  expect_bad(kBad, {"tensor n_block"}, put_i32("n_block", {2}, {1, 2}));
  expect_bad(kBad, {"tensor rope"}, put_f32("rope", {1}, {64}));
  expect_bad(kBad, {"tensor rope"}, put_f32("rope", {2}, {std::numeric_limits<float>::quiet_NaN(), 10000}));
  expect_bad(kBad, {"tensor rope"}, put_f32("rope", {2}, {1e20F, 10000}));
  expect_bad(kBad, {"tensor hidden, got [6] of floats"}, put_f32("hidden", {6}, {1, 2, 3, 4, 5, 6}));
  expect_bad(kBad, {"tensor hidden, got [6, 0]"}, put_f32("hidden", {6, 0}, {}));
  expect_bad(kBad, {"tensor hidden, got [6, 1] of integers"}, put_i32("hidden", {6, 1}, {1, 2, 3, 4, 5, 6}));
  expect_bad(kBad, {"hidden.block=2", "of a tower block only"}, put_f32("hidden.block=2", {1, 1}, {1}));
  for (const char* name : {"tower_keys.block=", "tower_keys.block=two", "tower_keys.block=1.0"}) {
    expect_bad(kBad, {name, "a number"}, put_f32(name, {1, 1}, {1}));
  }
}

TEST(SignalFileTest, ThePlanIsWrittenWhole) {
  const OwnedSignals owned = random_signals({2, 3}, 1, {0, 2, 5}, 2);
  const Signals signals = owned.view({{Signal::Hidden}});
  prune::Plan plan;
  plan.add_kept(1);
  plan.add_merged(std::vector<int32_t>{0, 2}, std::vector<float>{0.25F, 0.75F}, 2);
  plan.scores = {1, 2, 3};
  const record::TensorFile file = plan_tensors(plan, signals, signals.hidden, {});
  EXPECT_EQ(file.at("grid").i32, (std::vector<int32_t>{2, 3}));
  EXPECT_EQ(file.at("kept").i32, (std::vector<int32_t>{2, 5}));
  EXPECT_EQ(file.at("position_of").i32, (std::vector<int32_t>{1, 2}));
  EXPECT_EQ(file.at("offsets").i32, (std::vector<int32_t>{0, 1, 3}));
  EXPECT_EQ(file.at("index").i32, (std::vector<int32_t>{1, 0, 2}));
  EXPECT_EQ(file.at("weight").f32, (std::vector<float>{1, 0.25F, 0.75F}));
  EXPECT_EQ(file.at("scores").f32, plan.scores);
  EXPECT_EQ(file.at("merged").shape, (std::vector<int64_t>{2, 2}));
  EXPECT_EQ(file.at("merged").f32[3], 0.25F * signals.hidden(0, 1) + 0.75F * signals.hidden(2, 1));
  EXPECT_EQ(plan_tensors(plan, signals, {}, {}).tensors.count("merged"), 0U);
  expect_error(ErrorCode::InvalidArgument, {"features", "got [2, 2]", "[3, width]"}, [&] {
    plan_tensors(plan, signals, {signals.hidden.data, 2, 2}, {});
  });
}

/// Tensors of random names, types and shapes are a signal file or an Error, and what a method makes of it
/// too.
TEST(SignalFileTest, RandomTensorsNeverBreakIt) {
  Rng rng(3);
  const std::vector<std::string> extra = {"cls_attention.block=3",
                                          "tower_keys.block=-1",
                                          "hidden.block=1",
                                          "token_of",
                                          "ids",
                                          "text_ids",
                                          "rope",
                                          "n_block",
                                          "grid"};
  int n_good = 0;
  for (int round = 0; round < 3000; ++round) {
    const prune::Grid grid{static_cast<int32_t>(1 + rng.below(4)), static_cast<int32_t>(1 + rng.below(4))};
    record::TensorFile file = file_of(random_signals(grid, rng.next(), {}, 3, 2), every_need());
    for (uint64_t change = rng.below(3); change > 0; --change) {
      std::string name = extra[rng.below(extra.size())];
      if (rng.below(2) == 0)
        name = std::next(file.tensors.begin(), static_cast<int64_t>(rng.below(file.tensors.size())))->first;
      std::vector<int64_t> shape(rng.below(4));
      std::size_t size = 1;
      for (int64_t& dim : shape) size *= static_cast<std::size_t>(dim = static_cast<int64_t>(rng.below(5)));
      file.tensors.erase(name);
      if (rng.below(2) == 0) {
        file.add_f32(name, shape, std::vector<float>(size, static_cast<float>(rng.normal())));
      } else {
        file.add_i32(name, shape, std::vector<int32_t>(size, static_cast<int32_t>(rng.below(9)) - 2));
      }
    }
    const prune::Method* method = prune::selecting_methods()[rng.below(prune::selecting_methods().size())];
    try {
      const prune::MethodUse use = prune::parse_method(method->info().name);
      const SignalFile read(file, "f");
      const Signals signals = read.for_method(use);
      const prune::Plan plan = prune::run_method(use, signals, std::min(signals.n(), 2), rng);
      plan_tensors(plan, signals, read.view(Signal::Hidden), {});
      ++n_good;
    } catch (const Error& error) {
      ASSERT_NE(error.code(), ErrorCode::Internal) << error.what();
    }
  }
  EXPECT_GT(n_good, 300);
}

}  // namespace
}  // namespace winnow::cli
