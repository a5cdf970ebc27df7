// CDPruner: tokens that are different from each other and relevant to the question: greedy MAP of a
// determinantal point process (DPP) whose kernel is conditioned on relevance.
// Zhang et al. 2025, "Beyond Attention or Similarity: Maximizing Conditional Diversity for Token Pruning in
// MLLMs", arXiv 2506.10967.
//   K_ij = w_i * cos(f_i, f_j) * w_j, f = projected features;  w = r, or with theta
//   w = exp(theta / (2 (1 - theta)) * r);  r = relevance, min-max normalised (+ 1e-6) over the image
//   pick argmax_j of the gain in det K, n_keep times;  raster order
// Reference: Theia-4869/CDPruner @9541616c40, llava/model/llava_arch.py, encode_images.
//
// Relevance, with `sign` = auto:
//   clip        r_i = mean_m -cos(image_i, text_m) in CLIP's joint space. The minus is the reference's (the
//               paper writes none): patches of the last but one block are the LESS similar to the text the
//               more they show of it. The published numbers have it; sign=plus is the paper's equation.
//   embeddings  r_i = mean_m +cos(f_i, e_m), e = the text's token embeddings: for models without a CLIP text
//               tower, which the reference does not cover. The paper's equation; sign=minus turns it.
//   auto        the engine makes it clip where the model has CLIP's text tower; else embeddings
//
// The gain in det K by token i is w_i^2 * h_i, with h_i the squared length of what is left of the unit vector
// f_i / |f_i| when its parts along all picked vectors are taken away. The
// reference's Cholesky rows (without w_i), in double, for the tokens whose gain may be the largest alone
// (pick_lazily): gains only fall. Deviations: where h_i <= 1e-5 nothing new is left (duplicates, more picks
// than the features have dimensions, rows of zeros), and when that is so everywhere the rest is filled by
// relevance: the reference goes on with NaN. Minimum and maximum are those of one image, not of a batch of
// crops. The range that r is divided by has the same 1e-6 added: a factor common to all of K.

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "winnow/prune/greedy.h"
#include "winnow/prune/method.h"
#include "winnow/prune/ops.h"
#include "winnow/prune/similarity.h"

namespace winnow::prune {
namespace {

constexpr double kExhausted = 1e-5;

bool minus_sign(const Params& params) {
  const std::string& sign = params.choice("sign");
  return sign == "auto" ? params.choice("relevance") == "clip" : sign == "minus";
}

/// In (0, 1]; all 1 when no token is more relevant than another.
std::vector<float> relevance(const Signals& signals, const Params& params) {
  const bool clip = params.choice("relevance") == "clip";
  const MatrixView image = clip ? signals.clip_image : signals.projected;
  const MatrixView text = clip ? signals.clip_text : signals.text_embeds;
  const std::vector<float> image_units = unit_rows(image);
  const std::vector<float> text_units = unit_rows(text);
  std::vector<float> result(static_cast<std::size_t>(image.rows));
  // The mean over the text's rows may as well be taken first.
  inner_with({image_units.data(), image.rows, image.cols},
             mean_row({text_units.data(), text.rows, text.cols}), result);
  if (minus_sign(params)) {
    for (float& value : result) value = -value;
  }
  constexpr float kFloor = 1e-6F;
  const auto [low_at, high_at] = std::minmax_element(result.begin(), result.end());
  const float low = *low_at;
  const float range = *high_at - low;
  for (float& value : result) value = (value - low + kFloor) / (range + kFloor);
  return result;
}

/// The factors w of the kernel, up to one common to all.
std::vector<float> kernel_weights(const std::vector<float>& relevances, const Params& params) {
  if (!params.has("theta")) return relevances;
  const double theta = params.real("theta");
  const auto strength = static_cast<float>(theta / (2.0 * (1.0 - theta)));
  std::vector<float> weights;
  for (const float value : relevances) weights.push_back(std::exp(strength * (value - 1.0F)));
  return weights;
}

/// The Cholesky factor of the cosines between the picked tokens, and of every token's with them as far as it
/// was asked for (Chen et al. 2018, arXiv 1709.05135, algorithm 1), in double.
class Factor {
 public:
  explicit Factor(const MatrixView& unit)
      : picked_(unit), rows_(static_cast<std::size_t>(unit.rows)), left_(rows_.size(), 1.0) {
    for (int64_t i = 0; i < unit.rows; ++i) {
      if (all_zero(unit.row(i))) left_[static_cast<std::size_t>(i)] = 0.0;
    }
  }

