#include "winnow/prune/tower_method.h"

#include "winnow/base/error.h"

namespace winnow::prune {

Plan TowerMethod::select(const Signals&, int32_t, const Params&, Rng&) const {
  fail(ErrorCode::Unsupported, "prune.tower_method",
       "{} acts inside the tower, got signals from outside, expected a run of the whole model", info().name);
}

const TowerMethod* as_tower_method(const MethodUse& use) {
  return dynamic_cast<const TowerMethod*>(use.method);
}

}  // namespace winnow::prune
