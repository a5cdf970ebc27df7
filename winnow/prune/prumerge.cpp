#include "winnow/prune/prumerge.h"

#include <algorithm>

#include "winnow/prune/ops.h"
#include "winnow/prune/similarity.h"

namespace winnow::prune {
namespace {

Need of_block(Signal signal, const Params& params) {
  return {signal, params.choice("block") == "feature" ? kFeatureBlock : kNextBlock};
}

/// For each of some tokens the `count` others with the most similar keys, ascending.
std::vector<std::vector<int32_t>> neighbours_of(std::span<const int32_t> tokens, const MatrixView& unit_keys,
                                                int32_t count) {
  constexpr std::size_t kBlock = 256;
  constexpr float kBelowEveryCosine = -2.0F;
  const auto n = static_cast<std::size_t>(unit_keys.rows);
  std::vector<std::vector<int32_t>> out;
  std::vector<float> cosines;
  for (std::size_t first = 0; first < tokens.size(); first += kBlock) {
    const auto some = tokens.subspan(first, std::min(kBlock, tokens.size() - first));
    const std::vector<float> keys = gathered_rows(unit_keys, some);
    cosines.resize(some.size() * n);
    inner_block({keys.data(), std::ssize(some), unit_keys.cols}, unit_keys, cosines);
    for (std::size_t i = 0; i < some.size(); ++i) {
      const std::span<float> row(cosines.data() + i * n, n);
      row[static_cast<std::size_t>(some[i])] = kBelowEveryCosine;
      out.push_back(top_k(row, std::min(count, static_cast<int32_t>(n) - 1)));
    }
  }
  return out;
}

/// Divides by the sum; equal weights where there is none.
void to_mean(std::vector<float>& weights) {
  double sum = 0.0;
  for (const float weight : weights) sum += static_cast<double>(weight);
  for (float& weight : weights) {
    weight = sum > 0.0 ? static_cast<float>(static_cast<double>(weight) / sum)
                       : 1.0F / static_cast<float>(weights.size());
  }
}

}  // namespace

std::vector<ParamSpec> prumerge_params() {
  return {{.name = "block",
           .kind = ParamKind::Choice,
           .default_value = "next",
           .choices = {"next", "feature"},
           .help = "tower block of attention and keys: behind the features, or the features' own"},
          {.name = "neighbours",
           .kind = ParamKind::Integer,
           .default_value = "32",
           .min = 1,
           .max = 4096,
           .help = "tokens merged into each kept one"},
          {.name = "merge",
           .kind = ParamKind::Choice,
           .default_value = "sum",
           .choices = {"sum", "mean"},
           .help = "the token plus its neighbours times attention (the code), or the weighted mean"}};
}

std::vector<Need> prumerge_needs(const Params& params) {
  return {of_block(Signal::WideClsAttention, params), of_block(Signal::TowerKeys, params)};
}

std::span<const float> prumerge_attention(const Signals& signals, const Params& params) {
  return signals.view(of_block(Signal::WideClsAttention, params)).row(0);
}

Plan prumerge_plan(const Signals& signals, const Params& params, std::span<const int32_t> kept) {
  const std::span<const float> attention = prumerge_attention(signals, params);
  const MatrixView keys = signals.view(of_block(Signal::TowerKeys, params));
  const std::vector<float> units = unit_rows(keys);
  const bool mean = params.choice("merge") == "mean";

  Plan plan;
  std::vector<bool> is_kept(attention.size(), false);
  const auto add = [&](const std::vector<int32_t>& sources, std::vector<float> weights, int32_t position) {
    if (mean) to_mean(weights);
    plan.add_merged(sources, weights, position);
  };
  std::vector<std::vector<int32_t>> neighbours =
      neighbours_of(kept, {units.data(), keys.rows, keys.cols}, params.integer("neighbours"));
  for (std::size_t i = 0; i < kept.size(); ++i) {
    const int32_t token = kept[i];
    is_kept[token] = true;
    std::vector<int32_t>& sources = neighbours[i];
    std::vector<float> weights;
    for (const int32_t source : sources) weights.push_back(attention[source]);
    sources.push_back(token);
    weights.push_back(mean ? attention[token] : 1.0F);
    add(sources, weights, token);
  }
  std::vector<int32_t> dropped;
  std::vector<float> weights;
  for (int32_t token = 0; token < signals.n(); ++token) {
    if (is_kept[token]) continue;
    dropped.push_back(token);
    weights.push_back(attention[token]);
  }
  if (!dropped.empty()) add(dropped, weights, dropped.back());
  plan.scores.assign(attention.begin(), attention.end());
  return plan;
}

}  // namespace winnow::prune