  /// h: what of the token's length the picked ones do not explain. Never grows.
  double left(int32_t token) {
    const auto at = static_cast<std::size_t>(token);
    std::vector<double>& row = rows_[at];
    for (const float cosine : picked_.news(token)) {
      const std::size_t t = row.size();
      const std::span<const double> pick(factor_.data() + t * (t + 1) / 2 - t, t);
      row.push_back((static_cast<double>(cosine) - inner_double(row, pick)) / pivots_[t]);
      left_[at] -= row.back() * row.back();
    }
    return left_[at];
  }

  /// The token must be up to date, with something left.
  void take(int32_t token) {
    pivots_.push_back(std::sqrt(left_[static_cast<std::size_t>(token)]));
    const std::vector<double>& row = rows_[static_cast<std::size_t>(token)];
    factor_.insert(factor_.end(), row.begin(), row.end());
    picked_.add(token);
  }

 private:
  PickedRows picked_;
  std::vector<std::vector<double>> rows_;  // [n][picks that the token was compared with]
  std::vector<double> left_;
  std::vector<double> factor_;  // rows of the picks below the diagonal, one behind the other: row t has t
  std::vector<double> pivots_;  // the diagonal
};

class CdPruner final : public Method {
 public:
  const MethodInfo& info() const override { return info_; }

  std::vector<Need> needs(const Params& params) const override {
    if (params.choice("relevance") == "clip") {
      return {{Signal::Projected}, {Signal::ClipImage}, {Signal::ClipText}};
    }
    return {{Signal::Projected}, {Signal::TextEmbeds}};
  }

  Plan select(const Signals& signals, int32_t n_keep, const Params& params, Rng&) const override {
    const std::vector<float> relevances = relevance(signals, params);
    const std::vector<float> weights = kernel_weights(relevances, params);
    const std::vector<float> units = unit_rows(signals.projected);
    const MatrixView unit{units.data(), signals.projected.rows, signals.projected.cols};
    Factor factor(unit);
    const auto gain = [&](int32_t token) {
      const auto weight = static_cast<double>(weights[static_cast<std::size_t>(token)]);
      const double left = factor.left(token);
      return left > kExhausted ? static_cast<float>(weight * weight * left) : -1.0F;
    };
    std::vector<float> gains;
    for (int32_t token = 0; token < signals.n(); ++token) gains.push_back(gain(token));
    Picks picks(signals.n());
    pick_lazily(
        picks, gains, n_keep, gain, [&](int32_t token) { factor.take(token); }, 0.0F);
    picks.fill(descending_order(relevances), n_keep);
    return picks.plan();
  }

 private:
  MethodInfo info_{
      .name = "cdpruner",
      .summary = "largest determinant of relevance x cosine x relevance, one after the other",
      .paper = "Zhang et al. 2025, arXiv 2506.10967",
      .stage = Stage::AfterTower,
      .params = {
          {.name = "relevance",
           .kind = ParamKind::Choice,
           .default_value = "auto",
           .choices = {"embeddings", "clip", "auto"},
           .help =
               "to the question: cosine to the text's token embeddings, or in CLIP's joint space; auto: clip "
               "if the model file has CLIP's text tower, else embeddings"},
          {.name = "sign",
           .kind = ParamKind::Choice,
           .default_value = "auto",
           .choices = {"auto", "plus", "minus"},
           .help = "of the cosine; auto: minus with clip as in the authors' code, else plus"},
          {.name = "theta",
           .kind = ParamKind::Real,
           .min = 0.0,
           .max = 0.95,
           .help = "relevance r counts as exp(theta / (2 - 2 theta) r), 0 is diversity alone; not set: "
                   "as r"}}};
};

}  // namespace

const Method& cdpruner_method() {
  static const CdPruner method;
  return method;
}

}  // namespace winnow::prune
