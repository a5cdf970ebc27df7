#include "winnow/eval/headline.h"

#include <utility>

#include "winnow/eval/benchmark.h"

namespace winnow::eval {

Headline mean_headline(std::string ScoredRow::*strata) {
  Headline out;
  out.parts = [strata](std::span<const ScoredRow* const> group) {
    std::vector<HeadlinePart> parts;
    for (const ScoredRow* row : group) {
      const std::string stratum = strata != nullptr ? row->*strata : std::string();
      if (strata != nullptr && stratum.empty()) continue;  // as grouped_by() does
      parts.push_back({stratum, {row->score.value, 1.0}});
    }
    return parts;
  };
  out.value = [](const Sums& sums) { return sums[1] > 0.0 ? 100.0 * sums[0] / sums[1] : 0.0; };
  out.is_plain_mean = strata == nullptr;
  return out;
}

}  // namespace winnow::eval
