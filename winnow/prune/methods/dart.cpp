// DART: a few pivot tokens, and around each the visual tokens that repeat it least.
// Wen et al. 2025, "Stop Looking for Important Tokens in Multimodal Language Models: Duplication Matters
// More", arXiv 2502.11494, section 4. Before layer K:
//   pivots: the 4 visual and the 4 text tokens of largest |k|_1, k = rotated keys of layer K-1, all key heads
//   for each pivot p in turn: of the visual tokens not taken yet, the t of lowest cos(x_p, x_j), x = hidden
//   state entering layer K after the model's final norm kept: the visual pivots and all that was taken
// Reference: ZichenWen1/EPIC (same first author) @b2ed9cd, DART.get_retained_image_token.
// - Order of the pivots: it decides which tokens are taken. The reference iterates over a Python set of
// positions
//   in the sequence; cpython_set.h reproduces that from the position ids.
// - Count: the reference keeps 4 + 8 t, t = int(budget / 8): 132 for its "128" of LLaVA-1.5, 124 for a
// reduction
//   ratio of 0.778, 60 for 0.889. Here exactly n_keep remain: pivot i of P takes ceil(still wanted / (P -
//   i)), which is t for each whenever n_keep = 4 + 8 t.
// - stage=embeddings works on what enters the decoder, so that no layer runs on all tokens: |.|_1 and cosine
// of
//   projected features and text embeddings, pivots in the order of their norm, visual ones first; as the DART
//   of NVIDIA/TensorRT-Edge-LLM, which takes text pivots from all of the text, not only from what follows the
//   image.

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>

#include "winnow/base/error.h"
#include "winnow/prune/cpython_set.h"
#include "winnow/prune/method.h"
#include "winnow/prune/ops.h"

namespace winnow::prune {
namespace {

/// What is ranked by norm and what is compared, of visual and of text tokens.
struct Views {
  MatrixView keys;           // [n, d_key]
  MatrixView text_keys;      // [n_text, d_key]
  MatrixView features;       // [n, d]
  MatrixView text_features;  // [n_text, d]
};

/// A visual token, or text token `token - n`.
using Pivots = std::vector<int32_t>;

std::vector<int32_t> longest(const MatrixView& rows, int32_t count) {
  std::vector<float> norms;
  for (int64_t r = 0; r < rows.rows; ++r) norms.push_back(l1_norm(rows.row(r)));
  return best_first(norms, std::min(count, static_cast<int32_t>(rows.rows)));
}

Pivots find_pivots(const Views& views, int32_t n_visual_pivot, int32_t n_text_pivot) {
  Pivots pivots = longest(views.keys, n_visual_pivot);
  for (const int32_t token : longest(views.text_keys, n_text_pivot)) {
    pivots.push_back(static_cast<int32_t>(views.keys.rows) + token);
  }
  return pivots;
}

/// The pivots as a Python set of their positions hands them out.
Pivots in_set_order(const Pivots& pivots, const Signals& signals) {
  std::vector<int32_t> positions;
  for (const int32_t pivot : pivots) {
    const int32_t n = signals.n();
    const std::vector<int32_t>& ids = pivot < n ? signals.ids : signals.text_ids;
    const auto at = static_cast<std::size_t>(pivot < n ? pivot : pivot - n);
    WINNOW_CHECK(at < ids.size() && ids[at] >= 0, InvalidArgument, "prune.dart",
                 "position ids, got {} visual and {} text ids, expected one >= 0 for each token",
                 signals.ids.size(), signals.text_ids.size());
    positions.push_back(ids[at]);
  }
  Pivots ordered;
  for (const int32_t index : cpython_set_order(positions)) {
    ordered.push_back(pivots[static_cast<std::size_t>(index)]);
  }
  return ordered;
}

/// Cosine of every pivot to every visual token [pivots.size() * n].
std::vector<float> cosines_of(const Pivots& pivots, const Views& views) {
  const auto n = static_cast<int32_t>(views.features.rows);
  std::vector<float> rows;
  for (const int32_t pivot : pivots) {
    const std::span<const float> own =
        pivot < n ? views.features.row(pivot) : views.text_features.row(pivot - n);
    rows.insert(rows.end(), own.begin(), own.end());
  }
  return cosines_to(views.features, {rows.data(), std::ssize(pivots), views.features.cols});
}

/// The `count` tokens of `left` with the lowest of cosines [n]; they leave `left`, which ascends.
std::vector<int32_t> take_least_alike(std::span<const float> cosines, int32_t count,
                                      std::vector<int32_t>& left) {
  std::vector<float> unlike;
  for (const int32_t token : left) unlike.push_back(-cosines[static_cast<std::size_t>(token)]);
  std::vector<int32_t> taken;
  for (const int32_t index : top_k(unlike, count)) taken.push_back(left[static_cast<std::size_t>(index)]);
  std::vector<int32_t> rest;
  std::set_difference(left.begin(), left.end(), taken.begin(), taken.end(), std::back_inserter(rest));
  left = std::move(rest);
  return taken;
}

bool at_embeddings(const Params& params) { return params.choice("stage") == "embeddings"; }

class Dart final : public Method {
 public:
  const MethodInfo& info() const override { return info_; }

