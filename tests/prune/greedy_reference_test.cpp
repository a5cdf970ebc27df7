// The methods that compare tokens against plain loops in double precision, written from the formulas of the
// papers, and what they do where the formulas say nothing. Nothing here uses winnow/prune except to run the
// method under test. Features are normals, or of a kind whose cosines both precisions know exactly, with many
// ties: there every decision must be the same, however long the chain.

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <set>

#include "tests/prune/random_signals.h"

namespace winnow::prune {
namespace {

using Doubles = std::vector<double>;
using Ints = std::vector<int32_t>;
using Table = std::vector<Doubles>;
using test::Matrix;
using test::OwnedSignals;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

double at(const Matrix& matrix, int64_t row, int64_t col) {
  return static_cast<double>(matrix.values[static_cast<std::size_t>(row * matrix.cols + col)]);
}

/// Row r divided by its length.
Doubles unit(const Matrix& matrix, int64_t row) {
  Doubles result;
  double square = 0;
  for (int64_t c = 0; c < matrix.cols; ++c) square += at(matrix, row, c) * at(matrix, row, c);
  for (int64_t c = 0; c < matrix.cols; ++c) result.push_back(at(matrix, row, c) / std::sqrt(square));
  return result;
}

double product(const Doubles& a, const Doubles& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

/// Cosines of every row of a with every row of b.
Table cosines(const Matrix& a, const Matrix& b) {
  Table left, right, result;
  for (int64_t i = 0; i < a.rows; ++i) left.push_back(unit(a, i));
  for (int64_t j = 0; j < b.rows; ++j) right.push_back(unit(b, j));
  for (const Doubles& row : left) {
    Doubles& products = result.emplace_back();
    for (const Doubles& other : right) products.push_back(product(row, other));
  }
  return result;
}

Table to_each_other(const Matrix& features) { return cosines(features, features); }

Doubles sum_of_heads(const Matrix& attention) {
  Doubles sum(static_cast<std::size_t>(attention.cols), 0.0);
  for (int64_t head = 0; head < attention.rows; ++head) {
    for (int64_t j = 0; j < attention.cols; ++j) sum[j] += at(attention, head, j);
  }
  return sum;
}

Doubles min_max(Doubles values) {
  const double low = *std::min_element(values.begin(), values.end());
  const double high = *std::max_element(values.begin(), values.end());
  for (double& value : values) value = (value - low) / (high - low);
  return values;
}

int32_t best(const Doubles& scores) {
  return static_cast<int32_t>(std::max_element(scores.begin(), scores.end()) - scores.begin());
}

Ints by_score(const Doubles& scores) {
  Ints order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return scores[a] > scores[b]; });
  return order;
}

Ints sorted(Ints tokens) {
  std::sort(tokens.begin(), tokens.end());
  return tokens;
}

Doubles importance(const OwnedSignals& signals, const std::string& source) {
  const Matrix& projected = signals.of.at(Signal::Projected);
  Doubles result;
  if (source == "l2") {
    for (int64_t j = 0; j < projected.rows; ++j) {
      double square = 0;
      for (int64_t c = 0; c < projected.cols; ++c) square += at(projected, j, c) * at(projected, j, c);
      result.push_back(std::sqrt(square));
    }
    return result;
  }
  if (source == "text") {
    const Matrix& text = signals.of.at(Signal::TextEmbeds);
    Matrix mean{{}, 1, text.cols};
    for (int64_t c = 0; c < text.cols; ++c) {
      double sum = 0;
      for (int64_t t = 0; t < text.rows; ++t) sum += at(text, t, c);
      mean.values.push_back(static_cast<float>(sum / static_cast<double>(text.rows)));
    }
    for (const Doubles& row : cosines(projected, mean)) result.push_back(row[0]);
    return result;
  }
  const Matrix& heads = signals.of.at(source == "cls" ? Signal::ClsAttention : Signal::ColumnAttention);
  for (const double sum : sum_of_heads(heads)) result.push_back(sum / static_cast<double>(heads.rows));
  return result;
}

// ---- the formulas ----

// Every `cosine` is [n, n], of the features with themselves.

Ints divprune(const Table& cosine, int32_t n_keep) {
  const std::size_t n = cosine.size();
  Doubles score(n, kInfinity);
  for (std::size_t j = 0; j < n; ++j) {
    for (std::size_t i = 0; i < n; ++i) {
      if (i != j) score[j] = std::min(score[j], 1 - cosine[i][j]);
    }
  }
  Ints kept{best(score)};
  while (static_cast<int32_t>(kept.size()) < n_keep) {
    score.assign(n, kInfinity);
    for (std::size_t j = 0; j < n; ++j) {
      for (const int32_t i : kept) score[j] = std::min(score[j], 1 - cosine[i][j]);
    }
    for (const int32_t token : kept) score[token] = -kInfinity;
    kept.push_back(best(score));
  }
  return sorted(kept);
}

Ints scope(const Table& cosine, const Doubles& attention, double alpha, bool add, int32_t n_keep) {
  const std::size_t n = cosine.size();
  Doubles cover(n, 0.0);
  Ints kept;
  for (int32_t pick = 0; pick < n_keep; ++pick) {
    Doubles score(n);
    for (std::size_t j = 0; j < n; ++j) {
      double gain = 0;
      for (std::size_t i = 0; i < n; ++i) gain += std::max(0.0, cosine[i][j] - cover[i]);
      const double saliency = std::pow(attention[j], alpha);
      score[j] = add ? gain + saliency : gain * saliency;
    }
    for (const int32_t token : kept) score[token] = -kInfinity;
    kept.push_back(best(score));
    for (std::size_t i = 0; i < n; ++i) cover[i] = std::max(cover[i], cosine[i][kept.back()]);
  }
  return sorted(kept);
}

Doubles cdpruner_relevance(const OwnedSignals& signals, bool clip, double sign) {
  const Table similar = clip ? cosines(signals.of.at(Signal::ClipImage), signals.of.at(Signal::ClipText))
                             : cosines(signals.of.at(Signal::Projected), signals.of.at(Signal::TextEmbeds));
  Doubles relevance;
  for (const Doubles& row : similar) {
    relevance.push_back(sign * std::accumulate(row.begin(), row.end(), 0.0) /
                        static_cast<double>(row.size()));
  }
  const double low = *std::min_element(relevance.begin(), relevance.end());
  const double high = *std::max_element(relevance.begin(), relevance.end());
  for (double& r : relevance) r = (r - low + 1e-6) / (high - low);
  return relevance;
}

/// Greedy MAP by the incremental Cholesky factor of the kernel (Chen et al. 2018), as the authors do.
Ints cdpruner(const Table& cosine, Doubles relevance, const double* theta, int32_t n_keep) {
  if (theta != nullptr) {
    for (double& r : relevance) r = std::exp(*theta / (2 * (1 - *theta)) * r);
  }
  const std::size_t n = cosine.size();
  Table factor;
  Doubles gain(n);
  for (std::size_t i = 0; i < n; ++i) gain[i] = relevance[i] * relevance[i];
  Ints kept;
  for (int32_t pick = 0; pick < n_keep; ++pick) {
    const int32_t j = best(gain);
    kept.push_back(j);
    Doubles row(n);
    for (std::size_t i = 0; i < n; ++i) {
      row[i] = relevance[i] * cosine[j][i] * relevance[j];
      for (const Doubles& earlier : factor) row[i] -= earlier[j] * earlier[i];
      row[i] /= std::sqrt(gain[j]);
    }
    for (std::size_t i = 0; i < n; ++i) gain[i] -= row[i] * row[i];
    gain[j] = -kInfinity;
    factor.push_back(row);
  }
  return sorted(kept);
}

Ints mmr(const Table& cosine, const Doubles& raw, double lambda, int32_t n_keep) {
  const Doubles important = min_max(raw);
  Ints kept{best(important)};
  while (static_cast<int32_t>(kept.size()) < n_keep) {
    Doubles score(important.size());
    for (std::size_t j = 0; j < score.size(); ++j) {
      double largest = -kInfinity;
      for (const int32_t i : kept) largest = std::max(largest, cosine[i][j]);
      score[j] = lambda * important[j] - (1 - lambda) * largest;
    }
    for (const int32_t token : kept) score[token] = -kInfinity;
    kept.push_back(best(score));
  }
  return sorted(kept);
}

Ints greedyprune(const Table& cosine, const Doubles& important, double tau, int32_t n_keep) {
  const Ints order = by_score(important);
  Ints kept;
  for (const bool filling : {false, true}) {
    for (const int32_t token : order) {
      if (static_cast<int32_t>(kept.size()) == n_keep) break;
      bool repeated = false;
      for (const int32_t i : kept) repeated = repeated || i == token || (!filling && cosine[i][token] > tau);
      if (!repeated) kept.push_back(token);
    }
  }
  return sorted(kept);
}

Ints vispruner(const Table& cosine, const Doubles& important, double ratio, int32_t n_keep) {
  const Ints order = by_score(important);
  const auto n_important = static_cast<int32_t>(n_keep * ratio);
  Ints kept(order.begin(), order.begin() + n_important);
  Ints list(order.begin() + n_important, order.end());
  const int32_t n_diverse = n_keep - n_important;
  if (n_diverse == 0) return sorted(kept);
  while (static_cast<int32_t>(list.size()) > n_diverse) {
    Ints a, b;
    for (std::size_t i = 0; i < list.size(); ++i) (i % 2 == 0 ? a : b).push_back(list[i]);
    Doubles score;
    for (const int32_t token : a) {
      score.push_back(-kInfinity);
      for (const int32_t other : b) score.back() = std::max(score.back(), cosine[token][other]);
    }
    const Ints rank = by_score(score);
    const std::size_t drop = std::min({std::size_t{8}, list.size() - n_diverse, a.size()});
    list.clear();
    for (std::size_t i = drop; i < rank.size(); ++i) list.push_back(a[rank[i]]);
    list.insert(list.end(), b.begin(), b.end());
  }
  kept.insert(kept.end(), list.begin(), list.end());
  return sorted(kept);
}

// ---- inputs ----

/// Rows of length 1 with 4 entries of +-1/2 or 16 of +-1/4: all cosines are multiples of 1/16. Attention in
/// multiples of 1/256 from 0 to 1.
OwnedSignals exact_signals(Grid grid, uint64_t seed) {
  Rng rng(seed);
  OwnedSignals signals{grid, {}, {}};
  const int64_t n = grid.size();
  const auto rows = [&](int64_t count) {
    Matrix matrix{std::vector<float>(static_cast<std::size_t>(count * 24), 0.0F), count, 24};
    for (int64_t r = 0; r < count; ++r) {
      const bool few = rng.below(2) == 0;
      for (const int32_t c : rng.sample(24, few ? 4 : 16)) {
        matrix.values[static_cast<std::size_t>(r * 24 + c)] =
            (few ? 0.5F : 0.25F) * (rng.below(3) == 0 ? -1.0F : 1.0F);
      }
    }
    return matrix;
  };
  signals.of[Signal::Projected] = rows(n);
  signals.of[Signal::Tower] = rows(n);
  for (const Signal signal : {Signal::ClsAttention, Signal::ColumnAttention}) {
    Matrix& attention = signals.of[signal] =
        test::random_matrix(4, n, [&] { return static_cast<double>(rng.below(257)) / 256.0; });
    for (int64_t head = 0; head < 4; ++head) {  // so that the means reach from 0 to 1
      attention.values[static_cast<std::size_t>(head * n)] = 1.0F;
      attention.values[static_cast<std::size_t>(head * n + 1)] = 0.0F;
    }
  }
  return signals;
}

class GreedyReference : public ::testing::TestWithParam<Grid> {
 protected:
  static constexpr uint64_t kSeeds = 3;
  /// Even seeds: normals, wide enough for any number of directions; odd: exact cosines.
  static OwnedSignals signals(uint64_t seed, int64_t width = 24) {
    return seed % 2 == 0 ? test::random_signals(GetParam(), 400 + seed, {}, width)
                         : exact_signals(GetParam(), 400 + seed);
  }
  static Ints counts() {
    const int32_t n = GetParam().size();
    return {1, 2, n / 9, n / 4, n / 2 + 1};
  }
};

TEST_P(GreedyReference, DivPrune) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    const OwnedSignals input = signals(seed);
    const Table cosine = to_each_other(input.of.at(Signal::Projected));
    for (const int32_t n_keep : counts()) {
      EXPECT_EQ(test::run("divprune", input, n_keep).index, divprune(cosine, n_keep))
          << n_keep << " kept, seed " << seed;
    }
  }
}

