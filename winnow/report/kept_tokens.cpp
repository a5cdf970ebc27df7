#include "winnow/report/kept_tokens.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <tuple>

#include "winnow/eval/config_name.h"
#include "winnow/report/names.h"

namespace winnow::report {
namespace {

using record::ResultRow;
using Indices = std::vector<int32_t>;

/// Tokens of each of the row's images, which share one grid; 0 where they do not, or an index is outside.
int64_t tokens_per_image(const ResultRow& row) {
  const auto n_images = std::ssize(*row.kept);
  if (n_images == 0 || row.n_visual_before % n_images != 0) return 0;
  const int64_t n = row.n_visual_before / n_images;
  for (const Indices& kept : *row.kept) {
    for (const int32_t idx : kept) {
      if (idx < 0 || idx >= n) return 0;
    }
  }
  return n;
}

bool is_pruned(const ResultRow& row) {
  int64_t n_kept = 0;
  for (const Indices& kept : *row.kept) n_kept += std::ssize(kept);
  return n_kept < row.n_visual_before;
}

struct Counter {
  std::vector<int64_t> counts;
  int64_t n_images = 0;
};

PositionShares shares_of(const std::string& config, const Counter& counter) {
  PositionShares out{config, {}, 0.0, counter.n_images};
  const std::size_t n = counter.counts.size(), last_quarter = n - n / 4;
  int64_t all = 0, late = 0;
  for (std::size_t i = 0; i < n; ++i) {
    all += counter.counts[i];
    late += i >= last_quarter ? counter.counts[i] : 0;
    out.share.push_back(static_cast<double>(counter.counts[i]) / static_cast<double>(counter.n_images));
  }
  if (all > 0) out.last_quarter = static_cast<double>(late) / static_cast<double>(all);
  return out;
}

/// One picture of one question: what each configuration kept.
using KeptOfImage = std::map<std::string, Indices>;

double iou_of(const Indices& a, const Indices& b) {
  Indices both;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(both));
  const auto n_both = static_cast<double>(both.size());
  const double n_any = static_cast<double>(a.size() + b.size()) - n_both;
  return n_any > 0.0 ? n_both / n_any : 1.0;
}

/// Names of the header's configurations by budget, the unpruned one left out.
std::vector<Overlap> budgets_of(std::span<const record::Run> runs) {
  std::vector<Overlap> out;
  for (const record::ConfigurationPart& c : runs.front().header.configurations) {
    const std::string budget = eval::budget_of(c.name);
    if (budget.empty()) continue;
    auto found = std::find_if(out.begin(), out.end(), [&](const Overlap& o) { return o.budget == budget; });
    if (found == out.end()) found = out.insert(out.end(), {budget, {}, {}, 0.0, 0});
    found->configs.push_back(c.name);
  }
  return out;
}

/// [pictures] of all questions, in a fixed order.
std::map<std::tuple<std::string, int64_t, std::size_t>, KeptOfImage> kept_by_image(
    std::span<const record::Run> runs) {
  std::map<std::tuple<std::string, int64_t, std::size_t>, KeptOfImage> out;
  for (const record::Run& run : runs) {
    for (const ResultRow& row : run.rows) {
      if (!row.kept || row.failed()) continue;
      for (std::size_t i = 0; i < row.kept->size(); ++i) {
        Indices sorted = (*row.kept)[i];
        std::sort(sorted.begin(), sorted.end());
        out[{row.benchmark, row.index, i}].emplace(row.config, std::move(sorted));
      }
    }
  }
  return out;
}

/// k / (2 n - k), k the mean number of kept tokens of n.
double chance_of(std::span<const record::Run> runs, const std::vector<std::string>& configs) {
  double kept = 0.0, before = 0.0;
  for (const record::Run& run : runs) {
    for (const ResultRow& row : run.rows) {
      if (!row.kept || std::find(configs.begin(), configs.end(), row.config) == configs.end()) continue;
      for (const Indices& indices : *row.kept) kept += static_cast<double>(indices.size());
      before += row.n_visual_before;
    }
  }
  return before > 0.0 ? kept / (2.0 * before - kept) : 0.0;
}

}  // namespace

Positions kept_positions(std::span<const record::Run> runs) {
  Positions out;
  std::map<std::string, Counter> counters;
  for (const record::Run& run : runs) {
    for (const ResultRow& row : run.rows) {
      if (!row.kept || row.failed() || !is_pruned(row)) continue;
      const int64_t n = tokens_per_image(row);
      if (out.n_tokens == 0) out.n_tokens = n;
      if (n == 0 || n != out.n_tokens) {
        out.n_other += std::ssize(*row.kept);
        continue;
      }
      Counter& counter = counters[row.config];
      counter.counts.resize(static_cast<std::size_t>(n));
      for (const Indices& kept : *row.kept) {
        for (const int32_t idx : kept) ++counter.counts[static_cast<std::size_t>(idx)];
        ++counter.n_images;
      }
    }
  }
  for (const record::ConfigurationPart& c : runs.front().header.configurations) {
    const auto found = counters.find(c.name);
    if (found != counters.end()) out.shares.push_back(shares_of(c.name, found->second));
  }
  return out;
}

std::vector<Overlap> overlaps(std::span<const record::Run> runs) {
  std::vector<Overlap> out = budgets_of(runs);
  const auto images = kept_by_image(runs);
  for (Overlap& one : out) {
    std::erase_if(one.configs, [&](const std::string& config) {
      return std::none_of(images.begin(), images.end(),
                          [&](const auto& i) { return i.second.contains(config); });
    });
    const std::size_t n = one.configs.size();
    one.iou.assign(n, std::vector<double>(n, 0.0));
    for (const auto& [place, kept] : images) {
      const bool all =
          std::all_of(one.configs.begin(), one.configs.end(),
                      [&kept = kept](const std::string& config) { return kept.contains(config); });
      if (!all) continue;  // a configuration failed here
      ++one.n_images;
      for (std::size_t a = 0; a < n; ++a) {
        for (std::size_t b = 0; b < n; ++b)
          one.iou[a][b] += iou_of(kept.at(one.configs[a]), kept.at(one.configs[b]));
      }
    }
    for (auto& row : one.iou) {
      for (double& value : row) value /= static_cast<double>(std::max<int64_t>(one.n_images, 1));
    }
    one.chance = chance_of(runs, one.configs);
  }
  std::erase_if(out, [](const Overlap& o) { return o.configs.size() < 2 || o.n_images == 0; });
  return out;
}

}  // namespace winnow::report
