#include "winnow/prune/positions.h"

#include <algorithm>
#include <numeric>
#include <utility>

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

namespace {

void check_axes(const AxisIds& ids, std::span<const GridSpan> images) {
  constexpr const char* kWhere = "prune.axis_position_ids";
  const auto n = std::ssize(ids.time);
  WINNOW_CHECK(std::ssize(ids.row) == n && std::ssize(ids.col) == n, InvalidArgument, kWhere,
               "position ids, got {} in time, {} rows and {} columns, expected as many of each", n,
               ids.row.size(), ids.col.size());
  int64_t free_from = 0;
  for (const GridSpan& image : images) {
    const int64_t end = int64_t{image.first} + image.count;
    WINNOW_CHECK(image.first >= free_from && image.count >= 0 && end <= n, InvalidArgument, kWhere,
                 "visual span, got outputs {} to {}, expected ascending spans inside a sequence of {}",
                 image.first, end, n);
    for (auto i = static_cast<std::size_t>(image.first); i < static_cast<std::size_t>(end); ++i) {
      const int32_t time = ids.time[i] - image.first_id;
      const int32_t row = ids.row[i] - image.first_id, col = ids.col[i] - image.first_id;
      WINNOW_CHECK(time >= 0 && time < image.n_time, InvalidArgument, kWhere,
                   "visual token {}, got step {} in time, expected one of {}", i, time, image.n_time);
      WINNOW_CHECK(row >= 0 && row < image.grid.rows && col >= 0 && col < image.grid.cols, InvalidArgument,
                   kWhere, "visual token {}, got row {} and column {}, expected them in a grid of {} x {}", i,
                   row, col, image.grid.rows, image.grid.cols);
    }
    free_from = end;
  }
}

/// Turns ids into their ranks among the distinct ones; how many of these there are.
int32_t rank_ids(std::span<int32_t> ids) {
  std::vector<int32_t> distinct(ids.begin(), ids.end());
  std::sort(distinct.begin(), distinct.end());
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
  for (int32_t& id : ids) {
    id = static_cast<int32_t>(std::lower_bound(distinct.begin(), distinct.end(), id) - distinct.begin());
  }
  return static_cast<int32_t>(std::ssize(distinct));
}

std::span<int32_t> part(std::vector<int32_t>& ids, const GridSpan& image) {
  return std::span(ids).subspan(static_cast<std::size_t>(image.first), static_cast<std::size_t>(image.count));
}

AxisIds compact_axes(AxisIds ids, std::span<const GridSpan> images) {
  std::size_t at = 0;
  int32_t next = 0;
  const auto number_text = [&](std::size_t end) {
    for (; at < end; ++at) ids.time[at] = ids.row[at] = ids.col[at] = next++;
  };
  for (const GridSpan& image : images) {
    number_text(static_cast<std::size_t>(image.first));
    int32_t extent = 0;
    for (auto* axis : {&ids.time, &ids.row, &ids.col}) {
      extent = std::max(extent, rank_ids(part(*axis, image)));
      for (int32_t& id : part(*axis, image)) id += next;
    }
    at += static_cast<std::size_t>(image.count);
    next += extent;
  }
  number_text(ids.time.size());
  return ids;
}

/// Ranks to the middles of equal parts of `extent` ids.
void spread(std::span<int32_t> ids, int32_t first_id, int32_t extent) {
  const int64_t n = rank_ids(ids);
  for (int32_t& id : ids) {
    id = first_id + static_cast<int32_t>((2 * int64_t{id} + 1) * extent / (2 * n));
  }
}

}  // namespace

AxisIds axis_position_ids(PositionPolicy policy, const AxisIds& ids_before,
                          std::span<const GridSpan> images) {
  check_axes(ids_before, images);
  if (policy == PositionPolicy::Compact) return compact_axes(ids_before, images);
  AxisIds ids = ids_before;
  if (policy != PositionPolicy::Regrid) return ids;
  for (const GridSpan& image : images) {
    spread(part(ids.time, image), image.first_id, image.n_time);
    spread(part(ids.row, image), image.first_id, image.grid.rows);
    spread(part(ids.col, image), image.first_id, image.grid.cols);
  }
  return ids;
}

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
