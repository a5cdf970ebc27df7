// SparseVLM: the visual tokens that those text tokens attend to which the image has to do with; what is
// dropped is partly recycled as means of clusters. Zhang et al. 2024, "SparseVLM: Visual Token Sparsification
// for Efficient Vision-Language Model Inference", arXiv 2410.04417, section 3. Raters, from what enters the
// decoder (E_v: visual, the dropped too; E_t: text):
//   m_t = mean over visual tokens of softmax_t(E_v E_t^T);   raters = { t : m_t > mean m }
// Before layer K, with A the attention of layer K-1:
//   s_j = mean over raters and heads of A[t, j];   the k tokens of largest s stay, in raster order
//   recycled: the int(0.3 dropped) + 1 dropped tokens of largest s, in c = int(that / 10) + 1 clusters
//   (dpc_knn.h) whose means follow behind the kept tokens
// Reference: Gumpest/SparseVLMs @26a5f48813 (1.5, plus) and @91fb6d9857 (1.0).
//   version=1.0   after layers 2, 6, 15, 19;  1.5 and plus: after 2, 6, 15 (our layers are one more: before
//   3, 7, 16) version=plus  (the repository's 2.0) divides A by what rotary embedding alone gives to queries
//   and keys of ones,
//                 B[t, j] = 2 / sqrt(d) sum_{i < d / 2} cos((p_t - p_j) base^(-2 i / d)), keeps the 14 heads
//                 of largest sum over raters and image, recycles nothing and keeps original position ids
// Counts. n_keep is everything that remains, k + c; k is the largest that gives it (where 1 + c tokens are
// already more than n_keep: k = 1 and fewer clusters). Without a count the rank decides, in any version:
//   k = min(int(rank x scale + bias), n - 1), rank of the raters x n block of A (matrix_rank.h); nothing is
//   dropped when the rank is n. The authors' scale / bias for 1.0 are 13.5 / 0 (192 of 576), 9 / 6 (128) and
//   0.8 / 0 (64).
// Schedule: 1.5 and plus have tables of k for averages of 192, 128, 96 and 64 of 576; others lie on the line
// through them. 1.0 leaves the count to the rank, or for an average keeps the same part at each step. The
// average is the authors': a layer counts by what it hands on, so 192 means that layers see 206.5.
// average=inputs counts what they see, as for other methods, and uses no table as it is. Deviations: cluster
// means divide by the count, not count + 1e-6; without a rater (equal m) all text rates; |B| is at least
// 1e-6; the noise that breaks ties of density is the run's generator's; at least one token is kept.

#include <algorithm>
#include <cmath>
#include <numeric>

#include "winnow/base/error.h"
#include "winnow/prune/dpc_knn.h"
#include "winnow/prune/matrix_rank.h"
#include "winnow/prune/method.h"
#include "winnow/prune/ops.h"
#include "winnow/prune/raters.h"
#include "winnow/prune/staged.h"

