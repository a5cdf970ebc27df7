#include "winnow/eval/bootstrap.h"

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "winnow/base/error.h"
#include "winnow/base/rng.h"

namespace winnow::eval {
namespace {

constexpr const char* kWhere = "eval.bootstrap";

struct Part {
  std::size_t stratum = 0;
  Sums sums{};
};

/// One configuration's groups, cut into sums.
using Groups = std::vector<std::vector<Part>>;

void add(Sums& to, const Sums& from) {
  for (std::size_t i = 0; i < to.size(); ++i) to[i] += from[i];
}

void check_same_questions(std::span<const std::vector<ScoredRow>> rows) {
  WINNOW_CHECK(!rows.empty() && !rows[0].empty(), InvalidArgument, kWhere,
               "no scored questions, expected at least one");
  for (const auto& other : rows) {
    const bool same = std::equal(other.begin(), other.end(), rows[0].begin(), rows[0].end(),
                                 [](const ScoredRow& a, const ScoredRow& b) { return a.id == b.id; });
    WINNOW_CHECK(
        same, InvalidArgument, kWhere,
        "configurations with different questions, got {} and {}, expected the same in the same order",
        other.size(), rows[0].size());
  }
}

/// [groups] indices of their rows, groups in the order in which they appear.
std::vector<std::vector<std::size_t>> grouped(const std::vector<ScoredRow>& rows) {
  std::map<std::string_view, std::size_t> idx_of;
  std::vector<std::vector<std::size_t>> groups;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto [found, is_new] = idx_of.try_emplace(rows[i].group, groups.size());
    if (is_new) groups.emplace_back();
    groups[found->second].push_back(i);
  }
  return groups;
}

class Resampler {
 public:
  Resampler(const Headline& headline, std::span<const std::vector<ScoredRow>> rows) : headline_(headline) {
    const auto groups = grouped(rows[0]);
    for (const auto& configuration : rows) tables_.push_back(table_of(configuration, groups));
    std::map<std::size_t, std::vector<std::size_t>> by_stratum;
    for (std::size_t g = 0; g < groups.size(); ++g) {
      const auto& parts = tables_[0][g];
      if (!parts.empty()) by_stratum[parts.front().stratum].push_back(g);
    }
    for (auto& [stratum, members] : by_stratum) members_.push_back(std::move(members));
    sums_.resize(stratum_idx_.size());
  }

  int64_t n_groups() const {
    int64_t n = 0;
    for (const auto& members : members_) n += std::ssize(members);
    return n;
  }

  double value(std::size_t configuration, std::span<const std::size_t> drawn) {
    std::fill(sums_.begin(), sums_.end(), Sums{});
    for (const std::size_t g : drawn) {
      for (const Part& part : tables_[configuration][g]) add(sums_[part.stratum], part.sums);
    }
    double total = 0.0;
    for (const Sums& one : sums_) total += headline_.value(one);
    return headline_.adds_strata || sums_.empty() ? total : total / static_cast<double>(sums_.size());
  }

  std::vector<std::size_t> all() const {
    std::vector<std::size_t> out;
    for (const auto& members : members_) out.insert(out.end(), members.begin(), members.end());
    return out;
  }

  /// Into `drawn`, whose memory is used again.
  void draw(Rng rng, std::vector<std::size_t>& drawn) const {
    drawn.clear();
    for (const auto& members : members_) {
      for (std::size_t i = 0; i < members.size(); ++i) drawn.push_back(members[rng.below(members.size())]);
    }
  }

 private:
  Groups table_of(const std::vector<ScoredRow>& rows, const std::vector<std::vector<std::size_t>>& groups) {
    Groups out;
    for (const auto& members : groups) {
      std::vector<const ScoredRow*> group;
      for (const std::size_t i : members) group.push_back(&rows[i]);
      std::vector<Part> parts;
      for (const HeadlinePart& part : headline_.parts(group)) {
        const std::size_t stratum = stratum_idx_.try_emplace(part.stratum, stratum_idx_.size()).first->second;
        const auto same =
            std::find_if(parts.begin(), parts.end(), [&](const Part& p) { return p.stratum == stratum; });
        if (same == parts.end()) {
          parts.push_back({stratum, part.sums});
        } else {
          add(same->sums, part.sums);
        }
      }
      out.push_back(std::move(parts));
    }
    return out;
  }

  const Headline& headline_;
  std::map<std::string, std::size_t> stratum_idx_;
  std::vector<Sums> sums_;                         // [strata] of the resample at hand
  std::vector<Groups> tables_;                     // [configurations]
  std::vector<std::vector<std::size_t>> members_;  // [strata] groups
};

}  // namespace

Resamples resample(const Headline& headline, std::span<const std::vector<ScoredRow>> rows,
                   const BootstrapOptions& options) {
  check_same_questions(rows);
  WINNOW_CHECK(options.n_resamples >= 1, InvalidArgument, kWhere, "resamples, got {}, expected at least 1",
               options.n_resamples);
  Resampler resampler(headline, rows);
  Resamples out;
  out.n_groups = resampler.n_groups();
  const auto all = resampler.all();
  for (std::size_t c = 0; c < rows.size(); ++c) out.value.push_back(resampler.value(c, all));
  out.draws.resize(rows.size());
  std::vector<std::size_t> drawn;
  for (int32_t i = 0; i < options.n_resamples; ++i) {
    resampler.draw(Rng(options.seed, static_cast<uint64_t>(i)), drawn);
    for (std::size_t c = 0; c < rows.size(); ++c) out.draws[c].push_back(resampler.value(c, drawn));
  }
  return out;
}

}  // namespace winnow::eval
