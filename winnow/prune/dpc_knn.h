#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "winnow/base/view.h"

namespace winnow::prune {

/// What belongs together, found by dpc_knn.
struct Clusters {
  std::vector<int32_t> centres;  // [n_cluster] place of each centre in `which`
  std::vector<int32_t> label;    // [n] cluster of each; a centre is in its own
};

/// Density-peak clustering on the k nearest neighbours (Du, Ding and Jia 2016) of n rows of a
/// matrix [.., d], with k = n_cluster as in SparseVLM:
///   D_ij = |x_i - x_j| / sqrt(d);   density_i = exp(-mean of the n_cluster smallest D_ij^2, itself one of
///   them)
///   + noise_i
///   delta_i = smallest D_ij to a denser j, or the largest D of all where there is none
/// Centres are the rows of largest density x delta, best first; every other row goes to its nearest centre.
/// Ties go to the lower row and the earlier centre. The noise [n] breaks ties of the density. 1 <= n_cluster
/// <= n. O(n^2 d) time.
Clusters dpc_knn(const MatrixView& rows, std::span<const int32_t> which, int32_t n_cluster,
                 std::span<const double> noise);

}  // namespace winnow::prune
