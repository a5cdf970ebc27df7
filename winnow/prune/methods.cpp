// THE list of methods, in the order of the docs. A new method is one file in methods/ that defines
// `const Method& NAME_method()`, and one line here. No self-registration: static libraries drop it.

#include "winnow/prune/method.h"

#define WINNOW_METHODS(METHOD) \
  METHOD(none)                 \
  METHOD(random)               \
  METHOD(grid)                 \
  METHOD(pooling)              \
  METHOD(m3)                   \
  METHOD(bilinear)             \
  METHOD(resize)               \
  METHOD(tome)                 \
  METHOD(window_merge)         \
  METHOD(fastervlm)            \
  METHOD(divprune)             \
  METHOD(vispruner)            \
  METHOD(scope)                \
  METHOD(cdpruner)             \
  METHOD(mmr)                  \
  METHOD(greedyprune)          \
  METHOD(visionzip)            \
  METHOD(prumerge)             \
  METHOD(prumerge_plus)        \
  METHOD(trim)                 \
  METHOD(holov)                \
  METHOD(hiprune)              \
  METHOD(hired)                \
  METHOD(fastv)                \
  METHOD(fastv_vis)            \
  METHOD(window_fastv)         \
  METHOD(balanced)             \
  METHOD(sparsevlm)            \
  METHOD(pyramiddrop)          \
  METHOD(dart)                 \
  METHOD(mustdrop)             \
  METHOD(v2drop)               \
  METHOD(btp)                  \
  METHOD(horizon)

namespace winnow::prune {

#define WINNOW_DECLARE(name) const Method& name##_method();
WINNOW_METHODS(WINNOW_DECLARE)

const std::vector<const Method*>& methods() {
#define WINNOW_ADDRESS(name) &name##_method(),
  static const std::vector<const Method*> list{WINNOW_METHODS(WINNOW_ADDRESS)};
  return list;
}

const std::vector<const Method*>& selecting_methods() {
  static const std::vector<const Method*> list = [] {
    std::vector<const Method*> out = methods();
    std::erase_if(out, [](const Method* method) { return !selects_from_signals(method->info().stage); });
    return out;
  }();
  return list;
}

}  // namespace winnow::prune
