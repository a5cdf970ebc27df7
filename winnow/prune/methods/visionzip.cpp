// VisionZip: [CLS], the patches it attends to most (dominant), and the rest merged into a few targets
// (contextual).
// Yang et al. 2024, "VisionZip: Longer is Better but Not Necessary in Vision Language Models", arXiv
// 2412.04467. Reference: dvlab-research/VisionZip @3151f6df4f, visionzip/clip_encoder.py and
// visionzip/utils.py.
//   dominant    = most [CLS] attention of the block whose output the projector reads, in raster order
//   targets     = tokens 0, s, 2s ... of the R others, s = max(1, floor(R / contextual))
//   contextual  = target + mean of the other tokens whose key (mean over heads) is nearest to it by cosine
// Outputs: [CLS] (input n of the plan), dominant, contextual; n_keep counts all of them. The published counts
// (192 = 162 + 30, 128 = 108 + 20, 64 = 54 + 10, [CLS] among the first) are contextual = 10 / 64 of n_keep.
// Paper and code disagree: the paper averages a target with its tokens, the code adds their mean to it.
// Default: the code (merge=add); merge=average: the paper. [CLS] takes the position of the first token at
// which no other output stands. For towers without [CLS]: metric=column (mean attention over all query rows,
// as ports do) with cls_token=off. Pictures in tiles (the reference's restore_image_features_sorted): first
// the whole picture's outputs as they are, then the dominant tokens of all tiles in raster order of the
// canvas, then the tiles' [CLS] tokens, then their contextual ones.

#include <algorithm>
#include <cmath>

#include "winnow/base/error.h"
#include "winnow/prune/method.h"
#include "winnow/prune/nearest.h"
#include "winnow/prune/ops.h"

namespace winnow::prune {
namespace {

constexpr Need kKeys{Signal::TowerKeys, kFeatureBlock};

Need attention_need(const Params& params) {
  return {params.choice("metric") == "cls" ? Signal::ClsAttention : Signal::ColumnAttention, kFeatureBlock};
}

bool with_cls(const Params& params) { return params.choice("cls_token") == "on"; }

/// Contextual outputs among n_keep.
int32_t contextual_count(const Params& params, int32_t n_keep) {
  const int32_t wanted = params.has("contextual_count")
                             ? params.integer("contextual_count")
                             : static_cast<int32_t>(std::floor(params.real("contextual") * n_keep + 0.5));
  return std::min(wanted, n_keep - (with_cls(params) ? 1 : 0));
}

/// Mean over heads of keys [n, n_head * d], as unit rows: [n * d].
std::vector<float> unit_head_means(const MatrixView& keys, int64_t n_head) {
  WINNOW_CHECK(keys.cols % n_head == 0, InvalidArgument, "prune.visionzip",
               "width of tower_keys, got {}, expected a multiple of the {} heads of the attention", keys.cols,
               n_head);
  const int64_t width = keys.cols / n_head;
  std::vector<float> means;
  for (int64_t row = 0; row < keys.rows; ++row) {
    const std::vector<float> mean = mean_row({keys.row(row).data(), n_head, width});
    means.insert(means.end(), mean.begin(), mean.end());
  }
  return unit_rows({means.data(), keys.rows, width});
}

class VisionZip final : public Method {
 public:
  const MethodInfo& info() const override { return info_; }

  std::vector<Need> needs(const Params& params) const override {
    std::vector<Need> needs{attention_need(params), kKeys};
    if (with_cls(params)) needs.push_back({Signal::ClsToken});
    return needs;
  }

