// TRIM: the patches that fit the question, in raster order, and one token that is the mean of the rest.
// Song et al. 2024, "Less is More: A Simple yet Effective Token Reduction Method for Efficient Multi-modal
// LLMs", arXiv 2409.10994. Reference: FreedomIntelligence/TRIM @f5a232d51e,
// llava/model/multimodal_encoder/clip_encoder.py, token_reduction ("TextSim+").
//   score = softmax over the patches of -p_i . t, with p_i and t in CLIP's joint space, not normalised
//   k     = floor(n * share of the scores above Q3 + 1.5 (Q3 - Q1)), or n_keep - 1 with a count
// The minus sign is the authors': features of the tower's last but one layer fit the text the more, the less
// similar they are. The authors cut the text at CLIP's 77 tokens, so only the first row of clip_text counts;
// for longer questions theirs ends with an end token, which that row does not have.
// relevance=clip is the authors' rule, but needs the tower's text model, which few model files hold.
// relevance=embeddings is ours: softmax of the mean cosine between the projected patch and the text's token
// embeddings, without the minus. The engine turns the default, auto, into clip where it can; else it is
// embeddings. The authors' code hands its result on in float16; here it stays float32.

#include <algorithm>
#include <cmath>

#include "winnow/prune/method.h"
#include "winnow/prune/ops.h"
#include "winnow/prune/outliers.h"

namespace winnow::prune {
namespace {

bool by_clip(const Params& params) { return params.choice("relevance") == "clip"; }

/// -p_i . t of every row; in double, for products beyond float32.
std::vector<double> clip_fit(const MatrixView& patches, std::span<const float> text) {
  std::vector<double> fit;
  for (int64_t i = 0; i < patches.rows; ++i) {
    double product = 0.0;
    for (std::size_t c = 0; c < text.size(); ++c) {
      product += static_cast<double>(patches.row(i)[c]) * static_cast<double>(text[c]);
    }
    fit.push_back(-product);
  }
  return fit;
}

/// Mean cosine of every row of patches to the rows of text: its cosine to the mean of their unit vectors,
/// times the length of that mean.
std::vector<double> embedding_fit(const MatrixView& patches, const MatrixView& text) {
  const std::vector<float> unit_text = unit_rows(text);
  std::vector<float> mean(text.cols, 0.0F);
  for (int64_t t = 0; t < text.rows; ++t) {
    for (int64_t c = 0; c < text.cols; ++c) mean[c] += unit_text[t * text.cols + c];
  }
  for (float& value : mean) value /= static_cast<float>(text.rows);
  const double length = std::sqrt(wide_dot(mean, mean));
  std::vector<double> fit;
  for (const float cosine : cosine_to(patches, mean)) fit.push_back(cosine * length);
  return fit;
}

std::vector<float> softmax(const std::vector<double>& logits) {
  const double most = *std::max_element(logits.begin(), logits.end());
  double sum = 0.0;
  for (const double logit : logits) sum += std::exp(logit - most);
  std::vector<float> result;
  for (const double logit : logits) result.push_back(static_cast<float>(std::exp(logit - most) / sum));
  return result;
}

class Trim final : public Method {
 public:
  const MethodInfo& info() const override { return info_; }

  std::vector<Need> needs(const Params& params) const override {
    if (by_clip(params)) return {{Signal::ClipImage}, {Signal::ClipText}};
    return {{Signal::Projected}, {Signal::TextEmbeds}};
  }

  Plan select(const Signals& signals, int32_t n_keep, const Params& params, Rng&) const override {
    std::vector<float> scores =
        softmax(by_clip(params) ? clip_fit(signals.clip_image, signals.clip_text.row(0))
                                : embedding_fit(signals.projected, signals.text_embeds));
    const auto k =
        n_keep == kMethodDecides ? static_cast<int32_t>(signals.n() * outlier_share(scores)) : n_keep - 1;
    const std::vector<int32_t> kept = top_k(scores, k);
    std::vector<bool> is_kept(scores.size(), false);
    Plan plan;
    for (const int32_t token : kept) {
      plan.add_kept(token);
      is_kept[token] = true;
    }
    std::vector<int32_t> rest;
    for (int32_t token = 0; token < signals.n(); ++token) {
      if (!is_kept[token]) rest.push_back(token);
    }
    plan.add_merged(rest, std::vector<float>(rest.size(), 1.0F / static_cast<float>(rest.size())),
                    rest.back());
    plan.scores = std::move(scores);
    return plan;
  }

 private:
  MethodInfo info_{
      .name = "trim",
      .summary = "the best fit to the question, and one token that is the mean of the rest",
      .paper = "Song et al. 2024, arXiv 2409.10994",
      .stage = Stage::AfterTower,
      .adaptive = true,
      .outputs = Outputs::Means,
      .raster_order = false,
      .before_projector = true,
      .reads_whole_turn = true,
      .params = {
          {.name = "relevance",
           .kind = ParamKind::Choice,
           .default_value = "auto",
           .choices = {"clip", "embeddings", "auto"},
           .help = "fit by CLIP's text model (the paper) or by the decoder's embeddings; auto: clip if the "
                   "model file has CLIP's text tower, else embeddings"}}};
};

}  // namespace

const Method& trim_method() {
  static const Trim method;
  return method;
}

}  // namespace winnow::prune
