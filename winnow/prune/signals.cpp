#include "winnow/prune/signals.h"

namespace winnow::prune {

std::string_view signal_name(Signal signal) {
  switch (signal) {
    case Signal::Projected: return "projected";
    case Signal::Tower: return "tower";
    case Signal::ClsAttention: return "cls_attention";
    case Signal::ColumnAttention: return "column_attention";
    case Signal::TowerKeys: return "tower_keys";
    case Signal::Hidden: return "hidden";
    case Signal::HiddenLast: return "hidden_last";
    case Signal::LastTextAttention: return "last_text_attention";
    case Signal::LastVisualAttention: return "last_visual_attention";
  }
  return "unknown";
}

MatrixView Signals::view(const Need& need) const {
  switch (need.signal) {
    case Signal::Projected: return projected;
    case Signal::Tower: return tower;
    case Signal::Hidden: return hidden;
    case Signal::HiddenLast: return hidden_last;
    case Signal::LastTextAttention: return last_text_attention;
    case Signal::LastVisualAttention: return last_visual_attention;
    case Signal::ClsAttention:
    case Signal::ColumnAttention:
    case Signal::TowerKeys: break;
  }
  for (const TowerTap& tap : tower_taps) {
    if (tap.block != need.block) continue;
    if (need.signal == Signal::ClsAttention) return tap.cls_attention;
    if (need.signal == Signal::ColumnAttention) return tap.column_attention;
    return tap.keys;
  }
  return {};
}

}  // namespace winnow::prune
