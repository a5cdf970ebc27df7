// BTP, balanced token pruning: early stages keep tokens that the next layers need (spread and diverse), later
// ones those that the answer needs (attended to), each stage a mixture.
// "Balanced Token Pruning: Accelerating Vision Language Models Beyond Local Optimization", arXiv 2505.22038,
// section 4. n_keep tokens are the union, without repetition and in this order, of
//   int(spatial n_keep)    tokens by farthest-point sampling on the grid, Manhattan distance, from the first
//   token int(diversity n_keep)  tokens by max-min cosine distance of the hidden states entering layer K, the
//   first of
//                          them the one farthest from its nearest neighbour
//   a = int(attention n_keep) tokens by attention of the prompt's last token in layer K-1, mean over heads,
//                          rebalanced: of the int(expand a) best, those with index < n_keep first, then the
//                          others
// and what is still missing by going on with the max-min distance from all of these.
// Reference: allenhaozhu/NeurIPS2025-Balanced-Token-Pruning @9682db0683 (the authors' file as first
// committed), llava/modeling_llama.py. Schedule (one, for LLaVA-1.5): before layers 3, 6, 14, 22 of 32 there
// remain 1/2, 1/4, 1/12 and none of the tokens; layers see 129 of 576, published as 128. Other averages lie
// on the line no tokens - this - all tokens. The shares and expand of each stage are the schedule's; a single
// step has those of the first stage. Deviations: at the second stage the reference unites numbers with
// one-element tensors and so keeps repeated tokens twice; here none repeats. Where the parts have more than
// n_keep tokens together, it keeps them all and prints "Bug!"; here exactly n_keep, so attention is cut
// short. On an image that was already pruned the grid part works on the tokens that remain.

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "winnow/prune/farthest.h"
#include "winnow/prune/method.h"
#include "winnow/prune/ops.h"
#include "winnow/prune/staged.h"

namespace winnow::prune {
namespace {

int32_t part_of(double share, int32_t n_keep) { return static_cast<int32_t>(share * n_keep); }

/// Hidden states are compared unless a part of its own fills the budget.
bool needs_hidden(const Params& params) {
  return params.real("diversity") > 0.0 || (params.real("attention") < 1.0 && params.real("spatial") < 1.0);
}

std::vector<int32_t> spatial_tokens(const Signals& signals, int32_t count) {
  const int32_t cols = signals.grid.cols;
  const auto manhattan = [&](int32_t from, std::span<float> to_each) {
    const std::div_t a = std::div(signals.cell(from), cols);
    for (int32_t j = 0; j < signals.n(); ++j) {
      const std::div_t b = std::div(signals.cell(j), cols);
      to_each[static_cast<std::size_t>(j)] =
          static_cast<float>(std::abs(a.quot - b.quot) + std::abs(a.rem - b.rem));
    }
  };
  std::vector<int32_t> chosen;
  extend_farthest(chosen, count, signals.n(), 0, manhattan);
  return chosen;
}

/// Most attended tokens, best first, the early half of the image before the late one.
std::vector<int32_t> rebalanced(std::span<const float> scores, int32_t count, double expand, int32_t early) {
  const int32_t n = static_cast<int32_t>(scores.size());
  std::vector<int32_t> best = best_first(scores, std::min(n, part_of(expand, count)));
  std::stable_partition(best.begin(), best.end(), [&](int32_t token) { return token < early; });
  best.resize(static_cast<std::size_t>(count));
  return best;
}

/// A set of at most `limit` tokens in the order of arrival.
class Union {
 public:
  Union(int32_t n, int32_t limit) : there_(static_cast<std::size_t>(n), false), limit_(limit) {}

  void add(std::span<const int32_t> tokens) {
    for (const int32_t token : tokens) {
      if (std::ssize(tokens_) == limit_ || there_[static_cast<std::size_t>(token)]) continue;
      there_[static_cast<std::size_t>(token)] = true;
      tokens_.push_back(token);
    }
  }
  std::vector<int32_t>& tokens() { return tokens_; }

