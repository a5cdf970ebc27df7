#include "winnow/prune/tome.h"

#include <algorithm>
#include <cmath>

#include "winnow/base/error.h"
#include "winnow/prune/nearest.h"
#include "winnow/prune/ops.h"

namespace winnow::prune {
namespace {

void check_input(const MatrixView& metric, std::span<const float> sizes, int32_t r) {
  constexpr std::string_view kWhere = "prune.bipartite_merge";
  WINNOW_CHECK(metric.rows >= 1 && metric.cols >= 1 && static_cast<int64_t>(sizes.size()) == metric.rows,
               InvalidArgument, kWhere, "shapes, got metric [{}, {}] and {} sizes, expected one size a row",
               metric.rows, metric.cols, sizes.size());
  WINNOW_CHECK(all_finite(metric.all()), InvalidArgument, kWhere,
               "metric, got NaN or infinity, expected finite numbers");
  for (const float size : sizes) {
    WINNOW_CHECK(std::isfinite(size) && size > 0.0F, InvalidArgument, kWhere,
                 "size of a row, got {}, expected more than 0", size);
  }
  WINNOW_CHECK(r >= 0, InvalidArgument, kWhere, "rows to merge, got {}, expected 0 or more", r);
}

/// Rows first, first + 2, first + 4 ... below t.
std::vector<int32_t> every_other(int32_t first, int32_t t) {
  std::vector<int32_t> rows;
  for (int32_t row = first; row < t; row += 2) rows.push_back(row);
  return rows;
}

}  // namespace

Merge bipartite_merge(const MatrixView& metric, std::span<const float> sizes, int32_t r, bool cls) {
  check_input(metric, sizes, r);
  const auto t = static_cast<int32_t>(metric.rows);
  r = std::min(r, (t - (cls ? 1 : 0)) / 2);
  if (r == 0) return {identity_plan(t), {sizes.begin(), sizes.end()}};

  const std::vector<float> units = unit_rows(metric);
  const std::vector<int32_t> even = every_other(cls ? 2 : 0, t);  // those that may go
  const std::vector<int32_t> odd = every_other(1, t);
  const Nearest nearest = nearest_rows({units.data(), metric.rows, metric.cols}, even, odd);
  const std::vector<int32_t> order = best_first(nearest.similarity, static_cast<int32_t>(even.size()));

  std::vector<int32_t> stay;
  std::vector<std::vector<int32_t>> sources(odd.size());
  for (std::size_t i = 0; i < odd.size(); ++i) sources[i].push_back(odd[i]);
  for (int32_t i = 0; i < static_cast<int32_t>(order.size()); ++i) {
    if (i >= r) {
      stay.push_back(even[order[i]]);
    } else {
      sources[nearest.target[order[i]]].push_back(even[order[i]]);
    }
  }
  if (cls) {
    stay.push_back(0);
    std::sort(stay.begin(), stay.end());
  }

  Merge merge;
  for (const int32_t row : stay) {
    merge.plan.add_kept(row);
    merge.sizes.push_back(sizes[row]);
  }
  std::vector<float> weights;
  for (std::size_t i = 0; i < odd.size(); ++i) {
    float total = 0.0F;
    for (const int32_t row : sources[i]) total += sizes[row];
    weights.clear();
    for (const int32_t row : sources[i]) weights.push_back(sizes[row] / total);
    merge.plan.add_merged(sources[i], weights, odd[i]);
    merge.sizes.push_back(total);
  }
  return merge;
}

std::vector<int32_t> merge_schedule(int32_t n_block, int32_t r, double inflect) {
  constexpr int32_t kMaxRows = 1 << 20;
  WINNOW_CHECK(n_block >= 1 && r >= 0 && r <= kMaxRows && inflect >= -1.0 && inflect <= 1.0, InvalidArgument,
               "prune.merge_schedule",
               "schedule, got {} blocks, r {} and inflect {}, expected at least one block, r from 0 to "
               "{} and inflect from -1 to 1",
               n_block, r, inflect, kMaxRows);
  const auto first = static_cast<int32_t>(r * (1.0 - inflect));
  const int32_t last = 2 * r - first;
  const double step = static_cast<double>(last - first) / std::max(1, n_block - 1);
  std::vector<int32_t> schedule;
  for (int32_t block = 0; block < n_block; ++block) {
    schedule.push_back(static_cast<int32_t>(first + step * block));
  }
  return schedule;
}

std::vector<float> log_size_bias(std::span<const float> sizes) {
  std::vector<float> bias;
  for (const float size : sizes) bias.push_back(std::log(size));
  return bias;
}

}  // namespace winnow::prune
