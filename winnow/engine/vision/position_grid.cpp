#include "winnow/engine/vision/position_grid.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "winnow/base/error.h"

namespace winnow::engine {
namespace {

/// Keys' cubic kernel (1981) at distance x of 0 to 2.
float cubic(float x) {
  constexpr float a = -0.75F;
  if (x <= 1.0F) return ((a + 2.0F) * x - (a + 3.0F)) * x * x + 1.0F;
  return ((a * x - 5.0F * a) * x + 8.0F * a) * x - 4.0F * a;
}

/// What one output reads along one axis.
struct Taps {
  std::array<int32_t, 4> index{};
  std::array<float, 4> weight{};
};

std::vector<Taps> taps_of(int32_t from, int32_t to) {
  const float scale = static_cast<float>(from) / static_cast<float>(to);
  std::vector<Taps> out(static_cast<std::size_t>(to));
  for (int32_t i = 0; i < to; ++i) {
    const float at = scale * (static_cast<float>(i) + 0.5F) - 0.5F;
    const float floor = std::floor(at);
    Taps& taps = out[static_cast<std::size_t>(i)];
    for (std::size_t k = 0; k < 4; ++k) {
      const float place = floor + static_cast<float>(k) - 1.0F;
      taps.index[k] = std::clamp(static_cast<int32_t>(place), 0, from - 1);
      taps.weight[k] = cubic(std::abs(at - place));
    }
  }
  return out;
}

}  // namespace

std::vector<float> resize_positions(std::span<const float> table, int32_t n_cls, const prune::Grid& from,
                                    const prune::Grid& to) {
  constexpr const char* kWhere = "engine.resize_positions";
  for (const prune::Grid& grid : {from, to}) {
    WINNOW_CHECK(grid.rows >= 1 && grid.cols >= 1, InvalidArgument, kWhere,
                 "grid of patches, got {} x {}, expected at least 1 x 1", grid.rows, grid.cols);
  }
  const int64_t n_rows = int64_t{n_cls} + from.size();
  WINNOW_CHECK(n_cls >= 0 && std::ssize(table) % n_rows == 0 && !table.empty(), InvalidArgument, kWhere,
               "position embeddings, got {} values, expected a multiple of {} rows", table.size(), n_rows);
  const auto width = static_cast<std::size_t>(std::ssize(table) / n_rows);
  const auto first = static_cast<std::size_t>(n_cls) * width;
  std::vector<float> out(table.begin(), table.begin() + static_cast<std::ptrdiff_t>(first));
  out.resize(first + static_cast<std::size_t>(to.size()) * width, 0.0F);
  const std::vector<Taps> rows = taps_of(from.rows, to.rows);
  const std::vector<Taps> cols = taps_of(from.cols, to.cols);
  float* target = out.data() + first;
  for (int32_t cell = 0; cell < to.size(); ++cell, target += width) {
    const Taps& y = rows[static_cast<std::size_t>(cell / to.cols)];
    const Taps& x = cols[static_cast<std::size_t>(cell % to.cols)];
    for (std::size_t i = 0; i < 16; ++i) {
      const int64_t source = int64_t{y.index[i / 4]} * from.cols + x.index[i % 4];
      const float* row = table.data() + first + static_cast<std::size_t>(source) * width;
      const float weight = y.weight[i / 4] * x.weight[i % 4];
      for (std::size_t c = 0; c < width; ++c) target[c] += weight * row[c];
    }
  }
  return out;
}

}  // namespace winnow::engine
