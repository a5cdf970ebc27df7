#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "winnow/base/view.h"

namespace winnow::prune {

/// What each output token is: a weighted set of input tokens (compressed rows). Selection, pooling, merging
/// and recycling all have this shape; pure selection is one entry of weight 1 per output.
struct Plan {
  std::vector<int32_t> offsets{0};   // [n_out + 1]
  std::vector<int32_t> index;        // [offsets.back()] input tokens, 0-based inside the image
  std::vector<float> weight;         // [offsets.back()]
  std::vector<int32_t> position_of;  // [n_out] the input token whose position the output takes
  std::vector<float> scores;         // [n_in], or empty when the method ranks nothing

  int32_t n_out() const { return static_cast<int32_t>(position_of.size()); }
  std::span<const int32_t> sources(int32_t out) const;
  std::span<const float> weights(int32_t out) const;
  /// True when every output is one input of weight 1.
  bool is_selection() const;

  /// Appends an output that is exactly input `token`.
  void add_kept(int32_t token);
  /// Appends an output that is sum_i weights[i] * input[sources[i]], at the position of input `position`.
  void add_merged(std::span<const int32_t> sources, std::span<const float> weights, int32_t position);
};

/// All n tokens, unchanged and in order.
Plan identity_plan(int32_t n);
/// The given tokens, in the given order.
Plan selection_plan(std::span<const int32_t> kept);

/// What `then` makes of the outputs of `first`, as one plan over the inputs of `first`: sources of sources,
/// their weights multiplied and those of one input added. then's inputs are first's outputs. Without scores.
Plan compose_plans(const Plan& first, const Plan& then);

/// The output vectors: row o is the weighted sum of the plan's sources among features [n, width], in their
/// order; a single source of weight 1 is copied. cls_token [width] or empty: input n, where the plan names
/// it. Returns [n_out * width]. Throws InvalidArgument when the plan names an input that is not there.
std::vector<float> apply_plan(const Plan& plan, const MatrixView& features,
                              std::span<const float> cls_token = {});

}  // namespace winnow::prune