TEST_P(GreedyReference, Scope) {
  const std::vector<std::pair<std::string, Signal>> attentions{{"cls", Signal::ClsAttention},
                                                               {"column", Signal::ColumnAttention}};
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    const OwnedSignals input = signals(seed);
    const Table cosine = to_each_other(input.of.at(Signal::Tower));
    for (const auto& [source, signal] : attentions) {
      const Doubles attention = sum_of_heads(input.of.at(signal));
      for (const char* alpha : {"0", "1", "2"}) {
        // Without saliency, two tokens that only stand for each other and themselves gain the same: rounding
        // must not decide.
        if (seed % 2 == 0 && alpha == std::string("0")) continue;
        for (const bool add : {false, true}) {
          const std::string use = std::string("scope:alpha=") + alpha + ",importance=" + source +
                                  ",combine=" + (add ? "add" : "multiply");
          for (const int32_t n_keep : counts()) {
            if (n_keep > 64) continue;  // the plain loops are slow
            EXPECT_EQ(test::run(use, input, n_keep).index,
                      scope(cosine, attention, std::stod(alpha), add, n_keep))
                << use << ", " << n_keep << " kept, seed " << seed;
          }
        }
      }
    }
  }
}

TEST_P(GreedyReference, CdPruner) {
  const std::vector<std::pair<std::string, double>> thetas{{"", 0}, {",theta=0", 0}, {",theta=0.6", 0.6}};
  for (uint64_t seed = 0; seed < 2 * kSeeds; seed += 2) {
    OwnedSignals input = signals(seed, GetParam().size() + 8);
    // Something in common, as real features have: wide normals are all but orthogonal, and their determinants
    // the same to float32.
    for (float& value : input.of.at(Signal::Projected).values) value += 0.7F;
    const Table cosine = to_each_other(input.of.at(Signal::Projected));
    for (const bool clip : {true, false}) {
      for (const std::string sign : {"auto", "plus", "minus"}) {
        const bool minus = sign == "auto" ? clip : sign == "minus";
        const Doubles relevance = cdpruner_relevance(input, clip, minus ? -1 : 1);
        for (const auto& [text, theta] : thetas) {
          const std::string use =
              std::string("cdpruner:relevance=") + (clip ? "clip" : "embeddings") + ",sign=" + sign + text;
          for (const int32_t n_keep : {1, GetParam().size() / 9, GetParam().size() / 4}) {
            EXPECT_EQ(test::run(use, input, n_keep).index,
                      cdpruner(cosine, relevance, text.empty() ? nullptr : &theta, n_keep))
                << use << ", " << n_keep << " kept, seed " << seed;
          }
        }
      }
    }
  }
}

