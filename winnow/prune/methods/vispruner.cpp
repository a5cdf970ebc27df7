// VisPruner: part of the tokens by [CLS] attention, the rest by removing look-alikes from what remains.
// Zhang et al. 2024, "Beyond Text-Visual Attention: Exploiting Visual Cues for Effective Token Pruning in
// VLMs", arXiv 2412.01818v2.
//   int(n_keep * ratio) tokens of most attention; the others form a list, most attention first
//   while the list is longer than the rest of n_keep, drop up to 8: the list is split by position into A
//   (even) and B (odd); those a with the largest max_b cos(a, b) go, f = tower features; the new list is the
//   other a, largest first, and then B as it was.  raster order
// Reference: Theia-4869/VisPruner @aefa01adc7, llava/model/llava_arch.py, encode_images. The order of the
// list matters, it decides the next split. Deviations, only where the reference stops with an error: of an
// odd list A has the one more, no more are dropped than A has, and a row of zeros, whose cosine is NaN there,
// goes first. importance=column, for towers without [CLS], is what the authors do for SigLIP.

#include <algorithm>
#include <functional>
#include <numeric>
#include <utility>
#include <vector>

#include "winnow/prune/greedy.h"
#include "winnow/prune/importance.h"
#include "winnow/prune/method.h"
#include "winnow/prune/ops.h"
#include "winnow/prune/similarity.h"

namespace winnow::prune {
namespace {

constexpr std::size_t kDropsPerRound = 8;

enum class Side : char { A, B, Dropped };

/// The largest cosine of a row to side B, for sides that change all the time. Of each row only the nearest
/// are remembered, best first; its cosines to all are looked through again when none of those is in B any
/// more.
class Neighbours {
 public:
  explicit Neighbours(const MatrixView& unit) : cosines_(unit), near_(static_cast<std::size_t>(unit.rows)) {
    const std::vector<Side> nobody(near_.size(), Side::A);
    for (int64_t first = 0; first < unit.rows; first += Products::kMostAtOnce) {
      const MatrixView rows = cosines_.rows(first, std::min(Products::kMostAtOnce, unit.rows - first));
      for (int64_t r = 0; r < rows.rows; ++r) remember(first + r, rows.row(r), nobody);
    }
  }

  /// B must not be empty.
  float nearest_in_b(int32_t row, const std::vector<Side>& side) {
    const auto in_b = [&](const Near& near) { return side[near.second] == Side::B; };
    std::vector<Near>& known = near_[static_cast<std::size_t>(row)];
    const auto found = std::find_if(known.begin(), known.end(), in_b);
    if (found != known.end()) return found->first;
    const std::span<const float> cosines = cosines_.rows(row).row(0);
    remember(row, cosines, side);
    float largest = -2.0F;  // below every cosine
    for (std::size_t i = 0; i < cosines.size(); ++i) {
      if (side[i] == Side::B) largest = std::max(largest, cosines[i]);
    }
    return largest;
  }

 private:
  using Near = std::pair<float, std::size_t>;  // cosine, row

  /// Keeps the nearest rows that are not dropped.
  void remember(int64_t row, std::span<const float> cosines, const std::vector<Side>& side) {
    constexpr std::size_t kRemembered = 64;
    std::vector<Near> all;
    for (std::size_t i = 0; i < cosines.size(); ++i) {
      if (static_cast<int64_t>(i) != row && side[i] != Side::Dropped) all.emplace_back(cosines[i], i);
    }
    const auto end = all.begin() + static_cast<std::ptrdiff_t>(std::min(kRemembered, all.size()));
    std::partial_sort(all.begin(), end, all.end(), std::greater<>());
    near_[static_cast<std::size_t>(row)].assign(all.begin(), end);
  }

  Products cosines_;
  std::vector<std::vector<Near>> near_;
};

/// Rows of unit [n, d], n > n_keep >= 1, that are left of the list 0, 1 ... n - 1.
std::vector<int32_t> without_look_alikes(const MatrixView& unit, std::size_t n_keep) {
  std::vector<int32_t> list(static_cast<std::size_t>(unit.rows));
  std::iota(list.begin(), list.end(), 0);
  Neighbours neighbours(unit);
  std::vector<Side> side(list.size());
  std::vector<std::pair<float, int32_t>> a;
  std::vector<int32_t> b;
  while (list.size() > n_keep) {
    for (std::size_t i = 0; i < list.size(); ++i) {
      side[static_cast<std::size_t>(list[i])] = i % 2 == 0 ? Side::A : Side::B;
    }
    a.clear();
    b.clear();
    for (std::size_t i = 0; i < list.size(); ++i) {
      const int32_t row = list[i];
      if (i % 2 == 1) {
        b.push_back(row);
      } else {
        const bool zero = all_zero(unit.row(row));
        a.emplace_back(zero ? 2.0F : neighbours.nearest_in_b(row, side), row);  // 2: above every cosine
      }
    }
    std::stable_sort(a.begin(), a.end(), [](const auto& x, const auto& y) { return x.first > y.first; });
    const std::size_t n_drop = std::min({kDropsPerRound, list.size() - n_keep, a.size()});
    list.clear();
    for (std::size_t i = 0; i < a.size(); ++i) {
      if (i < n_drop) {
        side[static_cast<std::size_t>(a[i].second)] = Side::Dropped;
      } else {
        list.push_back(a[i].second);
      }
    }
    list.insert(list.end(), b.begin(), b.end());
  }
  return list;
}

class VisPruner final : public Method {
 public:
  const MethodInfo& info() const override { return info_; }

  std::vector<Need> needs(const Params& params) const override {
    std::vector<Need> needs{{Signal::Tower}};
    add_importance_needs(params.choice("importance"), needs);
    return needs;
  }

  Plan select(const Signals& signals, int32_t n_keep, const Params& params, Rng&) const override {
    const std::vector<int32_t> order = descending_order(importance_of(signals, params.choice("importance")));
    const auto n_important = static_cast<int32_t>(n_keep * params.real("ratio"));
    Picks picks(signals.n());
    picks.fill(order, n_important);
    if (picks.size() == n_keep) return picks.plan();

    const std::span<const int32_t> residual = std::span(order).subspan(static_cast<std::size_t>(n_important));
    std::vector<float> units = gathered_rows(signals.tower, residual);  // in the order of the list
    const auto width = static_cast<std::size_t>(signals.tower.cols);
    for (std::size_t at = 0; at < units.size(); at += width)
      scale_to_unit(std::span(units).subspan(at, width));
    for (const int32_t row : without_look_alikes({units.data(), std::ssize(residual), signals.tower.cols},
                                                 static_cast<std::size_t>(n_keep - n_important))) {
      picks.take(residual[static_cast<std::size_t>(row)]);
    }
    return picks.plan();
  }

 private:
  MethodInfo info_{.name = "vispruner",
                   .summary = "a share by attention, the rest by dropping look-alikes round by round",
                   .paper = "Zhang et al. 2024, arXiv 2412.01818v2",
                   .stage = Stage::AfterTower,
                   .params = {importance_param({"cls", "column"}),
                              {.name = "ratio",
                               .kind = ParamKind::Real,
                               .default_value = "0.5",
                               .min = 0.0,
                               .max = 1.0,
                               .help = "share of the kept tokens that attention chooses"}}};
};

}  // namespace

const Method& vispruner_method() {
  static const VisPruner method;
  return method;
}

}  // namespace winnow::prune
