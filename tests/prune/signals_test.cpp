#include "winnow/prune/signals.h"

#include <gtest/gtest.h>

#include <array>
#include <set>
#include <vector>

namespace winnow::prune {
namespace {

std::vector<Signal> all_signals() {
  std::vector<Signal> all;
  for (int32_t i = 0; i <= static_cast<int32_t>(kLastSignal); ++i) all.push_back(static_cast<Signal>(i));
  return all;
}

TEST(SignalsTest, EverySignalHasItsOwnName) {
  std::set<std::string_view> names;
  for (const Signal signal : all_signals()) {
    names.insert(signal_name(signal));
    EXPECT_EQ(find_signal(signal_name(signal)), signal);
  }
  EXPECT_EQ(names.size(), all_signals().size());
  EXPECT_EQ(signal_name(Signal::ClsAttention), "cls_attention");
  EXPECT_EQ(signal_name(static_cast<Signal>(static_cast<int32_t>(kLastSignal) + 1)), "unknown")
      << "kLastSignal is not the last";
  EXPECT_FALSE(find_signal("unknown").has_value());
  EXPECT_FALSE(find_signal("").has_value());
}

TEST(SignalsTest, WhatIsSetIsSeen) {
  std::vector<float> store(2 * all_signals().size());
  Signals signals;
  std::size_t i = 0;
  for (const int32_t block : {kFeatureBlock, 3}) {
    for (const Signal signal : all_signals()) {
      if (block == kFeatureBlock || is_tower_tap(signal)) signals.set({signal, block}, {&store[i++], 1, 1});
    }
  }
  i = 0;
  for (const int32_t block : {kFeatureBlock, 3}) {
    for (const Signal signal : all_signals()) {
      if (block != kFeatureBlock && !is_tower_tap(signal)) continue;
      EXPECT_EQ(signals.view({signal, block}).data, &store[i++]) << signal_name(signal) << " " << block;
    }
  }
  EXPECT_EQ(signals.tower_taps.size(), 2U);
  signals.set({Signal::Hidden}, {store.data(), 2, 1});
  EXPECT_EQ(signals.hidden.rows, 2);
}

TEST(SignalsTest, BlocksOfATowerWhoseProjectorReadsBlock22) {
  EXPECT_EQ(resolve_block(kFeatureBlock, 23), 22);
  EXPECT_EQ(resolve_block(-2, 23), 21);
  EXPECT_EQ(resolve_block(7, 23), 7);
  EXPECT_EQ(resolve_block(kNextBlock, 23), 23);
  EXPECT_EQ(resolve_block(block_at(9, 24), 23), 8);
  EXPECT_EQ(resolve_block(block_at(24, 24), 23), 23);
  EXPECT_LT(resolve_block(-30, 23), 0);
  EXPECT_EQ(resolve_block(INT32_MIN, INT32_MAX), INT32_MAX);  // nonsense stays a number
  EXPECT_EQ(resolve_block(-999, INT32_MIN), INT32_MIN);
}

TEST(SignalsTest, ViewFindsTheRightMatrix) {
  std::array<float, 9> store{};
  const auto at = [&](std::size_t i) { return MatrixView{&store[i], 1, 1}; };
  Signals signals;
  signals.projected = at(0);
  signals.tower = at(1);
  signals.hidden = at(2);
  signals.hidden_last = at(3);
  signals.last_text_attention = at(4);
  signals.last_visual_attention = at(5);
  signals.tower_taps = {
      {.block = 3, .cls_attention = at(6), .column_attention = {}, .keys = {}},
      {.block = kFeatureBlock, .cls_attention = {}, .column_attention = at(7), .keys = at(8)}};
  EXPECT_EQ(signals.view({Signal::Projected}).data, &store[0]);
  EXPECT_EQ(signals.view({Signal::Tower}).data, &store[1]);
  EXPECT_EQ(signals.view({Signal::Hidden}).data, &store[2]);
  EXPECT_EQ(signals.view({Signal::HiddenLast}).data, &store[3]);
  EXPECT_EQ(signals.view({Signal::LastTextAttention}).data, &store[4]);
  EXPECT_EQ(signals.view({Signal::LastVisualAttention}).data, &store[5]);
  EXPECT_EQ(signals.view({Signal::ClsAttention, 3}).data, &store[6]);
  EXPECT_EQ(signals.view({Signal::ColumnAttention}).data, &store[7]);
  EXPECT_EQ(signals.view({Signal::TowerKeys, kFeatureBlock}).data, &store[8]);
  EXPECT_FALSE(signals.view({Signal::ClsAttention}).present());
  EXPECT_FALSE(signals.view({Signal::TowerKeys, 5}).present());
}

TEST(SignalsTest, OnlyTheDecodersOwnNeedIt) {
  for (const Signal signal : {Signal::InputEmbeds, Signal::Hidden, Signal::HiddenLast, Signal::TextKeys,
                              Signal::LastTextAttention, Signal::TextAttention, Signal::NextAttention}) {
    EXPECT_TRUE(is_decoder_signal(signal)) << signal_name(signal);
  }
  for (const Signal signal :
       {Signal::Projected, Signal::ClsToken, Signal::Tower, Signal::ClsAttention, Signal::ColumnAttention,
        Signal::TowerKeys, Signal::ClipText, Signal::TextEmbeds}) {
    EXPECT_FALSE(is_decoder_signal(signal)) << signal_name(signal);
  }
}

TEST(SignalsTest, CountAndCellsOfAPrunedImage) {
  Signals signals;
  signals.grid = {2, 3};
  EXPECT_EQ(signals.n(), 6);
  EXPECT_EQ(signals.cell(4), 4);
  signals.token_of = {1, 5};
  EXPECT_EQ(signals.n(), 2);
  EXPECT_EQ(signals.cell(1), 5);
}

}  // namespace
}  // namespace winnow::prune
