#include "winnow/prune/signals.h"

namespace winnow::prune {

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
  if (block > -1000) return n_block + block;
  const int32_t permille = -1000 - block;  // of all blocks, the one behind the features among them
  return (permille * (n_block + 1) + 500) / 1000 - 1;
}

MatrixView Signals::view(const Need& need) const {
  switch (need.signal) {
    case Signal::Projected: return projected;
    case Signal::ClsToken: return cls_token;
    case Signal::Tower: return tower;
    case Signal::ClipImage: return clip_image;
    case Signal::ClipText: return clip_text;
    case Signal::TextEmbeds: return text_embeds;
    case Signal::InputEmbeds: return input_embeds;
    case Signal::Hidden: return hidden;
    case Signal::HiddenLast: return hidden_last;
    case Signal::PreviousHidden: return previous_hidden;
    case Signal::HiddenNormed: return hidden_normed;
    case Signal::TextNormed: return text_normed;
    case Signal::LayerKeys: return layer_keys;
    case Signal::TextKeys: return text_keys;
    case Signal::LastTextAttention: return last_text_attention;
    case Signal::LastVisualAttention: return last_visual_attention;
    case Signal::TextAttention: return text_attention;
    case Signal::NextAttention: return next_attention;
    case Signal::ClsAttention:
    case Signal::WideClsAttention:
    case Signal::ColumnAttention:
    case Signal::TowerKeys: break;
  }
  for (const TowerTap& tap : tower_taps) {
    if (tap.block != need.block) continue;
    if (need.signal == Signal::ClsAttention) return tap.cls_attention;
    if (need.signal == Signal::WideClsAttention) return tap.wide_cls_attention;
    if (need.signal == Signal::ColumnAttention) return tap.column_attention;
    return tap.keys;
  }
  return {};
}

}  // namespace winnow::prune
