#include "winnow/prune/signals.h"

#include <algorithm>

namespace winnow::prune {
namespace {

/// Where a tower signal stands in the tap of its block.
MatrixView TowerTap::*tap_place_of(Signal signal) {
  if (signal == Signal::ClsAttention) return &TowerTap::cls_attention;
  if (signal == Signal::WideClsAttention) return &TowerTap::wide_cls_attention;
  if (signal == Signal::ColumnAttention) return &TowerTap::column_attention;
  return &TowerTap::keys;
}

/// Where any other signal stands.
MatrixView Signals::*place_of(Signal signal) {
  switch (signal) {
    case Signal::Projected: return &Signals::projected;
    case Signal::ClsToken: return &Signals::cls_token;
    case Signal::Tower: return &Signals::tower;
    case Signal::ClipImage: return &Signals::clip_image;
    case Signal::ClipText: return &Signals::clip_text;
    case Signal::TextEmbeds: return &Signals::text_embeds;
    case Signal::InputEmbeds: return &Signals::input_embeds;
    case Signal::Hidden: return &Signals::hidden;
    case Signal::HiddenLast: return &Signals::hidden_last;
    case Signal::PreviousHidden: return &Signals::previous_hidden;
    case Signal::HiddenNormed: return &Signals::hidden_normed;
    case Signal::TextNormed: return &Signals::text_normed;
    case Signal::LayerKeys: return &Signals::layer_keys;
    case Signal::TextKeys: return &Signals::text_keys;
    case Signal::LastTextAttention: return &Signals::last_text_attention;
    case Signal::LastVisualAttention: return &Signals::last_visual_attention;
    case Signal::TextAttention: return &Signals::text_attention;
    case Signal::NextAttention: return &Signals::next_attention;
    case Signal::ClsAttention:
    case Signal::WideClsAttention:
    case Signal::ColumnAttention:
    case Signal::TowerKeys: break;
  }
  return &Signals::projected;  // tower signals have their taps
}

}  // namespace

std::string_view signal_name(Signal signal) {
  switch (signal) {
    case Signal::Projected: return "projected";
    case Signal::ClsToken: return "cls_token";
    case Signal::Tower: return "tower";
    case Signal::ClsAttention: return "cls_attention";
    case Signal::WideClsAttention: return "wide_cls_attention";
    case Signal::ColumnAttention: return "column_attention";
    case Signal::TowerKeys: return "tower_keys";
    case Signal::ClipImage: return "clip_image";
    case Signal::ClipText: return "clip_text";
    case Signal::TextEmbeds: return "text_embeds";
    case Signal::InputEmbeds: return "input_embeds";
    case Signal::Hidden: return "hidden";
    case Signal::HiddenLast: return "hidden_last";
    case Signal::PreviousHidden: return "previous_hidden";
    case Signal::HiddenNormed: return "hidden_normed";
    case Signal::TextNormed: return "text_normed";
    case Signal::LayerKeys: return "layer_keys";
    case Signal::TextKeys: return "text_keys";
    case Signal::LastTextAttention: return "last_text_attention";
    case Signal::LastVisualAttention: return "last_visual_attention";
    case Signal::TextAttention: return "text_attention";
    case Signal::NextAttention: return "next_attention";
  }
  return "unknown";
}

std::optional<Signal> find_signal(std::string_view name) {
  for (int32_t i = 0; i <= static_cast<int32_t>(kLastSignal); ++i) {
    if (signal_name(static_cast<Signal>(i)) == name) return static_cast<Signal>(i);
  }
  return std::nullopt;
}

SignalShape signal_shape(Signal signal) {
  switch (signal) {
    case Signal::ClsAttention:
    case Signal::ColumnAttention:
    case Signal::LastTextAttention:
    case Signal::LastVisualAttention:
    case Signal::TextAttention:
    case Signal::NextAttention: return SignalShape::PerHead;
    case Signal::WideClsAttention: return SignalShape::OneRow;
    case Signal::ClsToken:
    case Signal::HiddenLast: return SignalShape::OneVector;
    case Signal::ClipText:
    case Signal::TextEmbeds:
    case Signal::TextNormed:
    case Signal::TextKeys: return SignalShape::Text;
    case Signal::InputEmbeds: return SignalShape::AllTokens;
    case Signal::Projected:
    case Signal::Tower:
    case Signal::TowerKeys:
    case Signal::ClipImage:
    case Signal::Hidden:
    case Signal::PreviousHidden:
    case Signal::HiddenNormed:
    case Signal::LayerKeys: break;
  }
  return SignalShape::PerToken;
}

bool is_tower_tap(Signal signal) {
  return signal == Signal::ClsAttention || signal == Signal::WideClsAttention ||
         signal == Signal::ColumnAttention || signal == Signal::TowerKeys;
}

bool is_decoder_signal(Signal signal) {
  switch (signal) {
    case Signal::InputEmbeds:
    case Signal::Hidden:
    case Signal::HiddenLast:
    case Signal::PreviousHidden:
    case Signal::HiddenNormed:
    case Signal::TextNormed:
    case Signal::LayerKeys:
    case Signal::TextKeys:
    case Signal::LastTextAttention:
    case Signal::LastVisualAttention:
    case Signal::TextAttention:
    case Signal::NextAttention: return true;
    case Signal::Projected:
    case Signal::ClsToken:
    case Signal::Tower:
    case Signal::ClsAttention:
    case Signal::WideClsAttention:
    case Signal::ColumnAttention:
    case Signal::TowerKeys:
    case Signal::ClipImage:
    case Signal::ClipText:
    case Signal::TextEmbeds: break;
  }
  return false;
}

int32_t resolve_block(int32_t block, int32_t n_block) {
  if (block == kNextBlock) return n_block;
  if (block >= 0) return block;
  const int64_t n = n_block;
  const int64_t permille = -1000 - int64_t{block};  // of all blocks, the one behind the features among them
  const int64_t index = permille < 0 ? n + block : (permille * (n + 1) + 500) / 1000 - 1;
  return static_cast<int32_t>(std::clamp<int64_t>(index, INT32_MIN, INT32_MAX));
}

MatrixView Signals::view(const Need& need) const {
  if (!is_tower_tap(need.signal)) return this->*place_of(need.signal);
  for (const TowerTap& tap : tower_taps) {
    if (tap.block == need.block) return tap.*tap_place_of(need.signal);
  }
  return {};
}

void Signals::set(const Need& need, const MatrixView& values) {
  if (!is_tower_tap(need.signal)) {
    this->*place_of(need.signal) = values;
    return;
  }
  auto tap = tower_taps.begin();
  while (tap != tower_taps.end() && tap->block != need.block) ++tap;
  if (tap == tower_taps.end()) {
    tap = tower_taps.emplace(tap);
    tap->block = need.block;
  }
  (*tap).*tap_place_of(need.signal) = values;
}

}  // namespace winnow::prune
