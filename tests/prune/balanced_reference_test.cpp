// Every source and scale of balanced against plain loops in double precision, written from the formulas.
// Nothing here uses winnow/prune except to run the method under test.

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <numeric>
#include <string>

#include "tests/prune/random_signals.h"

namespace winnow::prune {
namespace {

using Doubles = std::vector<double>;
using Ints = std::vector<int32_t>;
using test::Matrix;
using test::OwnedSignals;

const char* const kImportance[] = {"last_text", "last_visual", "cls", "column", "rater", "l2"};
const char* const kNormalise[] = {"minmax", "zscore", "rank", "none"};

double at(const Matrix& matrix, int64_t row, int64_t col) {
  return static_cast<double>(matrix.values[static_cast<std::size_t>(row * matrix.cols + col)]);
}

double product(const Matrix& a, int64_t row_a, const Matrix& b, int64_t row_b) {
  double sum = 0;
  for (int64_t c = 0; c < a.cols; ++c) sum += at(a, row_a, c) * at(b, row_b, c);
  return sum;
}

double cosine(const Matrix& a, int64_t i, const Matrix& b, int64_t j) {
  return product(a, i, b, j) / std::sqrt(product(a, i, a, i) * product(b, j, b, j));
}

Doubles mean_of_rows(const Matrix& attention, const Ints& rows) {
  Doubles mean(static_cast<std::size_t>(attention.cols), 0.0);
  for (int64_t j = 0; j < attention.cols; ++j) {
    for (const int32_t row : rows) mean[j] += at(attention, row, j);
    mean[j] /= static_cast<double>(rows.size());
  }
  return mean;
}

/// Text tokens whose share of the image, softmaxed over the text and averaged over the image, is above the
/// mean.
Ints raters(const OwnedSignals& signals) {
  const Matrix& visual = signals.of.at(Signal::InputEmbeds);
  const Matrix& text = signals.of.at(Signal::TextEmbeds);
  Doubles mean(static_cast<std::size_t>(text.rows), 0.0);
  for (int64_t j = 0; j < visual.rows; ++j) {
    double sum = 0;
    for (int64_t t = 0; t < text.rows; ++t) sum += std::exp(product(visual, j, text, t));
    for (int64_t t = 0; t < text.rows; ++t) {
      mean[t] += std::exp(product(visual, j, text, t)) / sum / static_cast<double>(visual.rows);
    }
  }
  Ints result;
  for (int64_t t = 0; t < text.rows; ++t) {
    if (mean[t] > 1.0 / static_cast<double>(text.rows)) result.push_back(static_cast<int32_t>(t));
  }
  return result;
}

Doubles importance(const OwnedSignals& signals, const std::string& source, const Matrix& features) {
  if (source == "l2") {
    Doubles lengths;
    for (int64_t j = 0; j < features.rows; ++j)
      lengths.push_back(std::sqrt(product(features, j, features, j)));
    return lengths;
  }
  if (source == "rater") {
    const Matrix& attention = signals.of.at(Signal::TextAttention);
    const int64_t n_text = signals.of.at(Signal::TextEmbeds).rows;
    Ints rows;
    for (int64_t head = 0; head < attention.rows / n_text; ++head) {
      for (const int32_t t : raters(signals)) rows.push_back(static_cast<int32_t>(head * n_text) + t);
    }
    return mean_of_rows(attention, rows);
  }
  const std::map<std::string, Signal> attention{{"last_text", Signal::LastTextAttention},
                                                {"last_visual", Signal::LastVisualAttention},
                                                {"cls", Signal::ClsAttention},
                                                {"column", Signal::ColumnAttention}};
  const Matrix& heads = signals.of.at(attention.at(source));
  Ints rows(static_cast<std::size_t>(heads.rows));
  std::iota(rows.begin(), rows.end(), 0);
  return mean_of_rows(heads, rows);
}

Doubles redundancy(const OwnedSignals& signals, const std::string& source, const Matrix& features) {
  Doubles result;
  for (int64_t j = 0; j < features.rows; ++j) {
    double sum = 0;
    double largest = -1;
    for (int64_t i = 0; i < features.rows && source != "last_token"; ++i) {
      if (i == j) continue;
      sum += cosine(features, i, features, j);
      largest = std::max(largest, cosine(features, i, features, j));
    }
    const double mean = sum / static_cast<double>(features.rows - 1);
    result.push_back(source == "mean"  ? mean
                     : source == "max" ? largest
                                       : cosine(features, j, signals.of.at(Signal::HiddenLast), 0));
  }
  return result;
}

Doubles normalised(const Doubles& values, const std::string& how) {
  const auto n = static_cast<double>(values.size());
  const double low = *std::min_element(values.begin(), values.end());
  const double high = *std::max_element(values.begin(), values.end());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  double variance = 0;
  for (const double value : values) variance += (value - mean) * (value - mean) / n;
  Doubles result;
  for (const double value : values) {
    const auto smaller = std::count_if(values.begin(), values.end(), [&](double v) { return v < value; });
    if (how == "minmax") result.push_back(high > low ? (value - low) / (high - low) : 0.0);
    if (how == "zscore") result.push_back(variance > 0 ? (value - mean) / std::sqrt(variance) : 0.0);
    if (how == "rank") result.push_back(n > 1 ? static_cast<double>(smaller) / (n - 1) : 0.0);
    if (how == "none") result.push_back(value);
  }
  return result;
}

Ints best_of(const Doubles& scores, int32_t n_keep) {
  Ints tokens(scores.size());
  std::iota(tokens.begin(), tokens.end(), 0);
  std::stable_sort(tokens.begin(), tokens.end(), [&](int32_t a, int32_t b) { return scores[a] > scores[b]; });
  tokens.resize(static_cast<std::size_t>(n_keep));
  std::sort(tokens.begin(), tokens.end());
  return tokens;
}

double lowest(const Doubles& scores, const Ints& tokens) {
  double least = scores[tokens.front()];
  for (const int32_t token : tokens) least = std::min(least, scores[token]);
  return least;
}

/// The greedy search, all cosines anew at every step.
Ints greedy(const Doubles& important, const Matrix& features, const std::string& how, double alpha,
            int32_t n_keep) {
  const auto n = static_cast<int32_t>(important.size());
  Ints kept{static_cast<int32_t>(std::max_element(important.begin(), important.end()) - important.begin())};
  while (static_cast<int32_t>(kept.size()) < n_keep) {
    Ints left;
    Doubles closest;
    for (int32_t j = 0; j < n; ++j) {
      if (std::find(kept.begin(), kept.end(), j) != kept.end()) continue;
      double largest = -1;
      for (const int32_t i : kept) largest = std::max(largest, cosine(features, i, features, j));
      left.push_back(j);
      closest.push_back(largest);
    }
    const Doubles repeated = normalised(closest, how);
    std::size_t best = 0;
    Doubles scores;
    for (std::size_t i = 0; i < left.size(); ++i) {
      scores.push_back(alpha * important[left[i]] + (1 - alpha) * (1 - repeated[i]));
      if (scores[i] > scores[best]) best = i;
    }
    kept.push_back(left[best]);
  }
  std::sort(kept.begin(), kept.end());
  return kept;
}

class BalancedReference : public ::testing::TestWithParam<Grid> {
 protected:
  static std::string use(const std::string& important, const std::string& repeated, const std::string& how,
                         const std::string& alpha, const std::string& features = "hidden") {
    return "balanced:alpha=" + alpha + ",features=" + features + ",importance=" + important +
           ",normalise=" + how + ",redundancy=" + repeated;
  }
};

TEST_P(BalancedReference, ScoresAndKeptTokens) {
  const int32_t n_keep = GetParam().size() / 4;
  const OwnedSignals signals = test::random_signals(GetParam(), 500, {}, 40);
  for (const char* features : {"hidden", "projected"}) {
    const Matrix& of = signals.of.at(features == std::string("hidden") ? Signal::Hidden : Signal::Projected);
    for (const char* repeated : {"last_token", "mean", "max"}) {
      const Doubles raw = redundancy(signals, repeated, of);
      for (const char* important : kImportance) {
        const Doubles source = importance(signals, important, of);
        for (const char* how : kNormalise) {
          const Doubles i = normalised(source, how);
          const Doubles r = normalised(raw, how);
          for (const char* alpha : {"0", "0.3", "1"}) {
            Doubles scores;
            for (std::size_t j = 0; j < i.size(); ++j) {
              scores.push_back(std::stod(alpha) * i[j] + (1 - std::stod(alpha)) * (1 - r[j]));
            }
            const std::string text = use(important, repeated, how, alpha, features);
            const Plan plan = test::run(text, signals, n_keep);
            for (std::size_t j = 0; j < scores.size(); ++j) {
              ASSERT_NEAR(plan.scores[j], scores[j], 2e-5) << text << ", token " << j;
            }
            const Ints best = best_of(scores, n_keep);
            if (how == std::string("rank")) {  // ranks are fractions: sums tie, and rounding decides
              for (const int32_t token : plan.index)
                EXPECT_GE(scores[token], lowest(scores, best) - 1e-6) << text;
            } else {
              EXPECT_EQ(plan.index, best) << text;
            }
          }
        }
      }
    }
  }
}

TEST_P(BalancedReference, GreedySearch) {
  for (uint64_t seed = 600; seed < 603; ++seed) {
    const OwnedSignals signals = test::random_signals(GetParam(), seed, {}, 12);
    const Matrix& hidden = signals.of.at(Signal::Hidden);
    for (const char* important : {"last_text", "l2"}) {
      for (const char* how : kNormalise) {
        const Doubles i = normalised(importance(signals, important, hidden), how);
        for (const char* alpha : {"0", "0.5", "0.9"}) {
          for (const int32_t n_keep : {1, 2, 13, GetParam().size() - 1}) {
            const std::string text = use(important, "selected", how, alpha);
            EXPECT_EQ(test::run(text, signals, n_keep).index,
                      greedy(i, hidden, how, std::stod(alpha), n_keep))
                << text << ", " << n_keep << " kept, seed " << seed;
          }
        }
      }
    }
  }
}

std::string grid_name(const ::testing::TestParamInfo<Grid>& param) {
  return std::to_string(param.param.rows) + "x" + std::to_string(param.param.cols);
}

INSTANTIATE_TEST_SUITE_P(Grids, BalancedReference, ::testing::Values(Grid{12, 12}, Grid{9, 13}, Grid{1, 30}),
                         grid_name);

}  // namespace
}  // namespace winnow::prune
