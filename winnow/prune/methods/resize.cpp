// A smaller picture instead of pruning: the baseline that pruning has to beat. The picture is scaled to a
// smaller square and the tower's position embeddings to its grid (engine/vision/position_grid.h), so tower,
// projector and decoder all have less to do.
// - A budget becomes the largest square of visual tokens that is not above it: 30 % of 24 x 24 are 172, and
//   13 x 13 = 169 remain.
// - side=N asks for N x N visual tokens: where the projector merges k x k patches, N k patches a side.
// - Several pictures share a budget evenly, so that all have the same size.

#include <cmath>
#include <optional>

#include "winnow/base/error.h"
#include "winnow/prune/picture_method.h"

namespace winnow::prune {
namespace {

constexpr const char* kWhere = "prune.resize";

/// Largest s with s * s <= n.
int32_t square_side(int32_t n) {
  auto side = static_cast<int32_t>(std::sqrt(static_cast<double>(n)));
  while (side * side > n) --side;
  while ((side + 1) * (side + 1) <= n) ++side;
  return side;
}

class Resize final : public PictureMethod {
 public:
  const MethodInfo& info() const override { return info_; }

  std::optional<int32_t> fixed_count(const Grid&, const Params& params) const override {
    if (!params.has("side")) return std::nullopt;
    return params.integer("side") * params.integer("side");
  }

  Grid grid(const Grid& full, int32_t n_keep, const Params& params) const override {
    WINNOW_CHECK(full.rows == full.cols && full.rows >= 1, InvalidArgument, kWhere,
                 "visual tokens of the picture, got {} x {}, expected a square", full.rows, full.cols);
    if (params.has("side")) {
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
    const int32_t side = square_side(n_keep);
    return {side, side};
  }

 private:
  MethodInfo info_{.name = "resize",
                   .summary = "a smaller picture: the largest square of visual tokens within the budget",
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
