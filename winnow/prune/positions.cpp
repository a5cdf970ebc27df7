#include "winnow/prune/positions.h"

#include <numeric>

#include "winnow/base/error.h"

namespace winnow::prune {
namespace {

void check_images(std::span<const VisualSpan> images, int64_t n_out) {
  int64_t free_from = 0;
  for (const VisualSpan& image : images) {
    WINNOW_CHECK(image.first >= free_from && image.count >= 0 && int64_t{image.first} + image.count <= n_out,
                 InvalidArgument, "prune.position_ids",
                 "visual span, got outputs {} to {}, expected ascending spans inside a sequence of {}",
                 image.first, int64_t{image.first} + image.count, n_out);
    WINNOW_CHECK(image.count <= image.n_ids, InvalidArgument, "prune.position_ids",
                 "visual span, got {} outputs, expected at most the {} ids of the image", image.count,
                 image.n_ids);
    free_from = int64_t{image.first} + image.count;
  }
}

}  // namespace

std::vector<int32_t> position_ids(PositionPolicy policy, std::span<const int32_t> ids_before,
                                  std::span<const VisualSpan> images, int32_t first_id) {
  check_images(images, static_cast<int64_t>(ids_before.size()));
  std::vector<int32_t> ids(ids_before.begin(), ids_before.end());
  if (policy == PositionPolicy::Compact) std::iota(ids.begin(), ids.end(), first_id);
  if (policy != PositionPolicy::Regrid) return ids;
  for (const VisualSpan& image : images) {
    for (int64_t i = 0; i < image.count; ++i) {
      const int64_t middle = (2 * i + 1) * image.n_ids / (2 * int64_t{image.count});
      ids[static_cast<std::size_t>(image.first + i)] = image.first_id + static_cast<int32_t>(middle);
    }
  }
  return ids;
}

}  // namespace winnow::prune