TEST_P(GreedyReference, Mmr) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    const OwnedSignals input = signals(seed);
    const Table cosine = to_each_other(input.of.at(Signal::Projected));
    for (const std::string source : {"cls", "column", "l2", "text"}) {
      if (seed % 2 == 1 && (source == "l2" || source == "text")) continue;  // not exact
      const Doubles raw = importance(input, source);
      for (const char* lambda : {"0", "0.25", "0.5", "1"}) {
        const std::string use = "mmr:importance=" + source + ",lambda=" + lambda;
        for (const int32_t n_keep : counts()) {
          EXPECT_EQ(test::run(use, input, n_keep).index, mmr(cosine, raw, std::stod(lambda), n_keep))
              << use << ", " << n_keep << " kept, seed " << seed;
        }
      }
    }
  }
}

TEST_P(GreedyReference, GreedyPrune) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    const OwnedSignals input = signals(seed);
    const Table cosine = to_each_other(input.of.at(Signal::Projected));
    for (const std::string source : {"cls", "column", "text"}) {
      if (seed % 2 == 1 && source == "text") continue;
      const Doubles important = importance(input, source);
      for (const char* tau : {"-0.25", "0.125", "0.5", "0.9"}) {
        const std::string use = "greedyprune:importance=" + source + ",tau=" + tau;
        for (const int32_t n_keep : counts()) {
          EXPECT_EQ(test::run(use, input, n_keep).index,
                    greedyprune(cosine, important, std::stod(tau), n_keep))
              << use << ", " << n_keep << " kept, seed " << seed;
        }
      }
    }
  }
}

