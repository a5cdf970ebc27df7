// Methods inside the decoder against plain loops in double precision, written from the formulas of the
// papers. Nothing here uses winnow/prune except to run the method under test. SparseVLM:
// sparsevlm_reference_test.cpp.

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <set>

#include "tests/prune/plain_loops.h"
#include "winnow/base/error.h"

namespace winnow::prune {
namespace {

using test::at;
using test::Doubles;
using test::first_of;
using test::has;
using test::Ints;
using test::kTextTokens;
using test::Matrix;
using test::mean_of_rows;
using test::OwnedSignals;
using test::plain_cosine;
using test::random_signals;
using test::ranking;
using test::run;
using test::sorted;

class DecoderReference : public ::testing::TestWithParam<Grid> {
 protected:
  Ints counts() const {
    const int32_t n = GetParam().size();
    return {1, 3, n / 9, n / 4, n / 2, n - 1};
  }
};

void expect_scores(const Plan& plan, const Doubles& expected, double tolerance) {
  ASSERT_EQ(plan.scores.size(), expected.size());
  for (std::size_t j = 0; j < expected.size(); ++j) {
    ASSERT_NEAR(plan.scores[j], expected[j], tolerance) << "token " << j;
  }
}

TEST_P(DecoderReference, PyramidDrop) {
  for (uint64_t seed = 0; seed < 3; ++seed) {
    const OwnedSignals signals = random_signals(GetParam(), 500 + seed, {}, 8, 16);
    const Doubles scores = mean_of_rows(signals.of.at(Signal::NextAttention));
    for (const int32_t n_keep : counts()) {
      const Plan plan = run("pyramiddrop", signals, n_keep);
      expect_scores(plan, scores, 1e-7);
      EXPECT_EQ(plan.index, sorted(first_of(ranking(scores), n_keep))) << n_keep << " kept, seed " << seed;
    }
  }
}

double change(const std::string& norm, const Matrix& now, const Matrix& before, int64_t j) {
  if (norm == "cosine") return 1.0 - plain_cosine(now, j, before, j);
  double sum = 0;
  for (int64_t c = 0; c < now.cols; ++c) {
    const double difference = std::abs(at(now, j, c) - at(before, j, c));
    sum += norm == "l1" ? difference : difference * difference;
  }
  return norm == "l1" ? sum : std::sqrt(sum);
}

TEST_P(DecoderReference, V2Drop) {
  for (const std::string norm : {"l2", "l1", "cosine"}) {
    const OwnedSignals signals = random_signals(GetParam(), 600, {}, 40);
    Doubles scores;
    for (int32_t j = 0; j < GetParam().size(); ++j) {
      scores.push_back(change(norm, signals.of.at(Signal::Hidden), signals.of.at(Signal::PreviousHidden), j));
    }
    for (const int32_t n_keep : counts()) {
      const Plan plan = run("v2drop:norm=" + norm, signals, n_keep);
      expect_scores(plan, scores, 2e-5);
      EXPECT_EQ(plan.index, sorted(first_of(ranking(scores), n_keep))) << norm << ", " << n_keep << " kept";
    }
  }
}

// ---- MustDrop

struct TextWeights {
  Doubles sum;   // g_j
  Doubles peak;  // max_t A[t, j]
};

TextWeights text_weights(const OwnedSignals& signals) {
  const Matrix& attention = signals.of.at(Signal::TextAttention);
  const int64_t heads = attention.rows / kTextTokens;
  TextWeights weights{Doubles(attention.cols, 0.0), Doubles(attention.cols, 0.0)};
  for (int64_t j = 0; j < attention.cols; ++j) {
    for (int64_t t = 0; t < kTextTokens; ++t) {
      double mean = 0;
      for (int64_t head = 0; head < heads; ++head) mean += at(attention, head * kTextTokens + t, j);
      mean /= static_cast<double>(heads);
      weights.sum[j] += mean;
      weights.peak[j] = std::max(weights.peak[j], mean);
    }
  }
  return weights;
}

/// The paper's filter with both thresholds times `factor`.
Ints left_by_thresholds(const TextWeights& weights, const Ints& keys, double global, double individual) {
  const double total = std::accumulate(weights.sum.begin(), weights.sum.end(), 0.0);
  Ints left;
  for (int32_t j = 0; j < static_cast<int32_t>(weights.sum.size()); ++j) {
    const bool dropped = weights.sum[j] < global * total && weights.peak[j] < individual;
    if (!dropped || has(keys, j)) left.push_back(j);
  }
  return left;
}

TEST_P(DecoderReference, MustDrop) {
  const int32_t n = GetParam().size();
  for (const char* block : {"next", "feature"}) {
    OwnedSignals signals = random_signals(GetParam(), 700);
    const int32_t of_block = std::string(block) == "next" ? kNextBlock : kFeatureBlock;
    signals.of_block[{Signal::ClsAttention, of_block}] =
        random_signals(GetParam(), 701).of[Signal::ClsAttention];
    const auto n_key = static_cast<int32_t>(std::ceil(0.08 * n));
    const Ints keys =
        first_of(ranking(mean_of_rows(signals.of_block.at({Signal::ClsAttention, of_block}))), n_key);
    const TextWeights weights = text_weights(signals);
    std::set<std::size_t> sizes;
    // Both thresholds moved together: the count that a factor gives, asked for, is the set that it gives.
    for (const double factor : {0.1, 0.6, 0.8, 0.9, 1.0, 1.1, 1.3, 2.0, 30.0}) {
      const double global = std::min(1.0, factor * 1.1 / n);
      const double individual = std::min(1.0, factor * 0.9 / n);
      const Ints left = left_by_thresholds(weights, keys, global, individual);
      const auto use = fmt::format("mustdrop:block={},global={},individual={}", block, global, individual);
      EXPECT_EQ(run(use, signals, kMethodDecides).index, left) << use;
      const auto fixed = fmt::format("mustdrop:block={},global={},individual={}", block, 1.1 / n, 0.9 / n);
      EXPECT_EQ(run(fixed, signals, static_cast<int32_t>(left.size())).index, left) << fixed;
      sizes.insert(left.size());
    }
    EXPECT_GE(sizes.size(), 4U);
    EXPECT_TRUE(sizes.contains(static_cast<std::size_t>(n_key)));
  }
}

// ---- DART

/// CPython's set of small integers: slot -> number, iterated by slot.
class PythonSet {
 public:
  void add(int64_t value) {
    place(value);
    const auto used = static_cast<int64_t>(slots_.size());
    if (used * 5 < (size_ - 1) * 3) return;
    std::vector<int64_t> values = list();
    for (size_ = 8; size_ <= 4 * used;) size_ *= 2;
    slots_.clear();
    for (const int64_t old : values) place(old);
  }
  std::vector<int64_t> list() const {
    std::vector<int64_t> values;
    for (const auto& [slot, value] : slots_) values.push_back(value);
    return values;
  }

