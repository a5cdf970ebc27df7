#include "winnow/train/shape.h"

#include "winnow/base/error.h"

namespace winnow::train {

Variant parse_variant(const std::string& name) {
  for (const Variant variant : {Variant::None, Variant::Merge, Variant::Pool})
    if (name == variant_name(variant)) return variant;
  fail(ErrorCode::InvalidArgument, "train.variant", "got '{}', expected none, merge or pool", name);
}

const char* variant_name(Variant variant) {
  switch (variant) {
    case Variant::Merge: return "merge";
    case Variant::Pool: return "pool";
    case Variant::None: break;
  }
  return "none";
}

}  // namespace winnow::train