TEST_P(GreedyReference, VisPruner) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    // Thousands of sorted scores, each of which decides all that follow: with normals on a large grid, one
    // pair of them is too close for float32.
    if (seed % 2 == 0 && GetParam().size() > 200) continue;
    const OwnedSignals input = signals(seed);
    const Table cosine = to_each_other(input.of.at(Signal::Tower));
    for (const std::string source : {"cls", "column"}) {
      const Doubles important = importance(input, source);
      for (const char* ratio : {"0", "0.25", "0.5", "0.9", "1"}) {
        const std::string use = "vispruner:importance=" + source + ",ratio=" + ratio;
        for (const int32_t n_keep : counts()) {
          EXPECT_EQ(test::run(use, input, n_keep).index,
                    vispruner(cosine, important, std::stod(ratio), n_keep))
              << use << ", " << n_keep << " kept, seed " << seed;
        }
      }
    }
  }
}

std::string grid_name(const ::testing::TestParamInfo<Grid>& info) {
  return std::to_string(info.param.rows) + "x" + std::to_string(info.param.cols);
}

INSTANTIATE_TEST_SUITE_P(Grids, GreedyReference,
                         ::testing::Values(Grid{12, 12}, Grid{24, 24}, Grid{9, 13}, Grid{1, 30}), grid_name);

