#include "winnow/eval/statistics.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>
#include <utility>

#include "winnow/base/error.h"
#include "winnow/base/quantile.h"
#include "winnow/base/rng.h"

namespace winnow::eval {
namespace {

constexpr const char* kWhere = "eval.statistics";

/// Sums over the questions of a cluster.
struct Sums {
  double score = 0.0, baseline = 0.0;
  int64_t n = 0;

  void add(const Sums& other) {
    score += other.score;
    baseline += other.baseline;
    n += other.n;
  }
};

/// In the order in which clusters first appear.
std::vector<Sums> clusters_of(std::span<const ScorePair> pairs) {
  WINNOW_CHECK(!pairs.empty(), InvalidArgument, kWhere, "no questions, expected at least one");
  std::vector<Sums> clusters;
  std::map<int32_t, std::size_t> place;
  for (const ScorePair& pair : pairs) {
    WINNOW_CHECK(std::isfinite(pair.score) && std::isfinite(pair.baseline), InvalidArgument, kWhere,
                 "scores, got {} and {}, expected finite numbers", pair.score, pair.baseline);
    std::size_t at = clusters.size();
    if (pair.cluster >= 0) at = place.try_emplace(pair.cluster, at).first->second;
    if (at == clusters.size()) clusters.emplace_back();
    clusters[at].add({pair.score, pair.baseline, 1});
  }
  return clusters;
}

Sums total(const std::vector<Sums>& clusters) {
  Sums sum;
  for (const Sums& cluster : clusters) sum.add(cluster);
  return sum;
}

Sums resampled(const std::vector<Sums>& clusters, Rng& rng) {
  Sums sum;
  for (std::size_t i = 0; i < clusters.size(); ++i) sum.add(clusters[rng.below(clusters.size())]);
  return sum;
}

void check_options(const BootstrapOptions& options) {
  constexpr int32_t kFewest = 100;  // else the outer percentiles are single values
  WINNOW_CHECK(options.n_resamples >= kFewest, InvalidArgument, kWhere,
               "resamples, got {}, expected at least {}", options.n_resamples, kFewest);
}

std::pair<double, double> middle_95(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return {quantile_of_sorted(values, 0.025), quantile_of_sorted(values, 0.975)};
}

}  // namespace

Difference compare(std::span<const ScorePair> pairs, const BootstrapOptions& options) {
  check_options(options);
  const std::vector<Sums> clusters = clusters_of(pairs);
  const auto difference = [](const Sums& sum) {
    return (sum.score - sum.baseline) / static_cast<double>(sum.n);
  };
  Difference result;
  result.mean = difference(total(clusters));
  for (const ScorePair& pair : pairs) {
    if (pair.score > pair.baseline) {
      ++result.n_won;
    } else if (pair.score < pair.baseline) {
      ++result.n_lost;
    } else {
      ++result.n_tied;
    }
  }
  Rng rng(options.seed);
  std::vector<double> means;
  for (int32_t i = 0; i < options.n_resamples; ++i) means.push_back(difference(resampled(clusters, rng)));
  std::tie(result.low, result.high) = middle_95(std::move(means));
  return result;
}

double mcnemar_exact(int64_t only_first, int64_t only_second) {
  WINNOW_CHECK(only_first >= 0 && only_second >= 0, InvalidArgument, kWhere,
               "counts, got {} and {}, expected 0 or more", only_first, only_second);
  const auto n = static_cast<double>(only_first + only_second);
  const int64_t fewer = std::min(only_first, only_second);
  double tail = 0.0;  // P(X <= fewer), X ~ Binomial(n, 1/2); logarithms, because 2^-n may underflow
  for (int64_t k = 0; k <= fewer; ++k) {
    const auto x = static_cast<double>(k);
    tail +=
        std::exp(std::lgamma(n + 1.0) - std::lgamma(x + 1.0) - std::lgamma(n - x + 1.0) - n * std::log(2.0));
  }
  return std::min(1.0, 2.0 * tail);
}

RelativeAverage relative_average(std::span<const std::vector<ScorePair>> benchmarks,
                                 const BootstrapOptions& options) {
  check_options(options);
  WINNOW_CHECK(!benchmarks.empty(), InvalidArgument, kWhere, "no benchmarks, expected at least one");
  std::vector<std::vector<Sums>> clusters;
  RelativeAverage result;
  const auto n = static_cast<double>(benchmarks.size());
  for (std::size_t b = 0; b < benchmarks.size(); ++b) {
    clusters.push_back(clusters_of(benchmarks[b]));
    const Sums sum = total(clusters.back());
    WINNOW_CHECK(sum.baseline > 0.0, InvalidArgument, kWhere,
                 "benchmark {} of {}: the baseline has nothing right, so nothing is relative to it", b + 1,
                 benchmarks.size());
    result.mean += sum.score / sum.baseline / n;
  }
  Rng rng(options.seed);
  std::vector<double> means;
  for (int32_t i = 0; i < options.n_resamples; ++i) {
    double mean = 0.0;
    for (const std::vector<Sums>& of_benchmark : clusters) {
      Sums sum;
      do {
        sum = resampled(of_benchmark, rng);
      } while (!(sum.baseline > 0.0));
      mean += sum.score / sum.baseline / n;
    }
    means.push_back(mean);
  }
  std::tie(result.low, result.high) = middle_95(std::move(means));
  return result;
}

}  // namespace winnow::eval
