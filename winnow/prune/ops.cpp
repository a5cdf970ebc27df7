#include "winnow/prune/ops.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cfloat>
#include <cmath>
#include <numeric>
#include <utility>

#include "winnow/base/error.h"
#include "winnow/prune/kernels_impl.h"
#include "winnow/prune/similarity.h"

namespace winnow::prune {
namespace {

constexpr std::size_t kLanes = 16;
using Lanes = std::array<float, kLanes>;

/// Adds the lanes pairwise, always in the same order.
float reduce(Lanes& lanes) {
  for (std::size_t width = kLanes / 2; width > 0; width /= 2) {
    for (std::size_t i = 0; i < width; ++i) lanes[i] += lanes[i + width];
  }
  return lanes[0];
}

bool usable(float square) { return square >= FLT_MIN && square <= FLT_MAX; }

float wide_cosine(std::span<const float> a, std::span<const float> b) {
  const double lengths = std::sqrt(wide_dot(a, a)) * std::sqrt(wide_dot(b, b));
  return lengths > 0.0 ? static_cast<float>(wide_dot(a, b) / lengths) : 0.0F;
}

/// The inner products of a pair: a . b, a . a, b . b
struct PairProducts {
  float ab, aa, bb;
};

float cosine_of(std::span<const float> a, std::span<const float> b, const PairProducts& of) {
  const bool in_range = usable(of.aa) && usable(of.bb) && std::isfinite(of.ab);
  const float cosine = in_range ? of.ab / (std::sqrt(of.aa) * std::sqrt(of.bb)) : wide_cosine(a, b);
  return std::clamp(cosine, -1.0F, 1.0F);
}

/// Score in the high half, so that the smallest key is the best score and, among equals, the lowest index.
uint64_t rank_key(float score, std::size_t index) {
  const auto bits = std::bit_cast<uint32_t>(score + 0.0F);  // + 0 turns -0 into +0: they tie
  const uint32_t ascending = (bits & 0x80000000U) != 0 ? ~bits : bits | 0x80000000U;
  return (static_cast<uint64_t>(~ascending) << 32U) | index;
}

/// Keys of the k best scores, the k-th best last, else in no order.
std::vector<uint64_t> best_keys(std::span<const float> scores, int32_t k) {
  WINNOW_ASSERT(k >= 0 && static_cast<std::size_t>(k) <= scores.size());
  std::vector<uint64_t> keys(scores.size());
  for (std::size_t i = 0; i < scores.size(); ++i) keys[i] = rank_key(scores[i], i);
  if (k > 0) std::nth_element(keys.begin(), keys.begin() + (k - 1), keys.end());
  keys.resize(static_cast<std::size_t>(k));
  return keys;
}

std::vector<int32_t> indices_of(std::span<const uint64_t> keys) {
  std::vector<int32_t> indices;
  indices.reserve(keys.size());
  for (const uint64_t key : keys) indices.push_back(static_cast<int32_t>(key & 0xffffffffU));
  return indices;
}

}  // namespace

bool all_finite(std::span<const float> values) { return kernels().all_finite(values.data(), values.size()); }

bool all_zero(std::span<const float> values) {
  return std::all_of(values.begin(), values.end(), [](float value) { return value == 0.0F; });
}

std::vector<int32_t> top_k(std::span<const float> scores, int32_t k) {
  WINNOW_ASSERT(k >= 0 && static_cast<std::size_t>(k) <= scores.size());
  std::vector<int32_t> kept(static_cast<std::size_t>(k));
  if (k == 0) return kept;
  const uint64_t last = best_keys(scores, k).back();  // no two keys are equal, so exactly k are no greater
  std::size_t n = 0;
  for (std::size_t i = 0; n < kept.size(); ++i) {
    kept[n] = static_cast<int32_t>(i);
    n += rank_key(scores[i], i) <= last ? 1 : 0;
  }
  return kept;
}

std::vector<int32_t> best_first(std::span<const float> scores, int32_t k) {
  std::vector<uint64_t> keys = best_keys(scores, k);
  std::sort(keys.begin(), keys.end());
  return indices_of(keys);
}

std::vector<int32_t> descending_order(std::span<const float> scores) {
  return best_first(scores, static_cast<int32_t>(scores.size()));
}

std::vector<float> head_mean(const MatrixView& heads) {
  WINNOW_ASSERT(heads.rows >= 1);
  std::vector<float> mean(static_cast<std::size_t>(heads.cols), 0.0F);
  for (int64_t head = 0; head < heads.rows; ++head) {
    const std::span<const float> row = heads.row(head);
    for (std::size_t j = 0; j < mean.size(); ++j) mean[j] += row[j];
  }
  const auto n_head = static_cast<float>(heads.rows);
  for (float& value : mean) value /= n_head;
  return mean;
}

std::vector<float> mean_row(const MatrixView& rows) {
  WINNOW_ASSERT(rows.rows >= 1);
  std::vector<double> sum(static_cast<std::size_t>(rows.cols), 0.0);
  for (int64_t r = 0; r < rows.rows; ++r) {
    const std::span<const float> row = rows.row(r);
    for (std::size_t c = 0; c < sum.size(); ++c) sum[c] += static_cast<double>(row[c]);
  }
  std::vector<float> mean(sum.size());
  const auto count = static_cast<double>(rows.rows);
  for (std::size_t c = 0; c < sum.size(); ++c) mean[c] = static_cast<float>(sum[c] / count);
  return mean;
}

std::vector<float> text_head_mean(const MatrixView& attention, int32_t n_text,
                                  std::span<const int32_t> tokens, std::span<const int32_t> heads) {
  WINNOW_ASSERT(!heads.empty() && n_text >= 1);
  const auto n = static_cast<std::size_t>(attention.cols);
  std::vector<float> mean(tokens.size() * n, 0.0F);
  for (std::size_t t = 0; t < tokens.size(); ++t) {
    const std::span<float> out(mean.data() + t * n, n);
    for (const int32_t head : heads) {
      const std::span<const float> row = attention.row(int64_t{head} * n_text + tokens[t]);
      for (std::size_t j = 0; j < n; ++j) out[j] += row[j];
    }
    for (float& value : out) value /= static_cast<float>(heads.size());
  }
  return mean;
}

void min_max_normalise(std::span<float> values) {
  if (values.empty()) return;
  const auto [low_at, high_at] = std::minmax_element(values.begin(), values.end());
  const double low = *low_at;
  const double range =
      static_cast<double>(*high_at) - low;  // double: the range of float32 values may not fit float32
  for (float& value : values) value = range > 0.0 ? static_cast<float>((value - low) / range) : 0.0F;
}

float dot(std::span<const float> a, std::span<const float> b) {
  WINNOW_ASSERT(a.size() == b.size());
  Lanes lanes{};
  const std::size_t whole = a.size() / kLanes * kLanes;
  for (std::size_t at = 0; at < whole; at += kLanes) {
    for (std::size_t i = 0; i < kLanes; ++i) lanes[i] += a[at + i] * b[at + i];
  }
  for (std::size_t at = whole; at < a.size(); ++at) lanes[at - whole] += a[at] * b[at];
  return reduce(lanes);
}

double wide_dot(std::span<const float> a, std::span<const float> b) {
  return std::inner_product(
      a.begin(), a.end(), b.begin(), 0.0, [](double x, double y) { return x + y; },
      [](float x, float y) { return static_cast<double>(x) * static_cast<double>(y); });
}

std::vector<float> row_lengths(const MatrixView& rows) {
  std::vector<float> result;
  for (int64_t r = 0; r < rows.rows; ++r)
    result.push_back(saturated(std::sqrt(wide_dot(rows.row(r), rows.row(r)))));
  return result;
}

float l1_norm(std::span<const float> values) {
  Lanes lanes{};
  const std::size_t whole = values.size() / kLanes * kLanes;
  for (std::size_t at = 0; at < whole; at += kLanes) {
    for (std::size_t i = 0; i < kLanes; ++i) lanes[i] += std::abs(values[at + i]);
  }
  for (std::size_t at = whole; at < values.size(); ++at) lanes[at - whole] += std::abs(values[at]);
  const float norm = reduce(lanes);
  return std::min(norm, FLT_MAX);
}

double squared_distance(std::span<const float> a, std::span<const float> b) {
  WINNOW_ASSERT(a.size() == b.size());
  Lanes lanes{};
  const auto add = [&](std::size_t lane, std::size_t at) {
    const float difference = a[at] - b[at];
    lanes[lane] += difference * difference;
  };
  const std::size_t whole = a.size() / kLanes * kLanes;
  for (std::size_t at = 0; at < whole; at += kLanes) {
    for (std::size_t i = 0; i < kLanes; ++i) add(i, at + i);
  }
  for (std::size_t at = whole; at < a.size(); ++at) add(at - whole, at);
  const float square = reduce(lanes);
  if (usable(square)) return static_cast<double>(square);
  return std::inner_product(
      a.begin(), a.end(), b.begin(), 0.0, [](double x, double y) { return x + y; },
      [](float x, float y) {
        const double difference = static_cast<double>(x) - static_cast<double>(y);
        return difference * difference;
      });
}

float saturated(double value) {
  return static_cast<float>(std::clamp(value, -static_cast<double>(FLT_MAX), static_cast<double>(FLT_MAX)));
}

float cosine(std::span<const float> a, std::span<const float> b) {
  WINNOW_ASSERT(a.size() == b.size());
  return cosine_of(a, b, {dot(a, b), dot(a, a), dot(b, b)});
}

std::vector<float> cosine_to(const MatrixView& rows, std::span<const float> vector) {
  WINNOW_ASSERT(static_cast<std::size_t>(rows.cols) == vector.size());
  return cosines_to(rows, {vector.data(), 1, rows.cols});
}

std::vector<float> cosines_to(const MatrixView& rows, const MatrixView& vectors) {
  WINNOW_ASSERT(vectors.rows >= 1 && rows.cols == vectors.cols);
  constexpr int64_t kBlock = 16;  // rows that are still in the cache when they are read again
  const auto n = static_cast<std::size_t>(rows.rows), m = static_cast<std::size_t>(vectors.rows);
  std::vector<float> own(m), products(std::max<std::size_t>(m, kBlock)), squares(kBlock);
  inner_with(vectors, vectors.row(0), std::span(products).first(m), own);
  const MatrixView others{vectors.data + vectors.cols, vectors.rows - 1, vectors.cols};
  std::vector<float> cosines(m * n);
  for (int64_t first = 0; first < rows.rows; first += kBlock) {
    const MatrixView block{rows.row(first).data(), std::min(kBlock, rows.rows - first), rows.cols};
    const auto n_block = static_cast<std::size_t>(block.rows), at = static_cast<std::size_t>(first);
    inner_with(block, vectors.row(0), std::span(cosines).subspan(at, n_block),
               std::span(squares).first(n_block));
    for (std::size_t r = 0; r < n_block; ++r) {
      const std::span<const float> row = block.row(static_cast<int64_t>(r));
      inner_with(others, row, std::span(products).first(m - 1));
      for (std::size_t v = 0; v < m; ++v) {
        float& cosine = cosines[v * n + at + r];
        cosine = cosine_of(row, vectors.row(static_cast<int64_t>(v)),
                           {v == 0 ? cosine : products[v - 1], squares[r], own[v]});
      }
    }
  }
  return cosines;
}

void scale_to_unit(std::span<float> row) {
  const float square = dot(row, row);
  if (usable(square)) {
    const float scale = 1.0F / std::sqrt(square);
    for (float& value : row) value *= scale;
  } else if (const double length = std::sqrt(wide_dot(row, row)); length > 0.0) {
    for (float& value : row) value = static_cast<float>(value / length);
  }
}

std::vector<float> unit_rows(const MatrixView& rows) {
  std::vector<float> units;
  units.reserve(rows.all().size());
  for (int64_t r = 0; r < rows.rows; ++r) {  // row by row: what was just copied is still in the cache
    const std::span<const float> from = rows.row(r);
    units.insert(units.end(), from.begin(), from.end());
    scale_to_unit(std::span(units).last(from.size()));
  }
  return units;
}

std::vector<float> mean_cosine_to_others(const MatrixView& rows) {
  WINNOW_ASSERT(rows.rows >= 2);
  constexpr int64_t kBlock = 16;  // unit rows are made twice: they stay in the cache, all of them would not
  const auto for_each_block = [&](const auto& visit) {
    for (int64_t first = 0; first < rows.rows; first += kBlock) {
      const MatrixView block{rows.row(first).data(), std::min(kBlock, rows.rows - first), rows.cols};
      const std::vector<float> units = unit_rows(block);
      visit(static_cast<std::size_t>(first), MatrixView{units.data(), block.rows, block.cols});
    }
  };
  std::vector<float> sum(static_cast<std::size_t>(rows.cols), 0.0F);
  for_each_block([&](std::size_t, const MatrixView& units) {
    for (int64_t r = 0; r < units.rows; ++r) {
      const std::span<const float> row = units.row(r);
      for (std::size_t c = 0; c < sum.size(); ++c) sum[c] += row[c];
    }
  });
  std::vector<float> mean(static_cast<std::size_t>(rows.rows));
  std::vector<float> own(mean.size());
  for_each_block([&](std::size_t first, const MatrixView& units) {
    const auto n = static_cast<std::size_t>(units.rows);
    inner_with(units, sum, std::span(mean).subspan(first, n), std::span(own).subspan(first, n));
  });
  for (std::size_t r = 0; r < mean.size(); ++r) {
    mean[r] = (mean[r] - own[r]) / static_cast<float>(rows.rows - 1);
  }
  return mean;
}

std::vector<float> max_cosine_to_others(const MatrixView& rows) {
  WINNOW_ASSERT(rows.rows >= 2);
  const std::vector<float> units = unit_rows(rows);
  std::vector<float> best(static_cast<std::size_t>(rows.rows), -1.0F);
  for_each_pair_strip({units.data(), rows.rows, rows.cols}, [&](int64_t first, const MatrixView& products) {
    float* of = best.data() + first;
    for (int64_t i = 0; i < products.rows; ++i) {
      float best_i = of[i];
      for (int64_t j = i + 1; j < products.cols; ++j) {
        const float cosine = std::min(products(i, j), 1.0F);
        best_i = std::max(best_i, cosine);
        of[j] = std::max(of[j], cosine);
      }
      of[i] = best_i;
    }
  });
  return best;
}

Plan top_k_plan(std::vector<float> scores, int32_t n_keep) {
  Plan plan = selection_plan(top_k(scores, n_keep));
  plan.scores = std::move(scores);
  return plan;
}

}  // namespace winnow::prune
