// ToMe, Token Merging: in every block of the tower, between attention and MLP, the most similar rows become
// one. The rule and its source are in tome.h; Bolya et al. 2023, arXiv 2210.09461. In LLaVA the tower's
// blocks up to the features are run, so 576 - 23 r patches come out, in the order of the merges: the decoder
// reads them so.
// - Without a budget r rows go in every block (8, the reference's for ViT-L), more or fewer along the depth
//   with inflect.
// - With a budget exactly n_keep remain: the same number goes in every block, in the last what is left to do.
// A
//   block can merge at most half of its patches, so small budgets are met by the first blocks.
// - proportional=off leaves out the sizes in attention, for towers trained with merging.

#include "winnow/prune/tome.h"

#include <algorithm>
#include <numeric>

#include "winnow/base/error.h"
#include "winnow/prune/tower_method.h"

namespace winnow::prune {
namespace {

/// At most `most` rows in each block, and at most half, until n_keep are left.
std::vector<int32_t> capped(int32_t n, int32_t n_block, int32_t n_keep, int32_t most) {
  std::vector<int32_t> rows;
  for (int32_t block = 0; block < n_block; ++block) {
    rows.push_back(std::min({most, n / 2, n - n_keep}));
    n -= rows.back();
  }
  return rows;
}

/// Evenly; the first blocks more where the last cannot take their part.
std::vector<int32_t> spread(int32_t n, int32_t n_block, int32_t n_keep) {
  for (int32_t most = (n - n_keep + n_block - 1) / n_block; most <= n / 2; ++most) {
    std::vector<int32_t> rows = capped(n, n_block, n_keep, most);
    if (std::accumulate(rows.begin(), rows.end(), 0) == n - n_keep) return rows;
  }
  const std::vector<int32_t> rows = capped(n, n_block, 1, n / 2);
  fail(ErrorCode::InvalidArgument, "prune.tome",
       "tokens to keep, got {}, expected at least {}: each of {} blocks can merge half of its rows", n_keep,
       n - std::accumulate(rows.begin(), rows.end(), 0), n_block);
}

class Tome final : public TowerMethod {
 public:
  const MethodInfo& info() const override { return info_; }
  MergePlace place() const override { return MergePlace::BehindAttention; }
  bool weighs_sizes(const Params& params) const override { return params.choice("proportional") == "on"; }

  std::vector<int32_t> rows_to_merge(int32_t n, bool, int32_t n_block, int32_t n_keep,
                                     const Params& params) const override {
    if (n_keep != kMethodDecides) return spread(n, n_block, n_keep);
    std::vector<int32_t> rows = merge_schedule(n_block, params.integer("r"), params.real("inflect"));
    for (int32_t& r : rows) {
      r = std::min(r, n / 2);
      n -= r;
    }
    return rows;
  }

  Merge merge(const TowerRows& rows, int32_t n_merge, const Params&) const override {
    return bipartite_merge(rows.keys, rows.sizes, n_merge, rows.cls);
  }

 private:
  MethodInfo info_{.name = "tome",
                   .summary = "in every block of the tower the rows of most similar keys become their mean",
                   .paper = "Bolya et al. 2023, arXiv 2210.09461",
                   .stage = Stage::InTower,
                   .adaptive = true,
                   .outputs = Outputs::Means,
                   .raster_order = false,
                   .params = {{.name = "r",
                               .kind = ParamKind::Integer,
                               .default_value = "8",
                               .min = 0.0,
                               .max = 4096.0,
                               .help = "rows that go in every block when no budget is given"},
                              {.name = "inflect",
                               .kind = ParamKind::Real,
                               .default_value = "0",
                               .min = -1.0,
                               .max = 1.0,
                               .help = "r grows along the depth, or shrinks (-1)"},
                              {.name = "proportional",
                               .kind = ParamKind::Choice,
                               .default_value = "on",
                               .choices = {"on", "off"},
                               .help = "merged rows count by their size in attention"}}};
};

}  // namespace

const Method& tome_method() {
  static const Tome method;
  return method;
}

}  // namespace winnow::prune
