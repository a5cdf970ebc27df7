// A smaller picture instead of pruning: the baseline that pruning has to beat. The picture is scaled down and
// the tower's position embeddings to its grid (engine/vision/position_grid.h), so tower, projector and
// decoder all have less to do.
// - A budget becomes the largest grid of the picture's shape that is not above it, both sides rounded to
//   whole tokens: 30 % of 24 x 24 are 172, and 13 x 13 = 169 remain; 25 % of 17 x 23 are 98, and 8 x 11 = 88.
// - side=N asks for N x N visual tokens: where the projector merges k x k patches, N k patches a side.
//   It needs a square.
// - Several pictures share a budget evenly.

#include <cstdint>
#include <optional>

#include "winnow/base/error.h"
#include "winnow/prune/picture_method.h"

namespace winnow::prune {
namespace {

constexpr const char* kWhere = "prune.resize";

/// round(s * full), at least 1 x 1, for the largest scale s at which it has n tokens at most. Going down in
/// s, a side of length l becomes shorter at s = (l - 0.5) / full.
Grid largest_grid(const Grid& full, int32_t n) {
  Grid grid = full;
  while (grid.size() > n) {
    const int64_t at_row = (2 * int64_t{grid.rows} - 1) * full.cols;
    const int64_t at_col = (2 * int64_t{grid.cols} - 1) * full.rows;
    const bool row = grid.rows > 1 && (at_row >= at_col || grid.cols == 1);
    const bool col = grid.cols > 1 && (at_col >= at_row || grid.rows == 1);
    grid = {grid.rows - (row ? 1 : 0), grid.cols - (col ? 1 : 0)};
  }
  return grid;
}

class Resize final : public PictureMethod {
 public:
  const MethodInfo& info() const override { return info_; }

  std::optional<int32_t> fixed_count(const Grid&, const Params& params) const override {
    if (!params.has("side")) return std::nullopt;
    return params.integer("side") * params.integer("side");
  }

  Grid grid(const Grid& full, int32_t n_keep, const Params& params) const override {
    WINNOW_CHECK(full.rows >= 1 && full.cols >= 1, InvalidArgument, kWhere,
                 "visual tokens of the picture, got {} x {}, expected at least 1 x 1", full.rows, full.cols);
    if (params.has("side")) {
      WINNOW_CHECK(full.rows == full.cols, InvalidArgument, kWhere,
                   "visual tokens of the picture with side, got {} x {}, expected a square (or a budget)",
                   full.rows, full.cols);
      const int32_t side = params.integer("side");
      WINNOW_CHECK(side <= full.rows, InvalidArgument, kWhere, "side, got {}, expected 1 to {}", side,
                   full.rows);
      WINNOW_CHECK(n_keep == side * side, InvalidArgument, kWhere,
                   "tokens to keep with side={}, got {}, expected {} (or no count at all)", side, n_keep,
                   side * side);
      return {side, side};
    }
    WINNOW_CHECK(n_keep >= 1 && n_keep <= full.size(), InvalidArgument, kWhere,
                 "tokens to keep, got {}, expected 1 to {}", n_keep, full.size());
    return largest_grid(full, n_keep);
  }

 private:
  MethodInfo info_{.name = "resize",
                   .summary = "a smaller picture: the largest grid of its shape within the budget",
                   .paper = "baseline",
                   .stage = Stage::BeforeTower,
                   .outputs = Outputs::Means,
                   .params = {{.name = "side",
                               .kind = ParamKind::Integer,
                               .min = 1.0,
                               .max = 1024.0,
                               .help = "visual tokens of a side, instead of a budget"}}};
};

}  // namespace

const Method& resize_method() {
  static const Resize method;
  return method;
}

}  // namespace winnow::prune