// ---- beyond the formulas ----

/// More tokens than all pairs are kept of.
TEST(GreedyEdgeTest, ScopeOnManyTokens) {
  const Grid grid{65, 64};
  const OwnedSignals input = test::random_signals(grid, 500, {}, 6);
  const Matrix& features = input.of.at(Signal::Tower);
  const Doubles attention = sum_of_heads(input.of.at(Signal::ClsAttention));
  Table units;
  for (int64_t i = 0; i < features.rows; ++i) units.push_back(unit(features, i));
  Doubles cover(units.size(), 0.0);
  Ints kept;
  for (int32_t pick = 0; pick < 4; ++pick) {
    Doubles score(units.size());
    for (std::size_t j = 0; j < units.size(); ++j) {
      for (std::size_t i = 0; i < units.size(); ++i) {
        score[j] += std::max(0.0, product(units[i], units[j]) - cover[i]);
      }
      score[j] *= attention[j];
    }
    for (const int32_t token : kept) score[token] = -kInfinity;
    kept.push_back(best(score));
    for (std::size_t i = 0; i < cover.size(); ++i) {
      cover[i] = std::max(cover[i], product(units[i], units[kept.back()]));
    }
  }
  EXPECT_EQ(test::run("scope", input, 4).index, sorted(kept));
}

/// Every method of this file, and with the other signal that it can go by.
const std::vector<std::string> kUses{"divprune", "scope",       "cdpruner", "cdpruner:relevance=clip",
                                     "mmr",      "greedyprune", "vispruner"};

Matrix& row_zero_from(Matrix& matrix, int64_t row) {
  for (int64_t c = 0; c < matrix.cols; ++c)
    matrix.values[static_cast<std::size_t>(row * matrix.cols + c)] = 0;
  return matrix;
}

/// 36 tokens that are 9 different ones, 4 times each.
TEST(GreedyEdgeTest, DuplicatesComeLast) {
  OwnedSignals input = test::random_signals({6, 6}, 501);
  for (const Signal signal : {Signal::Projected, Signal::Tower}) {
    Matrix& features = input.of[signal];
    for (int64_t row = 9; row < 36; ++row) {
      std::copy_n(features.values.begin() + row % 9 * features.cols, features.cols,
                  features.values.begin() + row * features.cols);
    }
  }
  for (const std::string& use : kUses) {
    const Ints kept = test::run(use, input, 9).index;
    ASSERT_EQ(kept.size(), 9U);
    EXPECT_EQ(std::set<int32_t>(kept.begin(), kept.end()).size(), 9U) << use;
    if (use == "mmr" || use == "vispruner") continue;  // they may prefer an important copy
    std::set<int32_t> different;
    for (const int32_t token : kept) different.insert(token % 9);
    EXPECT_EQ(different.size(), 9U) << use;
  }
}

