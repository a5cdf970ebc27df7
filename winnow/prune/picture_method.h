#pragma once

// The contract of a method that acts on the picture: the tower reads a smaller one, so that everything from
// the tower on has fewer tokens. There are no signals yet, so it selects nothing.

#include <cstdint>
#include <vector>

#include "winnow/prune/method.h"

namespace winnow::prune {

class PictureMethod : public Method {
 public:
  std::vector<Need> needs(const Params&) const override { return {}; }
  /// Layout of the smaller picture's visual tokens. full: of the picture as the model reads it; n_keep:
  /// tokens that may remain at most, 1 to full.size(). Throws InvalidArgument for another count, and for a
  /// count or grid that contradicts the parameters.
  virtual Grid grid(const Grid& full, int32_t n_keep, const Params& params) const = 0;
  /// Throws Unsupported.
  Plan select(const Signals& signals, int32_t n_keep, const Params& params, Rng& rng) const final;
};

/// The method as what it is; nullptr for one that does not act on the picture.
const PictureMethod* as_picture_method(const MethodUse& use);

}  // namespace winnow::prune
