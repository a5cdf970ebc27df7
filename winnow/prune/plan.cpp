#include "winnow/prune/plan.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "winnow/base/error.h"

namespace winnow::prune {
namespace {

template <class T>
std::span<const T> slice(const std::vector<T>& values, const std::vector<int32_t>& offsets, int32_t out) {
  const auto first = static_cast<std::size_t>(offsets[static_cast<std::size_t>(out)]);
  const auto last = static_cast<std::size_t>(offsets[static_cast<std::size_t>(out) + 1]);
  return std::span<const T>(values).subspan(first, last - first);
}

}  // namespace

std::span<const int32_t> Plan::sources(int32_t out) const {
  WINNOW_ASSERT(out >= 0 && out < n_out());
  return slice(index, offsets, out);
}

std::span<const float> Plan::weights(int32_t out) const {
  WINNOW_ASSERT(out >= 0 && out < n_out());
  return slice(weight, offsets, out);
}

bool Plan::is_selection() const {
  if (index.size() != position_of.size()) return false;
  for (std::size_t i = 0; i < index.size(); ++i) {
    if (offsets[i + 1] != offsets[i] + 1 || weight[i] != 1.0F || position_of[i] != index[i]) return false;
  }
  return true;
}

void Plan::add_kept(int32_t token) {
  index.push_back(token);
  weight.push_back(1.0F);
  position_of.push_back(token);
  offsets.push_back(static_cast<int32_t>(index.size()));
}

void Plan::add_merged(std::span<const int32_t> sources, std::span<const float> weights, int32_t position) {
  WINNOW_ASSERT(!sources.empty() && sources.size() == weights.size());
  index.insert(index.end(), sources.begin(), sources.end());
  weight.insert(weight.end(), weights.begin(), weights.end());
  position_of.push_back(position);
  offsets.push_back(static_cast<int32_t>(index.size()));
}

Plan identity_plan(int32_t n) {
  std::vector<int32_t> all(static_cast<std::size_t>(n));
  std::iota(all.begin(), all.end(), 0);
  return selection_plan(all);
}

Plan selection_plan(std::span<const int32_t> kept) {
  Plan plan;
  plan.offsets.resize(kept.size() + 1);
  std::iota(plan.offsets.begin(), plan.offsets.end(), 0);
  plan.index.assign(kept.begin(), kept.end());
  plan.weight.assign(kept.size(), 1.0F);
  plan.position_of = plan.index;
  return plan;
}

Plan compose_plans(const Plan& first, const Plan& then) {
  Plan out;
  for (int32_t o = 0; o < then.n_out(); ++o) {
    std::map<int32_t, float> weight_of;
    for (std::size_t i = 0; i < then.sources(o).size(); ++i) {
      const int32_t middle = then.sources(o)[i];
      WINNOW_CHECK(middle >= 0 && middle < first.n_out(), InvalidArgument, "prune.compose_plans",
                   "the second plan names input {}, got {} outputs of the first", middle, first.n_out());
      for (std::size_t j = 0; j < first.sources(middle).size(); ++j)
        weight_of[first.sources(middle)[j]] += then.weights(o)[i] * first.weights(middle)[j];
    }
    std::vector<int32_t> sources;
    std::vector<float> weights;
    for (const auto& [source, weight] : weight_of) {
      sources.push_back(source);
      weights.push_back(weight);
    }
    const auto at = static_cast<std::size_t>(then.position_of[static_cast<std::size_t>(o)]);
    out.add_merged(sources, weights, first.position_of[at]);
  }
  return out;
}

std::vector<float> apply_plan(const Plan& plan, const MatrixView& features,
                              std::span<const float> cls_token) {
  const auto width = static_cast<std::size_t>(features.cols);
  WINNOW_CHECK(cls_token.empty() || cls_token.size() == width, InvalidArgument, "prune.apply_plan",
               "width of the [CLS] token, got {}, expected {}", cls_token.size(), width);
  const int64_t n_in = features.rows + (cls_token.empty() ? 0 : 1);
  std::vector<float> out(static_cast<std::size_t>(plan.n_out()) * width, 0.0F);
  for (int32_t o = 0; o < plan.n_out(); ++o) {
    const auto sources = plan.sources(o);
    const auto weights = plan.weights(o);
    const std::span<float> to = std::span(out).subspan(static_cast<std::size_t>(o) * width, width);
    for (std::size_t s = 0; s < sources.size(); ++s) {
      WINNOW_CHECK(sources[s] >= 0 && sources[s] < n_in, InvalidArgument, "prune.apply_plan",
                   "the plan names input {}, got {} inputs", sources[s], n_in);
      const std::span<const float> from = sources[s] < features.rows ? features.row(sources[s]) : cls_token;
      if (sources.size() == 1 && weights[0] == 1.0F) {
        std::copy(from.begin(), from.end(), to.begin());
        continue;
      }
      for (std::size_t c = 0; c < width; ++c) to[c] += weights[s] * from[c];
    }
  }
  return out;
}

}  // namespace winnow::prune
