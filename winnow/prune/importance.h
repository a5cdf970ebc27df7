#pragma once

// Where a method after the tower takes the importance of a token from: its parameter `importance`.
//   cls     attention of the tower's [CLS] token, mean over heads
//   column  attention received from all patches, mean over queries and heads: for towers without [CLS]
//   l2      length of the projected feature
//   text    cosine of the projected feature with the mean embedding of the text
// Both attentions are those of the block whose output the projector reads.

#include <string>
#include <string_view>
#include <vector>

#include "winnow/prune/method.h"

namespace winnow::prune {

/// [CLS] attention of the block whose output the projector reads.
inline constexpr Need kFeatureAttention{Signal::ClsAttention, kFeatureBlock};

/// The parameter with these sources to choose from, the first of them its default.
ParamSpec importance_param(std::vector<std::string> sources);

/// Adds the signals that the source reads to needs, unless they are there already.
void add_importance_needs(std::string_view source, std::vector<Need>& needs);

/// Importance of every token, [n]. Finite for finite signals.
std::vector<float> importance_of(const Signals& signals, std::string_view source);

}  // namespace winnow::prune