 private:
  std::vector<bool> there_;
  std::vector<int32_t> tokens_;
  int32_t limit_;
};

/// Adds the diverse tokens, then those by attention, then more diverse ones until there are n_keep.
void add_by_content(Union& kept, const Signals& signals, int32_t n_keep, const Params& params,
                    std::span<const float> attention) {
  const auto add_attended = [&] {
    const int32_t count = part_of(params.real("attention"), n_keep);
    if (count > 0) kept.add(rebalanced(attention, count, params.real("expand"), n_keep));
  };
  if (!needs_hidden(params)) {
    add_attended();
    return;
  }
  const DistancesFrom distances = cosine_distances(signals.hidden);
  const auto extend = [&](std::vector<int32_t>& chosen, int32_t count) {
    const int32_t first = chosen.empty() ? most_isolated(signals.n(), distances) : chosen.front();
    extend_farthest(chosen, count, signals.n(), first, distances);
  };
  if (const int32_t count = part_of(params.real("diversity"), n_keep); count > 0) {
    std::vector<int32_t> diverse;
    extend(diverse, count);
    kept.add(diverse);
  }
  add_attended();
  extend(kept.tokens(), n_keep);
}

class Btp final : public Method {
 public:
  const MethodInfo& info() const override { return info_; }

  std::vector<Need> needs(const Params& params) const override {
    std::vector<Need> needs;
    if (needs_hidden(params)) needs.push_back({Signal::Hidden});
    if (params.real("attention") > 0.0) needs.push_back({Signal::LastTextAttention});
    return needs;
  }

  std::vector<Scheduled> schedule(const ScheduleRequest& request, const Params&) const override {
    static const std::vector<Setting> kSettings{{128, {1.0 / 2, 1.0 / 4, 1.0 / 12, 0.0}}};
    const auto counts = [&](std::span<const double> shares) {
      Counts kept;
      for (const double share : shares) {
        kept.push_back(whole_tokens(share, request.n_visual, kept.size() == 3 ? 0 : 1));
      }
      return kept;
    };
    static const std::vector<int32_t> kLayers{3, 6, 14, 22};
    std::vector<Scheduled> steps = Staged(info_.name, kLayers).published(request, kSettings, 128, counts);
    const std::vector<std::map<std::string, std::string>> shares{
        {{"spatial", "0.5"}, {"diversity", "0.3"}, {"attention", "0.3"}, {"expand", "3.7"}},
        {{"spatial", "0"}, {"diversity", "0.1"}, {"attention", "0.9"}, {"expand", "1.5"}},
        {{"spatial", "0"}, {"diversity", "0"}, {"attention", "1"}, {"expand", "1.2"}},
        {{"spatial", "0"}, {"diversity", "0"}, {"attention", "1"}, {"expand", "1.2"}}};
    for (std::size_t stage = 0; stage < kLayers.size(); ++stage) {
      for (Scheduled& step : steps) {  // in a shallow decoder the last of several at one layer
        if (step.layer == scaled_layer(kLayers[stage], request.n_layer)) step.params = shares[stage];
      }
    }
    return steps;
  }

  Plan select(const Signals& signals, int32_t n_keep, const Params& params, Rng&) const override {
    std::vector<float> attention;
    if (params.real("attention") > 0.0) attention = head_mean(signals.last_text_attention);
    Union kept(signals.n(), n_keep);
    if (const int32_t count = part_of(params.real("spatial"), n_keep); count > 0) {
      kept.add(spatial_tokens(signals, count));
    }
    add_by_content(kept, signals, n_keep, params, attention);
    std::sort(kept.tokens().begin(), kept.tokens().end());
    Plan plan = selection_plan(kept.tokens());
    plan.scores = std::move(attention);
    return plan;
  }

 private:
  static ParamSpec share(std::string name, std::string value, std::string help) {
    return {std::move(name), ParamKind::Real, std::move(value), 0.0, 1.0, {}, std::move(help)};
  }

  MethodInfo info_{
      .name = "btp",
      .summary = "spread over the grid, diverse hidden states and most attended, in shares per stage",
      .paper = "Li et al. 2025, arXiv 2505.22038",
      .stage = Stage::BeforeLayer,
      .default_layer = 3,
      .min_layer = 1,
      .position = PositionPolicy::Original,
      .may_drop_all = true,
      .params = {share("spatial", "0.5", "share of the kept tokens that is spread evenly over the grid"),
                 share("diversity", "0.3", "share by max-min cosine distance of hidden states"),
                 share("attention", "0.3", "share by attention from the last prompt token"),
                 {.name = "expand",
                  .kind = ParamKind::Real,
                  .default_value = "3.7",
                  .min = 1.0,
                  .max = 100.0,
                  .help = "candidates per token taken by attention, of which early ones go first"}}};
};

}  // namespace

const Method& btp_method() {
  static const Btp method;
  return method;
}

}  // namespace winnow::prune
