#include "winnow/prune/plan.h"

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

}  // namespace winnow::prune
