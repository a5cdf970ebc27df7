#include "winnow/prune/greedy.h"

#include "winnow/base/error.h"

namespace winnow::prune {

void Picks::take(int32_t token) {
  WINNOW_ASSERT(!taken(token));
  taken_[static_cast<std::size_t>(token)] = 1;
  ++size_;
}

int32_t Picks::best(std::span<const float> scores) const {
  WINNOW_ASSERT(scores.size() == taken_.size());
  std::size_t best = scores.size();
  for (std::size_t j = 0; j < scores.size(); ++j) {
    if (taken_[j] == 0 && (best == scores.size() || scores[j] > scores[best])) best = j;
  }
  WINNOW_ASSERT(best < scores.size());
  return static_cast<int32_t>(best);
}

void Picks::fill(std::span<const int32_t> order, int32_t n_keep) {
  for (const int32_t token : order) {
    if (size_ == n_keep) return;
    if (!taken(token)) take(token);
  }
}

Plan Picks::plan() const {
  Plan plan;
  for (std::size_t j = 0; j < taken_.size(); ++j) {
    if (taken_[j] != 0) plan.add_kept(static_cast<int32_t>(j));
  }
  return plan;
}

}  // namespace winnow::prune
