#include "winnow/prune/picture_method.h"

#include "winnow/base/error.h"

namespace winnow::prune {

Plan PictureMethod::select(const Signals&, int32_t, const Params&, Rng&) const {
  fail(ErrorCode::Unsupported, "prune.picture_method",
       "{} acts on the picture, before there are signals, got signals, expected a run of the whole model",
       info().name);
}

const PictureMethod* as_picture_method(const MethodUse& use) {
  return dynamic_cast<const PictureMethod*>(use.method);
}

}  // namespace winnow::prune
