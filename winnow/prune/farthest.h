#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "winnow/base/view.h"

namespace winnow::prune {

/// Writes the distance of token `from` to each of the n tokens.
using DistancesFrom = std::function<void(int32_t from, std::span<float> to_each)>;

/// Farthest-point sampling (max-min greedy): adds to `chosen` the token whose nearest chosen one is farthest
/// away, until there are `count`; the first of an empty set is `first`. Ties go to the lower index. Distances
/// are asked for once per token: O(n) memory. Entries of chosen are distinct; count <= n.
void extend_farthest(std::vector<int32_t>& chosen, int32_t count, int32_t n, int32_t first,
                     const DistancesFrom& distances);

/// The token whose nearest other token is farthest away; ties go to the lower index. n >= 2.
int32_t most_isolated(int32_t n, const DistancesFrom& distances);

/// 1 - cosine of the rows of [n, d]. O(n^2 d) time.
DistancesFrom cosine_distances(const MatrixView& rows);

}  // namespace winnow::prune
