#pragma once

// The contract of a method that acts inside the tower: it makes rows fewer between the tower's blocks, before
// there are features to select from. The engine runs the tower up to a place, asks, and goes on with what
// remains.

#include <cstdint>
#include <span>
#include <vector>

#include "winnow/prune/merge.h"
#include "winnow/prune/method.h"

namespace winnow::prune {

/// The tower's rows at the place of a merge.
struct TowerRows {
  Grid grid;                     ///< of the patches that entered the tower
  bool cls = true;               ///< row 0 is [CLS]
  MatrixView hidden;             // [t, d_tower]
  MatrixView keys;               // [t, d_head] of the block, mean over heads; empty behind a block
  std::span<const float> sizes;  // [t] patches that each row stands for; 1 for [CLS]
};

/// Where in a block rows are merged.
enum class MergePlace {
  BehindAttention,  ///< between attention and MLP
  BehindBlock,
};

class TowerMethod : public Method {
 public:
  std::vector<Need> needs(const Params&) const override { return {}; }
  virtual MergePlace place() const = 0;
  /// True when a row that stands for s patches counts s times in the attention of the blocks behind.
  virtual bool weighs_sizes(const Params&) const { return false; }
  /// Rows to merge away in each of the n_block blocks that are run, [n_block]: 0 none, kMethodDecides as many
  /// as the method likes. n: patches; n_keep: those that shall remain, or kMethodDecides. Throws
  /// InvalidArgument for a count that the method cannot meet.
  virtual std::vector<int32_t> rows_to_merge(int32_t n, bool cls, int32_t n_block, int32_t n_keep,
                                             const Params& params) const = 0;
  /// The plan is over the t rows; [CLS] stays, first, and alone. n_merge as rows_to_merge() says.
  virtual Merge merge(const TowerRows& rows, int32_t n_merge, const Params& params) const = 0;
  /// Throws Unsupported: there is nothing to select from outside a tower.
  Plan select(const Signals& signals, int32_t n_keep, const Params& params, Rng& rng) const final;
};

/// The method as what it is; nullptr for one that does not act inside the tower.
const TowerMethod* as_tower_method(const MethodUse& use);

}  // namespace winnow::prune