  Stage stage(const Params& params) const override {
    return at_embeddings(params) ? Stage::AfterTower : Stage::BeforeLayer;
  }

  std::vector<Need> needs(const Params& params) const override {
    if (at_embeddings(params)) return {{Signal::Projected}, {Signal::TextEmbeds}};
    return {{Signal::LayerKeys}, {Signal::TextKeys}, {Signal::HiddenNormed}, {Signal::TextNormed}};
  }

  Plan select(const Signals& signals, int32_t n_keep, const Params& params, Rng&) const override {
    const bool embeddings = at_embeddings(params);
    const Views views =
        embeddings ? Views{signals.projected, signals.text_embeds, signals.projected, signals.text_embeds}
                   : Views{signals.layer_keys, signals.text_keys, signals.hidden_normed, signals.text_normed};
    Pivots pivots =
        find_pivots(views, std::min(params.integer("visual_pivots"), n_keep), params.integer("text_pivots"));
    if (!embeddings) pivots = in_set_order(pivots, signals);

    std::vector<int32_t> left(static_cast<std::size_t>(signals.n()));
    std::iota(left.begin(), left.end(), 0);
    std::vector<int32_t> kept;
    for (const int32_t pivot : pivots) {
      if (pivot < signals.n()) kept.push_back(pivot);
    }
    std::erase_if(left, [&](int32_t token) { return std::ranges::find(kept, token) != kept.end(); });
    const std::vector<float> cosines = cosines_of(pivots, views);
    const auto n = static_cast<std::size_t>(signals.n());
    for (std::size_t i = 0; i < pivots.size(); ++i) {
      const auto pivots_left = static_cast<int32_t>(pivots.size() - i);
      const int32_t wanted = n_keep - static_cast<int32_t>(kept.size());
      const int32_t share = (wanted + pivots_left - 1) / pivots_left;
      const std::vector<int32_t> taken = take_least_alike(std::span(cosines).subspan(i * n, n), share, left);
      kept.insert(kept.end(), taken.begin(), taken.end());
    }
    std::sort(kept.begin(), kept.end());
    return selection_plan(kept);
  }

 private:
  MethodInfo info_{
      .name = "dart",
      .summary = "around a few pivots of long keys, the tokens that repeat them least",
      .paper = "Wen et al. 2025, arXiv 2502.11494",
      .stage = Stage::BeforeLayer,
      .default_layer = 2,
      .min_layer = 1,
      .position = PositionPolicy::Original,
      .params = {{.name = "visual_pivots",
                  .kind = ParamKind::Integer,
                  .default_value = "4",
                  .min = 1,
                  .max = 64,
                  .help = "visual tokens of largest norm"},
                 {.name = "text_pivots",
                  .kind = ParamKind::Integer,
                  .default_value = "4",
                  .min = 0,
                  .max = 64,
                  .help = "text tokens of largest norm"},
                 {.name = "stage",
                  .kind = ParamKind::Choice,
                  .default_value = "layer",
                  .choices = {"layer", "embeddings"},
                  .help = "before layer K on its inputs, or after the tower on the embeddings"}}};
};

}  // namespace

const Method& dart_method() {
  static const Dart method;
  return method;
}

}  // namespace winnow::prune
