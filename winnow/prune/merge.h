#pragma once

#include <vector>

#include "winnow/prune/plan.h"

namespace winnow::prune {

/// A merge inside the tower. The plan is over the t rows that went in ([CLS] among them, if the tower has
/// one); sizes says how many patches each output stands for.
struct Merge {
  Plan plan;
  std::vector<float> sizes;  // [plan.n_out()]
};

}  // namespace winnow::prune
