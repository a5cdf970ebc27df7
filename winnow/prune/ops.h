#pragma once

// Arithmetic that the methods share. All of it is float32 accumulated in a fixed order, so results do not
// depend on the thread count or on the vector width of the machine. Cosines come from the inner products of
// similarity.h, whose last bits differ between machines with and without fused multiply-add; everything else
// is the same on all.

#include <cstdint>
#include <span>
#include <vector>

#include "winnow/base/view.h"
#include "winnow/prune/plan.h"

namespace winnow::prune {

/// True when no value is NaN or infinite.
bool all_finite(std::span<const float> values);
/// True when every value is 0.
bool all_zero(std::span<const float> values);

/// Indices of the k best scores, ascending. Ties go to the lower index. 0 <= k <= scores.size().
std::vector<int32_t> top_k(std::span<const float> scores, int32_t k);

/// The same, best first.
std::vector<int32_t> best_first(std::span<const float> scores, int32_t k);

/// All indices, best score first. Ties go to the lower index.
std::vector<int32_t> descending_order(std::span<const float> scores);

/// Mean over the rows (heads) of [n_head, n], rows added in order. Returns [n].
std::vector<float> head_mean(const MatrixView& heads);

/// Mean of the rows of [n, d], n >= 1, added in order (in double: a sum may leave the range of float32).
/// Returns [d].
std::vector<float> mean_row(const MatrixView& rows);
/// Mean over some heads of some rows of Signal::TextAttention [n_head * n_text, n], in which row
/// head * n_text + t is text token t. Returns [tokens.size() * n].
std::vector<float> text_head_mean(const MatrixView& attention, int32_t n_text,
                                  std::span<const int32_t> tokens, std::span<const int32_t> heads);

/// (v - min) / (max - min), in place; all 0 when every value is the same.
void min_max_normalise(std::span<float> values);

/// Inner product of two vectors of the same length, in sixteen partial sums, without fused multiply-add. For
/// more than a few: similarity.h.
float dot(std::span<const float> a, std::span<const float> b);

/// The same in double, term by term: for vectors whose products may leave the range of float32.
double wide_dot(std::span<const float> a, std::span<const float> b);

/// Length of every row of [n, d]; what leaves float32 counts as its largest number. Returns [n].
std::vector<float> row_lengths(const MatrixView& rows);

/// Sum of the magnitudes, in sixteen partial sums; what leaves float32 counts as its largest number.
float l1_norm(std::span<const float> values);

/// Squared Euclidean distance of two vectors of the same length; in double where float32 would overflow.
double squared_distance(std::span<const float> a, std::span<const float> b);

/// The nearest float32; the largest of its sign for what is beyond its range.
float saturated(double value);

/// Cosine of two vectors of the same length, in [-1, 1]; 0 where either has no length.
float cosine(std::span<const float> a, std::span<const float> b);

/// Cosine of every row of rows [n, d] with one vector [d], in [-1, 1]; 0 where either has no length. Returns
/// [n].
std::vector<float> cosine_to(const MatrixView& rows, std::span<const float> vector);

/// The same for a few vectors [m, d], m >= 1, which should fit a cache: row i of the result [m * n] is
/// cosine_to(rows, vector i).
std::vector<float> cosines_to(const MatrixView& rows, const MatrixView& vectors);

/// Scales a vector to length 1; zeros stay zeros.
void scale_to_unit(std::span<float> row);

/// The rows of [n, d] scaled to length 1 (a zero row stays zero). Returns [n * d].
std::vector<float> unit_rows(const MatrixView& rows);

/// Mean cosine of each row of [n, d] to the other rows, n >= 2, in O(n * d): u_j . (sum_i u_i - u_j) / (n -
/// 1).
std::vector<float> mean_cosine_to_others(const MatrixView& rows);

/// Largest cosine of each row of [n, d] to another row, n >= 2. O(n^2 * d) time; in strips of rows: no n x n
/// matrix is kept.
std::vector<float> max_cosine_to_others(const MatrixView& rows);

/// Keeps the n_keep best of scores [n], in ascending order, and hands the scores on in the plan.
Plan top_k_plan(std::vector<float> scores, int32_t n_keep);

}  // namespace winnow::prune
