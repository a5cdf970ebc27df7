#pragma once

// Bookkeeping of the methods that pick one token after the other.

#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <vector>

#include "winnow/base/view.h"
#include "winnow/prune/plan.h"

namespace winnow::prune {

/// The tokens of an image that were picked so far. None is picked twice, duplicates or not.
class Picks {
 public:
  explicit Picks(int32_t n) : taken_(static_cast<std::size_t>(n), 0) {}

  /// `token` must not be taken yet.
  void take(int32_t token);
  bool taken(int32_t token) const { return taken_[static_cast<std::size_t>(token)] != 0; }
  int32_t size() const { return size_; }
  /// The token with the best of scores [n] among those not taken, of which there must be one. Ties go to the
  /// lower index.
  int32_t best(std::span<const float> scores) const;
  /// Takes tokens in the given order, skipping the taken ones, until there are n_keep.
  void fill(std::span<const int32_t> order, int32_t n_keep);
  /// The picked tokens in ascending order.
  Plan plan() const;
  int32_t n() const { return static_cast<int32_t>(taken_.size()); }

 private:
  std::vector<char> taken_;
  int32_t size_ = 0;
};

/// Takes tokens, best score first, until there are n_keep; ties go to the lower index. For scores that can
/// only fall as more is taken: an old score is then an upper bound, and only tokens whose bound is on top are
/// looked at again (lazy greedy; Minoux 1978, Accelerated greedy algorithms). The picks are exactly those of
/// computing every score after every pick, if `refresh` never gives more than it did before, rounding
/// included.
///   scores   [n] as of now, of tokens not taken
///   refresh  gives the score of a token with what has been taken since
///   after    the token has just been taken
///   least    where every score is below it, nothing more is taken
void pick_lazily(Picks& picks, std::span<const float> scores, int32_t n_keep,
                 const std::function<float(int32_t token)>& refresh,
                 const std::function<void(int32_t token)>& after,
                 float least = -std::numeric_limits<float>::infinity());

/// Rows that were picked, side by side, to compare a token with those that it has not been compared with yet.
class PickedRows {
 public:
  /// rows: [n, d], alive as long as this.
  explicit PickedRows(const MatrixView& rows) : rows_(rows), seen_(static_cast<std::size_t>(rows.rows), 0) {}

  void add(int32_t token);
  /// Products of row `token` with the rows added since the last call for it, in their order. Valid until the
  /// next call.
  std::span<const float> news(int32_t token);

 private:
  MatrixView rows_;
  std::vector<float> picked_;  // [picked, d]
  std::vector<int32_t> seen_;  // [n] picks that the token was compared with
  std::vector<float> products_;
};

}  // namespace winnow::prune
