// Bilinear resampling of the token grid to r x c outputs, as torch.nn.functional.interpolate(mode="bilinear",
// align_corners=False) does; LLaVA-OneVision (Li et al. 2024, arXiv 2408.03326) makes its video frames
// smaller so (27 x 27 -> 14 x 14).
//   output i of n along a side of s tokens samples at x = (i + 1/2) s / n - 1/2;
//   antialias=off  the two tokens beside x, by their distance
//   antialias=on   all tokens within s / n of x, by a triangle of that half width
// Rows and columns multiply. Off is torch's and LLaVA-OneVision's default; it skips tokens when it shrinks by
// more than two (24 -> 8 is every third token), where on uses all. 24 -> 12 without antialias is 2 x 2
// pooling. Without size the outputs are laid out as pooling's cells (cells.h), each sampled at its cell's
// centre, so that any count works and r x c counts are plain resampling. An output takes the position of the
// token at x, rounded towards the top left. A size never exceeds the grid: tokens are not made up. An image
// that was already pruned is resampled over the run of its remaining tokens.

#include <algorithm>
#include <cmath>
#include <vector>

#include "winnow/base/error.h"
#include "winnow/prune/cells.h"
#include "winnow/prune/method.h"

namespace winnow::prune {
namespace {

/// What one sample along a side is made of.
struct Samples {
  int32_t first = 0;            ///< token of the first weight
  std::vector<double> weights;  // sum 1
  int32_t position = 0;
};

/// Output i of n_out along a side of n_in >= n_out tokens.
Samples sample(int32_t i, int32_t n_out, int32_t n_in, bool antialias) {
  const int64_t twice = 2 * int64_t{n_out};
  const int64_t shifted = (2 * int64_t{i} + 1) * n_in - n_out;  // x in units of 1 / (2 n_out), exact
  Samples samples;
  samples.position = static_cast<int32_t>(shifted / twice);
  if (!antialias) {
    samples.first = samples.position;
    const double beyond = static_cast<double>(shifted % twice) / static_cast<double>(twice);
    samples.weights = {1.0 - beyond};
    if (beyond > 0.0) samples.weights.push_back(beyond);
    return samples;
  }
  const double x = static_cast<double>(shifted) / static_cast<double>(twice);
  const double reach = static_cast<double>(n_in) / n_out;
  samples.first = std::max(0, static_cast<int32_t>(std::ceil(x - reach)));
  const int32_t last = std::min(n_in - 1, static_cast<int32_t>(std::floor(x + reach)));
  double sum = 0.0;
  for (int32_t token = samples.first; token <= last; ++token) {
    samples.weights.push_back(1.0 - std::abs(token - x) / reach);
    sum += samples.weights.back();
  }
  for (double& weight : samples.weights) weight /= sum;
  return samples;
}

/// Adds the output of one row sample and one column sample.
void add_output(const Samples& row, const Samples& col, int32_t cols, Plan& plan) {
  std::vector<int32_t> sources;
  std::vector<float> weights;
  for (std::size_t r = 0; r < row.weights.size(); ++r) {
    for (std::size_t c = 0; c < col.weights.size(); ++c) {
      const auto weight = static_cast<float>(row.weights[r] * col.weights[c]);
      if (weight <= 0.0F) continue;
      sources.push_back((row.first + static_cast<int32_t>(r)) * cols + col.first + static_cast<int32_t>(c));
      weights.push_back(weight);
    }
  }
  plan.add_merged(sources, weights, row.position * cols + col.position);
}

class Bilinear final : public Method {
 public:
  const MethodInfo& info() const override { return info_; }
  std::vector<Need> needs(const Params&) const override { return {}; }

  std::optional<int32_t> fixed_count(const Grid& grid, const Params& params) const override {
    if (!params.has("size")) return std::nullopt;
    const Window size = params.window("size");
    return std::min(size.rows, grid.rows) * std::min(size.cols, grid.cols);
  }

  Plan select(const Signals& signals, int32_t n_keep, const Params& params, Rng&) const override {
    const bool whole = signals.token_of.empty();
    WINNOW_CHECK(whole || !params.has("size"), Unsupported, "prune.bilinear",
                 "size on an image that was already pruned, got {} of {} tokens, expected all", signals.n(),
                 signals.grid.size());
    const Grid grid = whole ? signals.grid : Grid{1, signals.n()};
    const std::vector<int32_t> bands =
        params.has("size") ? bands_of(params.window("size"), grid) : even_bands(grid, n_keep);
    const bool antialias = params.choice("antialias") == "on";
    const auto n_band = static_cast<int32_t>(bands.size());
    Plan plan;
    for (int32_t band = 0; band < n_band; ++band) {
      const Samples row = sample(band, n_band, grid.rows, antialias);
      const int32_t columns = bands[static_cast<std::size_t>(band)];
      for (int32_t column = 0; column < columns; ++column) {
        add_output(row, sample(column, columns, grid.cols, antialias), grid.cols, plan);
      }
    }
    return plan;
  }

 private:
  static std::vector<int32_t> bands_of(const Window& size, const Grid& grid) {
    return std::vector<int32_t>(static_cast<std::size_t>(std::min(size.rows, grid.rows)),
                                std::min(size.cols, grid.cols));
  }

  MethodInfo info_{
      .name = "bilinear",
      .summary = "bilinear resampling of the grid to n_keep tokens",
      .paper = "Li et al. 2024, arXiv 2408.03326",
      .stage = Stage::AfterTower,
      .outputs = Outputs::Means,
      .params = {{.name = "antialias",
                  .kind = ParamKind::Choice,
                  .default_value = "off",
                  .choices = {"off", "on"},
                  .help = "off: from the four tokens around a sample; on: from all that it stands for"},
                 {.name = "size",
                  .kind = ParamKind::Window,
                  .help = "resample to ROWSxCOLUMNS tokens; this fixes the count"}}};
};

}  // namespace

const Method& bilinear_method() {
  static const Bilinear method;
  return method;
}

}  // namespace winnow::prune
