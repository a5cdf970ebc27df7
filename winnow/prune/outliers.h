#pragma once

// The rule by which adaptive methods find their own count: how many scores stand out (Tukey's upper fence).

#include <span>

namespace winnow::prune {

/// Share of the values above Q3 + 1.5 (Q3 - Q1); the quartiles are interpolated linearly between the values
/// of rank (n - 1) / 4 and 3 (n - 1) / 4. values: at least one, finite. Less than 1/4.
double outlier_share(std::span<const float> values);

}  // namespace winnow::prune