TEST(GreedyEdgeTest, RowsOfZerosComeLastWhereTokensMustDiffer) {
  OwnedSignals input = test::random_signals({6, 6}, 502);
  for (const int64_t row : {0, 7, 8, 35}) {
    row_zero_from(input.of[Signal::Projected], row);
    row_zero_from(input.of[Signal::Tower], row);
  }
  for (const std::string& use : kUses) {
    ASSERT_EQ(test::run(use, input, 20).index.size(), 20U) << use;
    // In the first two nothing is like a row of zeros; VisPruner has to come across it.
    if (use == "mmr" || use == "greedyprune" || use == "vispruner") continue;
    const Ints kept = test::run(use, input, 20).index;
    for (const int32_t row : {0, 7, 8, 35}) {
      EXPECT_EQ(std::count(kept.begin(), kept.end(), row), 0) << use << ", token " << row;
    }
  }
  for (auto& [signal, matrix] : input.of) std::fill(matrix.values.begin(), matrix.values.end(), 0.0F);
  for (const std::string& use : kUses) EXPECT_EQ(test::run(use, input, 20).index.size(), 20U) << use;
}

/// Features of 6 dimensions hold 6 different tokens at most; the others come by relevance.
TEST(GreedyEdgeTest, CdPrunerFillsByRelevance) {
  const OwnedSignals input = test::random_signals({6, 6}, 503, {}, 6);
  for (const std::string use : {"cdpruner", "cdpruner:relevance=clip"}) {
    const bool clip = use != "cdpruner";
    const Doubles relevance = cdpruner_relevance(input, clip, clip ? -1 : 1);
    Ints expected = cdpruner(to_each_other(input.of.at(Signal::Projected)), relevance, nullptr, 6);
    EXPECT_EQ(test::run(use, input, 6).index, expected) << use;
    for (const int32_t token : by_score(relevance)) {
      if (expected.size() == 17U) break;
      if (std::find(expected.begin(), expected.end(), token) == expected.end()) expected.push_back(token);
    }
    EXPECT_EQ(test::run(use, input, 17).index, sorted(expected)) << use;
  }
}

/// By attention a list of five: A = 4, 0, 3 and B = 1, 2. Only token 0 is like one of B (0.8 to token 1).
TEST(GreedyEdgeTest, VisPrunerHandWorked) {
  OwnedSignals input{{1, 5}, {}, {}};
  input.of[Signal::ClsAttention] = {{0.3F, 0.4F, 0.2F, 0.1F, 0.5F}, 1, 5};
  input.of[Signal::Tower] = {{4, 3, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 2, 0, 0, 0, 0, 7}, 5, 4};
  EXPECT_EQ(test::run("vispruner:ratio=0", input, 4).index, (Ints{1, 2, 3, 4}));
  EXPECT_EQ(test::run("vispruner:ratio=0.3", input, 4).index, (Ints{0, 2, 3, 4}))
      << "4 is important, then A = 1, 2 and B = 0, 3";
  EXPECT_EQ(test::run("vispruner:ratio=0", input, 1).index, (Ints{2})) << "all of A goes, then 1";
  std::fill_n(input.of[Signal::Tower].values.begin() + 12, 4, 0.0F);
  EXPECT_EQ(test::run("vispruner:ratio=0", input, 4).index, (Ints{0, 1, 2, 4})) << "3 has no direction";
  EXPECT_EQ(test::run("vispruner:ratio=0", input, 3).index, (Ints{1, 2, 4})) << "3 and then 0";
}

/// Three tokens in a plane: determinants by hand.
TEST(GreedyEdgeTest, CdPrunerHandWorked) {
  OwnedSignals input{{1, 3}, {}, {}};
  // Cosines to the text (1, 0): 1, 0.8, 0; relevance about 1, 0.8, 0 (1e-6).
  input.of[Signal::Projected] = {{2, 0, 4, 3, 0, 1}, 3, 2};
  input.of[Signal::TextEmbeds] = {{1, 0}, 1, 2};
  EXPECT_EQ(test::run("cdpruner", input, 1).index, (Ints{0}));
  EXPECT_EQ(test::run("cdpruner", input, 2).index, (Ints{0, 1})) << "gain 0.64 * 0.36 against 1e-12 * 1";
  EXPECT_EQ(test::run("cdpruner:theta=0", input, 2).index, (Ints{0, 2})) << "gain 0.36 against 1";
  EXPECT_EQ(test::run("cdpruner:sign=minus", input, 1).index, (Ints{2}));
}

}  // namespace
}  // namespace winnow::prune