  Plan select(const Signals& signals, int32_t n_keep, const Params& params, Rng&) const override {
    const MatrixView attention = signals.view(attention_need(params));
    std::vector<float> scores = head_mean(attention);
    const int32_t contextual = contextual_count(params, n_keep);
    const std::vector<int32_t> dominant = top_k(scores, n_keep - contextual - (with_cls(params) ? 1 : 0));

    enum class Role { Dominant, Target, Merged };
    std::vector<Role> roles(scores.size(), Role::Merged);
    for (const int32_t token : dominant) roles[token] = Role::Dominant;
    const int32_t stride =
        std::max(1, (signals.n() - static_cast<int32_t>(dominant.size())) / std::max(1, contextual));
    std::vector<int32_t> targets, merged;
    int32_t seen = 0;
    for (int32_t token = 0; token < signals.n(); ++token) {
      if (roles[token] == Role::Dominant) continue;
      const bool target = seen % stride == 0 && static_cast<int32_t>(targets.size()) < contextual;
      if (target) roles[token] = Role::Target;
      (target ? targets : merged).push_back(token);
      ++seen;
    }

    Plan plan;
    if (with_cls(params)) {
      const auto free = std::find(roles.begin(), roles.end(), Role::Merged);
      plan.add_merged(std::vector<int32_t>{signals.n()}, std::vector<float>{1.0F},
                      static_cast<int32_t>(free - roles.begin()));
    }
    for (const int32_t token : dominant) plan.add_kept(token);
    if (!targets.empty()) {
      const std::vector<float> units = unit_head_means(signals.view(kKeys), attention.rows);
      const auto width = static_cast<int64_t>(units.size() / scores.size());
      add_contextual(plan, nearest_rows({units.data(), signals.n(), width}, merged, targets), merged, targets,
                     params.choice("merge") == "average");
    }
    plan.scores = std::move(scores);
    return plan;
  }

  std::optional<int32_t> tile_group(const Plan& plan, int32_t output, const Params& params) const override {
    constexpr int32_t kDominant = 0, kCls = 1, kContextual = 2;
    if (with_cls(params) && output == 0) return kCls;
    return output < plan.n_out() - contextual_count(params, plan.n_out()) ? kDominant : kContextual;
  }

 private:
  static void add_contextual(Plan& plan, const Nearest& nearest, const std::vector<int32_t>& merged,
                             const std::vector<int32_t>& targets, bool average) {
    std::vector<std::vector<int32_t>> sources(targets.size());
    for (std::size_t i = 0; i < targets.size(); ++i) sources[i].push_back(targets[i]);
    for (std::size_t i = 0; i < merged.size(); ++i) sources[nearest.target[i]].push_back(merged[i]);
    for (std::size_t i = 0; i < targets.size(); ++i) {
      const auto others = static_cast<float>(sources[i].size() - 1);
      std::vector<float> weights(sources[i].size(), average ? 1.0F / (others + 1.0F) : 1.0F / others);
      if (!average) weights[0] = 1.0F;
      plan.add_merged(sources[i], weights, targets[i]);
    }
  }

  MethodInfo info_{
      .name = "visionzip",
      .summary = "[CLS], most [CLS] attention, and the rest merged into evenly spaced tokens by key",
      .paper = "Yang et al. 2024, arXiv 2412.04467",
      .stage = Stage::AfterTower,
      .outputs = Outputs::Sums,
      .raster_order = false,
      .before_projector = true,
      .params = {{.name = "contextual",
                  .kind = ParamKind::Real,
                  .default_value = "0.15625",
                  .min = 0.0,
                  .max = 1.0,
                  .help = "share of n_keep that are merged tokens"},
                 {.name = "contextual_count",
                  .kind = ParamKind::Integer,
                  .min = 0,
                  .max = 65536,
                  .help = "their number instead (at most n_keep, less [CLS])"},
                 {.name = "cls_token",
                  .kind = ParamKind::Choice,
                  .default_value = "on",
                  .choices = {"on", "off"},
                  .help = "the tower's [CLS] token is the first output; off for towers without one"},
                 {.name = "metric",
                  .kind = ParamKind::Choice,
                  .default_value = "cls",
                  .choices = {"cls", "column"},
                  .help = "attention of [CLS], or mean over all query rows for towers without it"},
                 {.name = "merge",
                  .kind = ParamKind::Choice,
                  .default_value = "add",
                  .choices = {"add", "average"},
                  .help = "target plus the mean of its tokens (the code), or their average (the paper)"}}};
};

}  // namespace

const Method& visionzip_method() {
  static const VisionZip method;
  return method;
}

}  // namespace winnow::prune
