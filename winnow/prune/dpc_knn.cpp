#include "winnow/prune/dpc_knn.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "winnow/base/error.h"
#include "winnow/prune/ops.h"
#include "winnow/prune/pairwise.h"

namespace winnow::prune {
namespace {

struct Densities {
  std::vector<double> of;  // [n]
  double farthest = 0.0;   // the largest D of all
};

Densities densities(const Pairwise& distance, int32_t n_near, std::span<const double> noise) {
  Densities result;
  std::vector<double> row(static_cast<std::size_t>(distance.n()));
  for (int64_t i = 0; i < distance.n(); ++i) {
    for (int64_t j = 0; j < distance.n(); ++j) row[static_cast<std::size_t>(j)] = distance(i, j);
    result.farthest = std::max(result.farthest, *std::max_element(row.begin(), row.end()));
    std::partial_sort(row.begin(), row.begin() + n_near, row.end());
    const double squares = std::inner_product(row.begin(), row.begin() + n_near, row.begin(), 0.0);
    result.of.push_back(std::exp(-squares / n_near) + noise[static_cast<std::size_t>(i)]);
  }
  return result;
}

double to_nearest_denser(const Pairwise& distance, const Densities& density, int64_t i) {
  double nearest = density.farthest;
  for (int64_t j = 0; j < distance.n(); ++j) {
    const bool denser = density.of[static_cast<std::size_t>(j)] > density.of[static_cast<std::size_t>(i)];
    if (denser) nearest = std::min(nearest, distance(i, j));
  }
  return nearest;
}

}  // namespace

Clusters dpc_knn(const MatrixView& rows, int32_t n_cluster, std::span<const double> noise) {
  WINNOW_ASSERT(n_cluster >= 1 && n_cluster <= rows.rows && static_cast<int64_t>(noise.size()) == rows.rows);
  const Pairwise distance(rows.rows, [&](int64_t i, int64_t j) {
    return std::sqrt(squared_distance(rows.row(i), rows.row(j)) / static_cast<double>(rows.cols));
  });
  const Densities density = densities(distance, n_cluster, noise);
  std::vector<double> score;
  for (int64_t i = 0; i < rows.rows; ++i) {
    score.push_back(density.of[static_cast<std::size_t>(i)] * to_nearest_denser(distance, density, i));
  }
  std::vector<int32_t> ranked(score.size());
  std::iota(ranked.begin(), ranked.end(), 0);
  std::stable_sort(ranked.begin(), ranked.end(), [&](int32_t a, int32_t b) {
    return score[static_cast<std::size_t>(a)] > score[static_cast<std::size_t>(b)];
  });

  Clusters clusters;
  clusters.centres.assign(ranked.begin(), ranked.begin() + n_cluster);
  for (int64_t i = 0; i < rows.rows; ++i) {
    int32_t nearest = 0;
    for (int32_t c = 1; c < n_cluster; ++c) {
      const auto centre = [&](int32_t cluster) {
        return clusters.centres[static_cast<std::size_t>(cluster)];
      };
      if (distance(i, centre(c)) < distance(i, centre(nearest))) nearest = c;
    }
    clusters.label.push_back(nearest);
  }
  for (int32_t c = 0; c < n_cluster; ++c) {
    clusters.label[static_cast<std::size_t>(clusters.centres[static_cast<std::size_t>(c)])] = c;
  }
  return clusters;
}

}  // namespace winnow::prune
