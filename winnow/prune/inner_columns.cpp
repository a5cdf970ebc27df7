#include "winnow/prune/inner_columns.h"

#include <algorithm>
#include <limits>

#include "winnow/base/error.h"
#include "winnow/prune/ops.h"
#include "winnow/prune/similarity.h"

namespace winnow::prune {
namespace {

constexpr std::size_t kMostFloats = std::size_t{4096} * 4096;
constexpr float kNever = -std::numeric_limits<float>::infinity();

}  // namespace

InnerColumns::InnerColumns(const MatrixView& rows)
    : rows_(rows), place_of_(static_cast<std::size_t>(rows.rows), -1) {}

std::span<const float> InnerColumns::column(int64_t i, std::span<const float> likely) {
  WINNOW_ASSERT(i >= 0 && i < rows_.rows);
  WINNOW_ASSERT(likely.empty() || likely.size() == place_of_.size());
  const int64_t& place = place_of_[static_cast<std::size_t>(i)];
  if (place < 0) add_columns(with_likely(i, likely));
  return {columns_.data() + place * rows_.rows, place_of_.size()};
}

/// Row i and those of the likeliest kBlock - 1 others that aren't there yet.
std::vector<int32_t> InnerColumns::with_likely(int64_t i, std::span<const float> likely) const {
  std::vector<int32_t> wanted{static_cast<int32_t>(i)};
  if (likely.empty()) return wanted;
  std::vector<float> scores(likely.begin(), likely.end());
  scores[static_cast<std::size_t>(i)] = kNever;
  for (std::size_t j = 0; j < scores.size(); ++j) {
    if (place_of_[j] >= 0) scores[j] = kNever;
  }
  for (const int32_t j : top_k(scores, static_cast<int32_t>(std::min(kBlock, rows_.rows) - 1))) {
    if (scores[static_cast<std::size_t>(j)] != kNever) wanted.push_back(j);
  }
  return wanted;
}

void InnerColumns::add_columns(std::span<const int32_t> wanted) {
  const std::size_t n = place_of_.size();
  if (columns_.size() + wanted.size() * n > kMostFloats) {
    columns_.clear();
    std::fill(place_of_.begin(), place_of_.end(), -1);
  }
  std::vector<float> picked;
  picked.reserve(wanted.size() * static_cast<std::size_t>(rows_.cols));
  auto place = static_cast<int64_t>(columns_.size() / n);
  for (const int32_t j : wanted) {
    const std::span<const float> row = rows_.row(j);
    picked.insert(picked.end(), row.begin(), row.end());
    place_of_[static_cast<std::size_t>(j)] = place++;
  }
  columns_.resize(columns_.size() + wanted.size() * n);
  inner_block({picked.data(), static_cast<int64_t>(wanted.size()), rows_.cols}, rows_,
              std::span(columns_).last(wanted.size() * n));
}

}  // namespace winnow::prune