namespace winnow::prune {
namespace {

constexpr std::size_t kPlusHeads = 14;

/// B by distance in position ids, for distances 0 to `farthest`.
std::vector<float> rope_bias(const Rope& rope, int32_t farthest) {
  constexpr double kLeast = 1e-6;
  std::vector<float> bias;
  for (int32_t distance = 0; distance <= farthest; ++distance) {
    double sum = 0.0;
    for (int32_t i = 0; i < rope.d_head / 2; ++i) {
      sum += std::cos(distance * std::pow(static_cast<double>(rope.base), -2.0 * i / rope.d_head));
    }
    const double value = 2.0 * sum / std::sqrt(static_cast<double>(rope.d_head));
    bias.push_back(static_cast<float>(std::copysign(std::max(std::abs(value), kLeast), value)));
  }
  return bias;
}

/// B for each rater and visual token. Returns [raters.size() * n].
std::vector<float> bias_of_pairs(const Signals& signals, std::span<const int32_t> raters) {
  const auto n = static_cast<std::size_t>(signals.n());
  WINNOW_CHECK(signals.ids.size() == n && std::ssize(signals.text_ids) == signals.text_embeds.rows &&
                   signals.rope.d_head >= 2,
               InvalidArgument, "prune.sparsevlm",
               "position ids, got {} of {} visual and {} of {} text tokens and a head of {}, expected all "
               "(0: positions have several axes, for which version=plus has no formula)",
               signals.ids.size(), n, signals.text_ids.size(), signals.text_embeds.rows, signals.rope.d_head);
  std::vector<int32_t> distances;
  for (const int32_t rater : raters) {
    for (const int32_t id : signals.ids) {
      distances.push_back(std::abs(signals.text_ids[static_cast<std::size_t>(rater)] - id));
    }
  }
  const std::vector<float> bias =
      rope_bias(signals.rope, *std::max_element(distances.begin(), distances.end()));
  std::vector<float> pairs;
  for (const int32_t distance : distances) pairs.push_back(bias[static_cast<std::size_t>(distance)]);
  return pairs;
}

/// The heads of largest corrected attention between raters and image, ascending.
std::vector<int32_t> strongest_heads(const Signals& signals, std::span<const int32_t> raters,
                                     std::span<const float> bias) {
  const int64_t n_text = signals.text_embeds.rows;
  const int64_t n_head = signals.text_attention.rows / n_text;
  const auto n = static_cast<std::size_t>(signals.n());
  std::vector<float> sums;
  for (int64_t head = 0; head < n_head; ++head) {
    double sum = 0.0;
    for (std::size_t r = 0; r < raters.size(); ++r) {
      const std::span<const float> row = signals.text_attention.row(head * n_text + raters[r]);
      for (std::size_t j = 0; j < n; ++j) sum += static_cast<double>(row[j] / bias[r * n + j]);
    }
    sums.push_back(saturated(sum));
  }
  return top_k(sums, static_cast<int32_t>(std::min(kPlusHeads, sums.size())));
}

/// Attention of each rater to each visual token, mean over heads. Returns [raters.size() * n].
std::vector<float> rater_attention(const Signals& signals, std::span<const int32_t> raters, bool plus) {
  const auto n_text = static_cast<int32_t>(signals.text_embeds.rows);
  std::vector<int32_t> heads(static_cast<std::size_t>(signals.text_attention.rows / n_text));
  std::iota(heads.begin(), heads.end(), 0);
  if (!plus) return text_head_mean(signals.text_attention, n_text, raters, heads);
  const std::vector<float> bias = bias_of_pairs(signals, raters);
  heads = strongest_heads(signals, raters, bias);
  std::vector<float> attention = text_head_mean(signals.text_attention, n_text, raters, heads);
  for (std::size_t at = 0; at < attention.size(); ++at) attention[at] /= bias[at];
  return attention;
}

int32_t recycled_count(int32_t n_dropped) { return static_cast<int32_t>(n_dropped * 0.3) + 1; }
int32_t cluster_count(int32_t n_dropped) { return recycled_count(n_dropped) / 10 + 1; }

struct Split {
  int32_t kept = 0;
  int32_t clusters = 0;
};

/// k + c = n_keep of n tokens.
Split split(int32_t n, int32_t n_keep) {
  for (int32_t kept = n_keep; kept >= 1; --kept) {
    const int32_t clusters = cluster_count(n - kept);
    if (kept + clusters == n_keep) return {kept, clusters};
  }
  return {1, n_keep - 1};
}

/// The count that the rank of the raters' attention [n_rater, n] asks for.
Split split_by_rank(const MatrixView& attention, const Params& params, bool recycles) {
  const auto n = static_cast<int32_t>(attention.cols);
  const int32_t rank = matrix_rank(attention);
  if (rank == n) return {n, 0};
  const double wanted = rank * params.real("scale") + params.real("bias");
  const auto kept = static_cast<int32_t>(std::clamp(wanted, 1.0, std::max(1.0, n - 1.0)));
  return {kept, recycles && kept < n ? cluster_count(n - kept) : 0};
}

/// Appends the means of `count` clusters of the best dropped tokens.
void add_recycled(Plan& plan, const Signals& signals, std::span<const float> scores, int32_t count,
                  Rng& rng) {
  const std::size_t n_kept = plan.index.size();
  const std::vector<int32_t> ranked = best_first(scores, signals.n());
  const std::span<const int32_t> dropped = std::span(ranked).subspan(n_kept);
  const std::span<const int32_t> recycled =
      dropped.first(static_cast<std::size_t>(recycled_count(static_cast<int32_t>(dropped.size()))));
  std::vector<double> noise(recycled.size());
  for (double& value : noise) value = 1e-6 * rng.uniform();
  const Clusters clusters = dpc_knn(signals.hidden, recycled, count, noise);
  std::vector<std::vector<int32_t>> members(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < recycled.size(); ++i) {
    members[static_cast<std::size_t>(clusters.label[i])].push_back(recycled[i]);
  }
  for (std::size_t c = 0; c < members.size(); ++c) {
    const std::vector<float> weights(members[c].size(), 1.0F / static_cast<float>(members[c].size()));
    plan.add_merged(members[c], weights, recycled[static_cast<std::size_t>(clusters.centres[c])]);
  }
}

const std::vector<Setting>& settings(bool plus) {
  const auto tokens = [](double average, std::vector<double> kept) {
    for (double& count : kept) count /= 576.0;
    return Setting{average, std::move(kept)};
  };
  static const std::vector<Setting> v15{tokens(64, {66, 30, 17}), tokens(96, {238, 48, 26}),
                                        tokens(128, {303, 110, 36}), tokens(192, {300, 200, 110})};
  static const std::vector<Setting> v20{tokens(64, {66, 34, 20}), tokens(96, {246, 54, 28}),
                                        tokens(128, {238, 108, 60}), tokens(192, {300, 200, 118})};
  return plus ? v20 : v15;
}

class SparseVlm final : public Method {
 public:
  const MethodInfo& info() const override { return info_; }

