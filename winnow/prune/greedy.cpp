#include "winnow/prune/greedy.h"

#include <queue>
#include <utility>

#include "winnow/base/error.h"
#include "winnow/prune/similarity.h"

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

namespace {

/// A score as of when n_picked tokens were picked.
struct Bound {
  float score;
  int32_t token;
  int32_t n_picked;
  /// Largest score on top of a heap, among equals the lower token.
  bool operator<(const Bound& other) const {
    return score != other.score ? score < other.score : token > other.token;
  }
};

}  // namespace

void pick_lazily(Picks& picks, std::span<const float> scores, int32_t n_keep,
                 const std::function<float(int32_t token)>& refresh,
                 const std::function<void(int32_t token)>& after, float least) {
  WINNOW_ASSERT(scores.size() == static_cast<std::size_t>(picks.n()) && n_keep <= picks.n());
  std::vector<Bound> bounds;
  for (int32_t token = 0; token < picks.n(); ++token) {
    if (!picks.taken(token)) bounds.push_back({scores[static_cast<std::size_t>(token)], token, picks.size()});
  }
  std::priority_queue<Bound> queue({}, std::move(bounds));
  while (picks.size() < n_keep && queue.top().score >= least) {
    const Bound top = queue.top();
    queue.pop();
    if (top.n_picked < picks.size()) {
      queue.push({refresh(top.token), top.token, picks.size()});
      continue;
    }
    picks.take(top.token);
    after(top.token);
  }
}

void PickedRows::add(int32_t token) {
  const std::span<const float> row = rows_.row(token);
  picked_.insert(picked_.end(), row.begin(), row.end());
}

std::span<const float> PickedRows::news(int32_t token) {
  const int64_t n = std::ssize(picked_) / rows_.cols;
  int32_t& seen = seen_[static_cast<std::size_t>(token)];
  products_.resize(static_cast<std::size_t>(n - seen));
  inner_with({picked_.data() + seen * rows_.cols, n - seen, rows_.cols}, rows_.row(token), products_);
  seen = static_cast<int32_t>(n);
  return products_;
}

Plan Picks::plan() const {
  Plan plan;
  for (std::size_t j = 0; j < taken_.size(); ++j) {
    if (taken_[j] != 0) plan.add_kept(static_cast<int32_t>(j));
  }
  return plan;
}

}  // namespace winnow::prune
