#include "winnow/prune/signals.h"

#include <gtest/gtest.h>

#include <array>
#include <set>

namespace winnow::prune {
namespace {

constexpr std::array kAll{
    Signal::Projected,          Signal::Tower,  Signal::ClsAttention, Signal::ColumnAttention,
    Signal::TowerKeys,          Signal::Hidden, Signal::HiddenLast,   Signal::LastTextAttention,
    Signal::LastVisualAttention};

TEST(SignalsTest, EverySignalHasItsOwnName) {
  std::set<std::string_view> names;
  for (const Signal signal : kAll) names.insert(signal_name(signal));
  EXPECT_EQ(names.size(), kAll.size());
  EXPECT_EQ(signal_name(Signal::ClsAttention), "cls_attention");
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