  PositionPolicy position(const Params& params) const override {
    return is_plus(params) ? PositionPolicy::Original : PositionPolicy::Compact;
  }

  std::vector<Need> needs(const Params& params) const override {
    std::vector<Need> needs{{Signal::TextAttention}, {Signal::InputEmbeds}, {Signal::TextEmbeds}};
    if (!is_plus(params)) needs.push_back({Signal::Hidden});
    return needs;
  }

  std::vector<Scheduled> schedule(const ScheduleRequest& request, const Params& params) const override {
    const bool by_outputs = params.choice("average") == "outputs";
    const int32_t shift = by_outputs ? -1 : 0;
    if (params.choice("version") == "1.0") {
      constexpr std::size_t kStages = 4;
      const Staged staged(info_.name, {3, 7, 16, 20}, shift);
      if (request.average <= 0.0) return staged.steps(request, Counts(kStages, kMethodDecides));
      return staged.solved(request, [&](double t) { return geometric_counts(request.n_visual, kStages, t); });
    }
    const auto counts = [&](std::span<const double> shares) {
      Counts remaining;
      int32_t n = request.n_visual;
      for (const double share : shares) {
        const int32_t kept = std::min(n, whole_tokens(share, request.n_visual, 1));
        n = is_plus(params) || kept == n ? kept : kept + cluster_count(n - kept);
        remaining.push_back(n);
      }
      return remaining;
    };
    const Staged staged(info_.name, {3, 7, 16}, shift);
    const std::vector<Setting>& table = settings(is_plus(params));
    if (by_outputs || request.average <= 0.0) return staged.published(request, table, 192, counts);
    return staged.solved_on_line(request, table, counts);
  }

  Plan select(const Signals& signals, int32_t n_keep, const Params& params, Rng& rng) const override {
    const bool plus = is_plus(params);
    const int32_t n = signals.n();
    const std::vector<int32_t> raters = text_raters(signals.input_embeds, signals.text_embeds);
    const std::vector<float> attention = rater_attention(signals, raters, plus);
    const MatrixView by_rater{attention.data(), std::ssize(raters), n};
    std::vector<float> scores = head_mean(by_rater);  // over the raters

    Split counts{n_keep, 0};
    if (n_keep == kMethodDecides) {
      counts = split_by_rank(by_rater, params, !plus);
    } else if (!plus) {
      counts = split(n, n_keep);
    }
    Plan plan = selection_plan(top_k(scores, counts.kept));
    if (counts.clusters > 0) add_recycled(plan, signals, scores, counts.clusters, rng);
    plan.scores = std::move(scores);
    return plan;
  }

 private:
  static bool is_plus(const Params& params) { return params.choice("version") == "plus"; }

  MethodInfo info_{
      .name = "sparsevlm",
      .summary =
          "most attention from the text that the image relates to; dropped tokens recycled as cluster means",
      .paper = "Zhang et al. 2024, arXiv 2410.04417",
      .stage = Stage::BeforeLayer,
      .default_layer = 3,
      .min_layer = 1,
      .position = PositionPolicy::Compact,
      .adaptive = true,
      .outputs = Outputs::Means,
      .raster_order = false,
      .params = {
          {.name = "version",
           .kind = ParamKind::Choice,
           .default_value = "1.5",
           .choices = {"1.0", "1.5", "plus"},
           .help = "release: count by rank, by table, or SparseVLM+ (corrected for distance, no recycling)"},
          {.name = "scale",
           .kind = ParamKind::Real,
           .default_value = "13.5",
           .min = 0.0,
           .max = 1000.0,
           .help = "tokens kept per rank of the text's attention, without a count"},
          {.name = "bias",
           .kind = ParamKind::Real,
           .default_value = "0",
           .min = -1000.0,
           .max = 1000.0,
           .help = "tokens kept besides, without a count"},
          {.name = "average",
           .kind = ParamKind::Choice,
           .default_value = "outputs",
           .choices = {"outputs", "inputs"},
           .help = "whether a layer average counts what layers hand on (as the authors do) or see"}}};
};

}  // namespace

const Method& sparsevlm_method() {
  static const SparseVlm method;
  return method;
}

}  // namespace winnow::prune
