// Every scoring method against plain loops in double precision, written from the formulas of the papers.
// Nothing here uses winnow/prune except to run the method under test.

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "tests/prune/random_signals.h"

namespace winnow::prune {
namespace {

using Doubles = std::vector<double>;
using Ints = std::vector<int32_t>;
using test::Matrix;
using test::OwnedSignals;

double at(const Matrix& matrix, int64_t row, int64_t col) {
  return static_cast<double>(matrix.values[static_cast<std::size_t>(row * matrix.cols + col)]);
}

Doubles mean_of_heads(const Matrix& attention) {
  Doubles mean(static_cast<std::size_t>(attention.cols), 0.0);
  for (int64_t j = 0; j < attention.cols; ++j) {
    for (int64_t head = 0; head < attention.rows; ++head) mean[j] += at(attention, head, j);
    mean[j] /= static_cast<double>(attention.rows);
  }
  return mean;
}

double cosine(const Matrix& a, int64_t row_a, const Matrix& b, int64_t row_b) {
  double ab = 0;
  double aa = 0;
  double bb = 0;
  for (int64_t c = 0; c < a.cols; ++c) {
    ab += at(a, row_a, c) * at(b, row_b, c);
    aa += at(a, row_a, c) * at(a, row_a, c);
    bb += at(b, row_b, c) * at(b, row_b, c);
  }
  return ab / std::sqrt(aa * bb);
}

Doubles min_max(Doubles values) {
  const double low = *std::min_element(values.begin(), values.end());
  const double high = *std::max_element(values.begin(), values.end());
  for (double& value : values) value = (value - low) / (high - low);
  return values;
}

/// Tokens from best to worst, equal ones in their own order.
Ints ranking(const Doubles& scores, Ints tokens) {
  std::stable_sort(tokens.begin(), tokens.end(), [&](int32_t a, int32_t b) { return scores[a] > scores[b]; });
  return tokens;
}

Ints every_token(const Doubles& scores) {
  Ints tokens(scores.size());
  std::iota(tokens.begin(), tokens.end(), 0);
  return tokens;
}

Ints best_of_all(const Doubles& scores, int32_t n_keep) {
  Ints best = ranking(scores, every_token(scores));
  best.resize(static_cast<std::size_t>(n_keep));
  std::sort(best.begin(), best.end());
  return best;
}

Doubles redundancy(const OwnedSignals& signals, const std::string& source) {
  const Matrix& hidden = signals.of.at(Signal::Hidden);
  Doubles result;
  for (int64_t j = 0; j < hidden.rows; ++j) {
    if (source == "last_token") {
      result.push_back(cosine(hidden, j, signals.of.at(Signal::HiddenLast), 0));
      continue;
    }
    double sum = 0;
    double largest = -1;
    for (int64_t i = 0; i < hidden.rows; ++i) {
      if (i == j) continue;
      sum += cosine(hidden, i, hidden, j);
      largest = std::max(largest, cosine(hidden, i, hidden, j));
    }
    result.push_back(source == "mean" ? sum / static_cast<double>(hidden.rows - 1) : largest);
  }
  return min_max(result);
}

/// Eq. 6 of arXiv 2502.11501.
Doubles balanced_scores(const Doubles& important, const Doubles& repeated, double alpha) {
  Doubles scores;
  for (std::size_t j = 0; j < important.size(); ++j) {
    scores.push_back(alpha * important[j] + (1 - alpha) * (1 - repeated[j]));
  }
  return scores;
}

Ints best_of_windows(const Doubles& scores, Grid grid, Window window, int32_t n_keep) {
  Ints kept;
  int32_t seen = 0;
  int32_t given = 0;
  for (int32_t top = 0; top < grid.rows; top += window.rows) {
    Ints lefts;
    for (int32_t left = 0; left < grid.cols; left += window.cols) lefts.push_back(left);
    if (top / window.rows % 2 == 1) std::reverse(lefts.begin(), lefts.end());
    for (const int32_t left : lefts) {
      Ints tokens;
      for (int32_t token = 0; token < grid.size(); ++token) {
        const int32_t row = token / grid.cols;
        const int32_t col = token % grid.cols;
        if (row >= top && row < top + window.rows && col >= left && col < left + window.cols)
          tokens.push_back(token);
      }
      seen += static_cast<int32_t>(tokens.size());
      const auto due =
          static_cast<int32_t>(std::floor(static_cast<double>(n_keep) * seen / grid.size() + 1e-9));
      const Ints best = ranking(scores, tokens);
      kept.insert(kept.end(), best.begin(), best.begin() + (due - given));
      given = due;
    }
  }
  std::sort(kept.begin(), kept.end());
  return kept;
}

void expect_scores(const Plan& plan, const Doubles& expected, double tolerance) {
  ASSERT_EQ(plan.scores.size(), expected.size());
  for (std::size_t j = 0; j < expected.size(); ++j)
    ASSERT_NEAR(plan.scores[j], expected[j], tolerance) << "token " << j;
}

class ReferenceGolden : public ::testing::TestWithParam<Grid> {
 protected:
  Ints counts() const {
    const int32_t n = GetParam().size();
    return {1, n / 9, n / 4, n / 2, n - 1};
  }
};

TEST_P(ReferenceGolden, AttentionMethods) {
  const std::vector<std::pair<const char*, Signal>> cases{{"fastervlm", Signal::ClsAttention},
                                                          {"fastv", Signal::LastTextAttention},
                                                          {"fastv_vis", Signal::LastVisualAttention}};
  for (uint64_t seed = 0; seed < 5; ++seed) {
    const OwnedSignals signals = test::random_signals(GetParam(), 100 + seed, {}, 8, 16);
    for (const auto& [name, signal] : cases) {
      const Doubles scores = mean_of_heads(signals.of.at(signal));
      for (const int32_t n_keep : counts()) {
        const Plan plan = test::run(name, signals, n_keep);
        expect_scores(plan, scores, 1e-7);
        EXPECT_EQ(plan.index, best_of_all(scores, n_keep))
            << name << ", " << n_keep << " kept, seed " << seed;
      }
    }
  }
}

TEST_P(ReferenceGolden, WindowFastV) {
  for (uint64_t seed = 0; seed < 5; ++seed) {
    const OwnedSignals signals = test::random_signals(GetParam(), 200 + seed);
    const Doubles scores = mean_of_heads(signals.of.at(Signal::LastTextAttention));
    for (const Window window : {Window{2, 2}, Window{3, 3}, Window{4, 5}}) {
      const std::string use =
          "window_fastv:window=" + std::to_string(window.rows) + "x" + std::to_string(window.cols);
      for (const int32_t n_keep : counts()) {
        EXPECT_EQ(test::run(use, signals, n_keep).index, best_of_windows(scores, GetParam(), window, n_keep))
            << use << ", " << n_keep << " kept, seed " << seed;
      }
    }
  }
}

TEST_P(ReferenceGolden, Balanced) {
  const std::vector<std::pair<std::string, Signal>> importance{{"last_text", Signal::LastTextAttention},
                                                               {"last_visual", Signal::LastVisualAttention},
                                                               {"cls", Signal::ClsAttention}};
  for (uint64_t seed = 0; seed < 2; ++seed) {
    const OwnedSignals signals = test::random_signals(GetParam(), 300 + seed, {}, 40);
    for (const std::string source : {"last_token", "mean", "max"}) {
      const Doubles repeated = redundancy(signals, source);
      for (const auto& [name, signal] : importance) {
        const Doubles important = min_max(mean_of_heads(signals.of.at(signal)));
        for (const char* alpha : {"0", "0.1", "0.5", "0.9", "1"}) {
          const std::string use =
              std::string("balanced:alpha=") + alpha + ",importance=" + name + ",redundancy=" + source;
          const Doubles scores = balanced_scores(important, repeated, std::stod(alpha));
          const Plan plan = test::run(use, signals, GetParam().size() / 4);
          expect_scores(plan, scores, 1e-5);
          EXPECT_EQ(plan.index, best_of_all(scores, GetParam().size() / 4)) << use << ", seed " << seed;
        }
      }
    }
  }
}

std::string grid_name(const ::testing::TestParamInfo<Grid>& info) {
  return std::to_string(info.param.rows) + "x" + std::to_string(info.param.cols);
}

INSTANTIATE_TEST_SUITE_P(Grids, ReferenceGolden,
                         ::testing::Values(Grid{12, 12}, Grid{24, 24}, Grid{9, 13}, Grid{1, 30}), grid_name);

}  // namespace
}  // namespace winnow::prune
