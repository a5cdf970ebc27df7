#include "winnow/prune/dpc_knn.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "winnow/base/error.h"
#include "winnow/prune/ops.h"
#include "winnow/prune/similarity.h"

namespace winnow::prune {
namespace {

std::vector<float> centred(std::vector<float> out, int64_t width) {
  const std::vector<float> mean = mean_row({out.data(), std::ssize(out) / width, width});
  for (std::size_t first = 0; first < out.size(); first += mean.size()) {
    for (std::size_t c = 0; c < mean.size(); ++c) out[first + c] -= mean[c];
  }
  return out;
}

/// D_ij from inner products: d D_ij^2 = |y_i|^2 + |y_j|^2 - 2 y_i . y_j with y = x - mean of all x. Less the
/// mean, because hidden states share components that are far longer than what tells them apart. What still
/// cancels, or leaves the range of float32, is computed from the difference of the rows.
class Distances {
 public:
  Distances(const MatrixView& rows, std::span<const int32_t> which)
      : rows_(rows),
        which_(which),
        centred_(centred(gathered_rows(rows, which), rows.cols)),
        products_({centred_.data(), n(), rows.cols}),
        squares_(which.size()),
        row_(which.size()) {
    std::vector<float> unused(which.size());
    const MatrixView centred_rows{centred_.data(), n(), rows.cols};
    inner_with(centred_rows, centred_rows.row(0), unused, squares_);
  }

  int64_t n() const { return std::ssize(which_); }

  /// Calls visit(i, to_each [n]) for every row in order.
  template <class Visit>
  void for_each_row(Visit visit) {
    constexpr int64_t kMostKept = 2048;  // 32 MB
    if (n() <= kMostKept) {
      if (kept_.empty())
        compute([&](int64_t, std::span<const double> d) { kept_.insert(kept_.end(), d.begin(), d.end()); });
      const auto width = static_cast<std::size_t>(n());
      for (int64_t i = 0; i < n(); ++i)
        visit(i, std::span<const double>(kept_).subspan(static_cast<std::size_t>(i) * width, width));
    } else {
      compute(visit);
    }
  }

 private:
  template <class Visit>
  void compute(Visit visit) {
    for (int64_t first = 0; first < n(); first += Products::kMostAtOnce) {
      const MatrixView block = products_.rows(first, std::min(Products::kMostAtOnce, n() - first));
      for (int64_t i = first; i < first + block.rows; ++i) {
        for (int64_t j = 0; j < n(); ++j) row_[static_cast<std::size_t>(j)] = from(i, j, block(i - first, j));
        visit(i, std::span<const double>(row_));
      }
    }
  }

  double from(int64_t i, int64_t j, float product) const {
    constexpr double kCancelled = 1e-2;
    if (i == j) return 0.0;
    const double lengths = static_cast<double>(squares_[static_cast<std::size_t>(i)]) +
                           static_cast<double>(squares_[static_cast<std::size_t>(j)]);
    double square = lengths - 2.0 * static_cast<double>(product);
    const bool sure = std::isnormal(static_cast<float>(lengths)) && square > kCancelled * lengths;
    if (!sure) {
      square = squared_distance(rows_.row(which_[static_cast<std::size_t>(i)]),
                                rows_.row(which_[static_cast<std::size_t>(j)]));
    }
    return std::sqrt(square / static_cast<double>(rows_.cols));
  }

  MatrixView rows_;
  std::span<const int32_t> which_;
  std::vector<float> centred_;  // [n, d]
  Products products_;
  std::vector<float> squares_;  // [n] |y|^2
  std::vector<double> row_;     // [n] D of the row that is visited
  std::vector<double> kept_;    // [n * n], or empty
};

struct Densities {
  std::vector<double> of;  // [n]
  double farthest = 0.0;   // the largest D of all
};

Densities densities(Distances& distances, int32_t n_near, std::span<const double> noise) {
  Densities result;
  std::vector<double> row;
  distances.for_each_row([&](int64_t i, std::span<const double> to_each) {
    row.assign(to_each.begin(), to_each.end());
    result.farthest = std::max(result.farthest, *std::max_element(row.begin(), row.end()));
    std::nth_element(row.begin(), row.begin() + (n_near - 1), row.end());
    const double squares = std::inner_product(row.begin(), row.begin() + n_near, row.begin(), 0.0);
    result.of.push_back(std::exp(-squares / n_near) + noise[static_cast<std::size_t>(i)]);
  });
  return result;
}

/// density x delta of every row
std::vector<double> scores_of(Distances& distances, const Densities& density) {
  std::vector<double> scores;
  distances.for_each_row([&](int64_t i, std::span<const double> to_each) {
    const double own = density.of[static_cast<std::size_t>(i)];
    double nearest = density.farthest;
    for (std::size_t j = 0; j < to_each.size(); ++j) {
      if (density.of[j] > own) nearest = std::min(nearest, to_each[j]);
    }
    scores.push_back(own * nearest);
  });
  return scores;
}

}  // namespace

Clusters dpc_knn(const MatrixView& rows, std::span<const int32_t> which, int32_t n_cluster,
                 std::span<const double> noise) {
  WINNOW_ASSERT(n_cluster >= 1 && n_cluster <= std::ssize(which) && noise.size() == which.size());
  Distances distances(rows, which);
  const std::vector<double> score = scores_of(distances, densities(distances, n_cluster, noise));
  std::vector<int32_t> ranked(score.size());
  std::iota(ranked.begin(), ranked.end(), 0);
  std::stable_sort(ranked.begin(), ranked.end(), [&](int32_t a, int32_t b) {
    return score[static_cast<std::size_t>(a)] > score[static_cast<std::size_t>(b)];
  });

  Clusters clusters;
  clusters.centres.assign(ranked.begin(), ranked.begin() + n_cluster);
  distances.for_each_row([&](int64_t, std::span<const double> to_each) {
    const auto to = [&](int32_t centre) { return to_each[static_cast<std::size_t>(centre)]; };
    const auto nearest = std::min_element(clusters.centres.begin(), clusters.centres.end(),
                                          [&](int32_t a, int32_t b) { return to(a) < to(b); });
    clusters.label.push_back(static_cast<int32_t>(nearest - clusters.centres.begin()));
  });
  for (int32_t c = 0; c < n_cluster; ++c) {
    clusters.label[static_cast<std::size_t>(clusters.centres[static_cast<std::size_t>(c)])] = c;
  }
  return clusters;
}

}  // namespace winnow::prune
