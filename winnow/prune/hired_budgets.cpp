#include "winnow/prune/hired_budgets.h"

#include <algorithm>

#include "winnow/base/error.h"
#include "winnow/prune/ops.h"

namespace winnow::prune {
namespace {

constexpr std::string_view kWhere = "prune.hired_budgets";

void check_input(const MatrixView& attention, const Grid& grid, const Grid& crops, int32_t total,
                 double alpha) {
  WINNOW_CHECK(crops.rows >= 1 && crops.cols >= 1 && grid.rows >= crops.rows && grid.cols >= crops.cols,
               InvalidArgument, kWhere, "grids, got {}x{} tokens for {}x{} crops, expected a token per crop",
               grid.rows, grid.cols, crops.rows, crops.cols);
  const int64_t n = int64_t{grid.rows} * grid.cols;
  WINNOW_CHECK(attention.rows >= 1 && attention.cols == n, InvalidArgument, kWhere,
               "attention, got [{}, {}], expected [heads, {}]", attention.rows, attention.cols, n);
  WINNOW_CHECK(all_finite(attention.all()), InvalidArgument, kWhere,
               "attention, got NaN or infinity, expected finite numbers");
  const int64_t all = n * (1 + int64_t{crops.rows} * crops.cols);
  WINNOW_CHECK(total >= 1 && total <= all, InvalidArgument, kWhere,
               "tokens to keep, got {}, expected 1 to {}", total, all);
  WINNOW_CHECK(alpha >= 0.0 && alpha <= 1.0, InvalidArgument, kWhere, "alpha, got {}, expected 0 to 1",
               alpha);
}

/// The sub-image that shows a token of the whole image.
int32_t region_of(int32_t token, const Grid& grid, const Grid& crops, HiredRegions regions) {
  if (regions == HiredRegions::Bands) {
    return static_cast<int32_t>(int64_t{token} * crops.size() / grid.size());
  }
  const int32_t row = token / grid.cols * crops.rows / grid.rows;
  const int32_t col = token % grid.cols * crops.cols / grid.cols;
  return row * crops.cols + col;
}

}  // namespace

std::vector<int32_t> hired_budgets(const MatrixView& attention, const Grid& grid, const Grid& crops,
                                   int32_t total, double alpha, HiredRegions regions) {
  check_input(attention, grid, crops, total, alpha);
  const int32_t n = grid.size();
  const int32_t whole = std::min(static_cast<int32_t>(total * alpha), n);
  const auto rest = static_cast<float>(std::min(total - whole, n * crops.size()));

  std::vector<int32_t> counts(crops.size(), 0);
  const auto n_seen = static_cast<int32_t>(n * (1.0 - alpha));
  for (const int32_t token : top_k(head_mean(attention), n_seen)) {
    ++counts[region_of(token, grid, crops, regions)];
  }
  if (n_seen == 0) std::fill(counts.begin(), counts.end(), 1);
  const auto sum = static_cast<float>(n_seen == 0 ? crops.size() : n_seen);

  std::vector<int32_t> budgets{whole};
  for (const int32_t count : counts) {
    const auto budget = static_cast<int32_t>(static_cast<float>(count) / sum * rest);
    budgets.push_back(std::min(budget, n));
  }
  return budgets;
}

}  // namespace winnow::prune