 private:
  void place(int64_t value) {
    int64_t slot = value % size_;
    for (int64_t rest = value;; slot = (5 * slot + 1 + rest) % size_) {
      for (int64_t i = 0; i == 0 || (i <= 9 && slot + 9 < size_); ++i) {
        if (slots_.emplace(slot + i, value).second) return;
      }
      rest /= 32;
    }
  }
  int64_t size_ = 8;
  std::map<int64_t, int64_t> slots_;
};

struct DartInput {
  Matrix keys, text_keys, features, text_features;
  bool set_order = true;
  int32_t first_id = 5;  // OwnedSignals: token j has id 5 + j, text follows
};

Ints pivots_of(const Matrix& keys, int32_t count) {
  Doubles norms;
  for (int64_t j = 0; j < keys.rows; ++j) {
    double norm = 0;
    for (int64_t c = 0; c < keys.cols; ++c) norm += std::abs(at(keys, j, c));
    norms.push_back(norm);
  }
  return first_of(ranking(norms), std::min(count, static_cast<int32_t>(keys.rows)));
}

/// Tokens taken by each pivot, in turn; shares as even as they can be, larger ones first.
Ints plain_dart(const DartInput& in, int32_t n_keep, int32_t n_visual_pivot, int32_t n_text_pivot) {
  const auto n = static_cast<int32_t>(in.keys.rows);
  Ints kept = pivots_of(in.keys, std::min(n_visual_pivot, n_keep));
  Ints pivots = kept;
  for (const int32_t t : pivots_of(in.text_keys, n_text_pivot)) pivots.push_back(n + t);
  if (in.set_order) {
    PythonSet order;
    for (const int32_t pivot : pivots) order.add(in.first_id + pivot);
    pivots.clear();
    for (const int64_t value : order.list()) pivots.push_back(static_cast<int32_t>(value) - in.first_id);
  }
  const int32_t wanted = n_keep - static_cast<int32_t>(kept.size());
  const auto n_pivot = static_cast<int32_t>(pivots.size());
  for (int32_t p = 0; p < n_pivot; ++p) {
    const int32_t share = wanted / n_pivot + (p < wanted % n_pivot ? 1 : 0);
    Doubles unlike;
    for (int32_t j = 0; j < n; ++j) {
      const bool text = pivots[p] >= n;
      unlike.push_back(-plain_cosine(in.features, j, text ? in.text_features : in.features,
                                     text ? pivots[p] - n : pivots[p]));
    }
    int32_t taken = 0;
    for (const int32_t token : ranking(unlike)) {
      if (taken == share) break;
      if (has(kept, token)) continue;
      kept.push_back(token);
      ++taken;
    }
  }
  return sorted(kept);
}

TEST_P(DecoderReference, Dart) {
  for (uint64_t seed = 0; seed < 4; ++seed) {
    const OwnedSignals signals = random_signals(GetParam(), 800 + seed, {}, 20);
    const auto& of = signals.of;
    const DartInput layer{of.at(Signal::LayerKeys), of.at(Signal::TextKeys), of.at(Signal::HiddenNormed),
                          of.at(Signal::TextNormed)};
    const DartInput embeddings{of.at(Signal::Projected), of.at(Signal::TextEmbeds), of.at(Signal::Projected),
                               of.at(Signal::TextEmbeds), false};
    for (const int32_t n_keep : counts()) {
      SCOPED_TRACE(std::to_string(n_keep) + " kept, seed " + std::to_string(seed));
      EXPECT_EQ(run("dart", signals, n_keep).index, plain_dart(layer, n_keep, 4, 4));
      EXPECT_EQ(run("dart:text_pivots=0", signals, n_keep).index, plain_dart(layer, n_keep, 4, 0));
      EXPECT_EQ(run("dart:visual_pivots=11,text_pivots=2", signals, n_keep).index,
                plain_dart(layer, n_keep, 11, 2));
      EXPECT_EQ(run("dart:stage=embeddings", signals, n_keep).index, plain_dart(embeddings, n_keep, 4, 4));
    }
  }
}

TEST(DartReference, OrderOfThePivotsMatters) {
  int32_t different = 0;
  for (uint64_t seed = 0; seed < 10; ++seed) {
    const OwnedSignals signals = random_signals({6, 6}, 850 + seed);
    const auto& of = signals.of;
    DartInput in{of.at(Signal::LayerKeys), of.at(Signal::TextKeys), of.at(Signal::HiddenNormed),
                 of.at(Signal::TextNormed)};
    const Ints in_set_order = plain_dart(in, 20, 4, 4);
    in.set_order = false;
    different += static_cast<int32_t>(plain_dart(in, 20, 4, 4) != in_set_order);
  }
  EXPECT_GE(different, 5);
}

// ---- BTP

using Distance = std::function<double(int32_t, int32_t)>;

/// Max-min greedy from scratch or from what is there, all distances anew at every step.
void plain_farthest(Ints& chosen, int32_t count, int32_t n, std::optional<int32_t> first,
                    const Distance& distance) {
  while (static_cast<int32_t>(chosen.size()) < count) {
    if (chosen.empty() && first) {
      chosen.push_back(*first);
      continue;
    }
    int32_t best = -1;
    double best_distance = 0;
    for (int32_t j = 0; j < n; ++j) {
      if (has(chosen, j)) continue;
      double nearest = std::numeric_limits<double>::infinity();
      for (int32_t i = 0; i < n; ++i) {
        if (chosen.empty() ? i != j : has(chosen, i)) nearest = std::min(nearest, distance(i, j));
      }
      if (best >= 0 && nearest <= best_distance) continue;
      best = j;
      best_distance = nearest;
    }
    chosen.push_back(best);
  }
}

struct BtpShares {
  double spatial, diversity, attention, expand;
  std::string text() const {
    return fmt::format("btp:spatial={},diversity={},attention={},expand={}", spatial, diversity, attention,
                       expand);
  }
};

Ints plain_btp(const OwnedSignals& signals, int32_t n_keep, const BtpShares& shares) {
  const Matrix& hidden = signals.of.at(Signal::Hidden);
  const auto n = static_cast<int32_t>(hidden.rows);
  const int32_t cols = signals.grid.cols;
  Ints kept;
  const auto add = [&](const Ints& tokens) {
    for (const int32_t token : tokens) {
      if (!has(kept, token) && static_cast<int32_t>(kept.size()) < n_keep) kept.push_back(token);
    }
  };
  Ints spatial;
  plain_farthest(spatial, static_cast<int32_t>(shares.spatial * n_keep), n, 0, [&](int32_t i, int32_t j) {
    return std::abs(i / cols - j / cols) + std::abs(i % cols - j % cols);
  });
  add(spatial);
  std::map<std::pair<int32_t, int32_t>, double> known;
  const Distance feature_distance = [&](int32_t i, int32_t j) {
    const auto [entry, fresh] = known.try_emplace({std::min(i, j), std::max(i, j)}, 0.0);
    if (fresh) entry->second = 1.0 - plain_cosine(hidden, i, hidden, j);
    return entry->second;
  };
  Ints diverse;
  plain_farthest(diverse, static_cast<int32_t>(shares.diversity * n_keep), n, {}, feature_distance);
  add(diverse);
  const auto count = static_cast<int32_t>(shares.attention * n_keep);
  const Ints best = first_of(ranking(mean_of_rows(signals.of.at(Signal::LastTextAttention))),
                             std::min(n, static_cast<int32_t>(shares.expand * count)));
  Ints attended;
  for (const bool early : {true, false}) {
    for (const int32_t token : best) {
      if ((token < n_keep) == early && static_cast<int32_t>(attended.size()) < count)
        attended.push_back(token);
    }
  }
  add(attended);
  plain_farthest(kept, n_keep, n, {}, feature_distance);
  return sorted(kept);
}

TEST(BtpReference, SharesOfEveryKind) {
  for (const Grid grid : {Grid{8, 8}, Grid{5, 11}, Grid{1, 30}}) {
    const OwnedSignals signals = random_signals(grid, 900, {}, 12);
    for (const BtpShares& shares :
         {BtpShares{0.5, 0.3, 0.3, 3.7}, BtpShares{0, 0.1, 0.9, 1.5}, BtpShares{0, 0, 1, 1.2},
          BtpShares{1, 1, 1, 2}, BtpShares{0, 0, 0, 1}, BtpShares{0.2, 0.9, 0.7, 1}}) {
      for (const int32_t n_keep : {1, 2, 7, grid.size() / 2, grid.size() - 1}) {
        EXPECT_EQ(run(shares.text(), signals, n_keep).index, plain_btp(signals, n_keep, shares))
            << shares.text() << ", " << n_keep << " kept of " << grid.size();
      }
    }
  }
}

// ---- Information horizon

TEST(HorizonReference, IsUniformAndRepeatable) {
  const OwnedSignals signals = random_signals({4, 5}, 1000);
  std::vector<int32_t> drawn(20, 0);
  constexpr int32_t kRounds = 4000;
  for (uint64_t seed = 0; seed < kRounds; ++seed) {
    for (const int32_t token : run("horizon", signals, 5, seed).index) ++drawn[token];
  }
  // Each token is kept in a quarter of the rounds: 1000, standard deviation 27.4.
  for (const int32_t count : drawn) EXPECT_NEAR(count, 1000, 5 * 27.4);
  EXPECT_EQ(run("horizon", signals, 5, 9).index, run("horizon", signals, 5, 9).index);
}

TEST(HorizonReference, NoneAtAll) {
  const OwnedSignals signals = random_signals({4, 5}, 1000);
  EXPECT_EQ(run("horizon:rule=none", signals, 0).n_out(), 0);
  EXPECT_EQ(run("horizon", signals, 0).n_out(), 0);
}

std::string grid_name(const ::testing::TestParamInfo<Grid>& info) {
  return std::to_string(info.param.rows) + "x" + std::to_string(info.param.cols);
}

INSTANTIATE_TEST_SUITE_P(Grids, DecoderReference,
                         ::testing::Values(Grid{12, 12}, Grid{24, 24}, Grid{9, 13}, Grid{1, 30}), grid_name);

}  // namespace
}  // namespace winnow::prune
