// FastV and its relatives, and the tower's signals, against the plain-loop double-precision reference.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "tests/support/engine_models.h"
#include "winnow/base/error.h"

namespace winnow::engine {
namespace {

using testing::kOracleFirstVisual;
using testing::kOracleVisual;
using testing::oracle_model;
using testing::oracle_prompt;
using testing::oracle_reference;
using testing::prune_with;
using testing::RefForward;
using testing::RefMatrix;
using testing::RefPrune;
using testing::worst_error;

constexpr int32_t kTokens = 52;

/// Picture 3, seen by the engine's tower and by the reference.
struct Seen {
  EncodedImage encoded;
  testing::RefFeatures features;
  RefMatrix embeds;
  std::vector<int32_t> positions;
};

TowerRequest all_signals() {
  TowerRequest request;
  for (const auto signal :
       {prune::Signal::ClsAttention, prune::Signal::ColumnAttention, prune::Signal::TowerKeys}) {
    for (const int32_t block : {0, 1, -1, -2}) request.needs.push_back({signal, block});
  }
  return request;
}

const Seen& seen() {
  static const Seen the_picture = [] {
    Seen out;
    std::vector<float> pixels;
    Session session(oracle_model(), testing::threads(1));
    session.set_observer([&](std::string_view name, std::span<const int64_t>, std::span<const float> values) {
      if (name == "pixel_values") pixels.assign(values.begin(), values.end());
    });
    out.encoded = session.encode(testing::picture(3, 84, 84), ImageFit::Crop, all_signals());
    out.features = oracle_reference().encode(pixels, testing::kOracleTowerLayers);
    out.embeds = oracle_reference().embed(testing::oracle_results().at("input_ids").i32,
                                          testing::kOracleImageToken, out.features.projected);
    out.positions.resize(kTokens);
    std::iota(out.positions.begin(), out.positions.end(), 0);
    return out;
  }();
  return the_picture;
}

PrefillResult prefill(const PruneOptions& options) {
  Session session(oracle_model(), testing::threads(1));
  return session.prefill(oracle_prompt(), {&seen().encoded}, options, 0);
}

RefPrune drop_before(int32_t layer, int32_t n_keep, int32_t query_row) {
  RefPrune drop{.layer = layer, .n_keep = n_keep, .query_row = query_row};
  for (int32_t j = 0; j < kOracleVisual; ++j) drop.visual_rows.push_back(kOracleFirstVisual + j);
  return drop;
}

void expect_like_reference(const std::string& method, int32_t query_row) {
  for (const int32_t layer : {1, 2, 3}) {
    for (const auto& [keep, n_keep] : {std::pair{"1", 1}, {"4", 4}, {"9", 9}, {"16", 16}, {"25%", 9}}) {
      const std::string what = method + " layer " + std::to_string(layer) + " keep " + keep;
      const PrefillResult actual = prefill(prune_with(method, keep, layer, *oracle_model()));
      const RefForward expected =
          oracle_reference().forward(seen().embeds, seen().positions, drop_before(layer, n_keep, query_row));
      ASSERT_EQ(actual.steps.size(), 1U);
      EXPECT_EQ(actual.steps[0].kept, expected.kept) << what;
      EXPECT_LE(worst_error(actual.steps[0].scores, expected.scores), 1e-5) << what;
      EXPECT_LE(worst_error(actual.logits, expected.logits.row(expected.logits.rows - 1)), 1e-4) << what;
    }
  }
}

TEST(FastVReference, LastPromptTokenIsTheQuery) { expect_like_reference("fastv", kTokens - 1); }

TEST(FastVReference, LastVisualTokenIsTheQuery) {
  expect_like_reference("fastv_vis", kOracleFirstVisual + kOracleVisual - 1);
}

TEST(FastVReference, TheTwoQueriesDiffer) {
  EXPECT_NE(prefill(prune_with("fastv", "9", 2, *oracle_model())).steps[0].kept,
            prefill(prune_with("fastv_vis", "9", 2, *oracle_model())).steps[0].kept);
}

std::vector<double> min_max(std::vector<double> values) {
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  const double base = *low;
  const double range = *high - *low;
  for (double& v : values) v = (v - base) / range;
  return values;
}

double cosine(std::span<const double> a, std::span<const double> b) {
  double ab = 0.0;
  double aa = 0.0;
  double bb = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    ab += a[i] * b[i];
    aa += a[i] * a[i];
    bb += b[i] * b[i];
  }
  return ab / std::sqrt(aa * bb);
}

TEST(BalancedReference, ScoresFollowEquationSix) {
  const RefForward whole = oracle_reference().forward(seen().embeds, seen().positions);
  for (const int32_t layer : {1, 2, 3}) {
    for (const double alpha : {0.0, 0.3, 0.5, 1.0}) {
      const auto& attention = whole.attention[static_cast<std::size_t>(layer - 1)];
      const RefMatrix& hidden = whole.layers[static_cast<std::size_t>(layer - 1)];  // what enters `layer`
      std::vector<double> importance;
      std::vector<double> redundancy;
      for (int32_t j = 0; j < kOracleVisual; ++j) {
        double sum = 0.0;
        for (const RefMatrix& head : attention) sum += head.at(kTokens - 1, kOracleFirstVisual + j);
        importance.push_back(sum / static_cast<double>(attention.size()));
        redundancy.push_back(cosine(hidden.row(kOracleFirstVisual + j), hidden.row(kTokens - 1)));
      }
      importance = min_max(importance);
      redundancy = min_max(redundancy);
      std::vector<double> scores;
      for (std::size_t j = 0; j < importance.size(); ++j) {
        scores.push_back(alpha * importance[j] + (1.0 - alpha) * (1.0 - redundancy[j]));
      }
      const std::string method = "balanced:alpha=" + std::to_string(alpha);
      const PrefillResult actual = prefill(prune_with(method, "9", layer, *oracle_model()));
      EXPECT_LE(worst_error(actual.steps[0].scores, scores), 1e-4) << method << " layer " << layer;
    }
  }
}

const TowerSignal& signal_of(prune::Signal signal, int32_t block) {
  const auto& all = seen().encoded.signals;
  return *std::ranges::find_if(all, [&](const TowerSignal& s) {
    return s.need == prune::Need{signal, block};
  });
}

constexpr int32_t kBlocksRun = 3;

std::size_t from_first(int32_t block) {
  return static_cast<std::size_t>(block < 0 ? kBlocksRun + block : block);
}

TEST(TowerSignals, FeaturesEqualTheReference) {
  EXPECT_LE(worst_error(seen().encoded.features, seen().features.selected.values), 2e-5);
  EXPECT_LE(worst_error(seen().encoded.projected, seen().features.projected.values), 2e-5);
}

TEST(TowerSignals, AttentionOfEveryBlockEqualsTheReference) {
  for (const int32_t block : {0, 1, -1, -2}) {
    const auto& heads = seen().features.attention[from_first(block)];
    std::vector<double> cls;
    std::vector<double> column;
    for (const RefMatrix& head : heads) {
      for (int32_t j = 1; j <= kOracleVisual; ++j) {
        cls.push_back(head.at(0, j));
        double sum = 0.0;
        for (int64_t row = 0; row < head.rows; ++row) sum += head.at(row, j);
        column.push_back(sum / static_cast<double>(head.rows));
      }
    }
    const TowerSignal& cls_signal = signal_of(prune::Signal::ClsAttention, block);
    EXPECT_EQ(cls_signal.rows, static_cast<int64_t>(heads.size()));
    EXPECT_LE(worst_error(cls_signal.values, cls), 1e-5) << "block " << block;
    const TowerSignal& column_signal = signal_of(prune::Signal::ColumnAttention, block);
    EXPECT_EQ(column_signal.rows, static_cast<int64_t>(heads.size()));
    EXPECT_LE(worst_error(column_signal.values, column), 1e-5) << "block " << block;
  }
}

/// k = W LN(x) + b of a block, from the file's tensors.
std::vector<double> reference_keys(std::size_t block) {
  const GgufFile& file = oracle_model()->mmproj_file();
  const auto tensor = [&](const std::string& name) {
    const GgufTensor& t = *file.find("v.blk." + std::to_string(block) + "." + name);
    std::vector<float> values(static_cast<std::size_t>(t.n_elements()));
    rows_to_f32(file.bytes(t).data(), t.type, 1, t.n_elements(), values.data());
    return values;
  };
  const auto scale = tensor("ln1.weight"), shift = tensor("ln1.bias");
  const auto weight = tensor("attn_k.weight"), bias = tensor("attn_k.bias");
  const RefMatrix& x = block == 0 ? seen().features.input : seen().features.blocks[block - 1];
  const auto d = static_cast<std::size_t>(x.cols);
  std::vector<double> keys;
  for (int64_t token = 1; token < x.rows; ++token) {
    double mean = 0.0;
    double variance = 0.0;
    for (const double v : x.row(token)) mean += v / static_cast<double>(d);
    for (const double v : x.row(token)) variance += (v - mean) * (v - mean) / static_cast<double>(d);
    for (std::size_t out = 0; out < d; ++out) {
      double sum = static_cast<double>(bias[out]);
      for (std::size_t in = 0; in < d; ++in) {
        const double normed = (x.row(token)[in] - mean) / std::sqrt(variance + 1e-5);
        sum += static_cast<double>(weight[out * d + in]) *
               (normed * static_cast<double>(scale[in]) + static_cast<double>(shift[in]));
      }
      keys.push_back(sum);
    }
  }
  return keys;
}

TEST(TowerSignals, KeysEqualTheReference) {
  for (const int32_t block : {0, 1, -1}) {
    const TowerSignal& keys = signal_of(prune::Signal::TowerKeys, block);
    EXPECT_EQ(keys.rows, kOracleVisual);
    EXPECT_LE(worst_error(keys.values, reference_keys(from_first(block))), 1e-4) << "block " << block;
  }
}

TEST(TowerSignals, TapsLeaveTheForwardPassAlone) {
  for (const bool f32 : {true, false}) {
    Session session(oracle_model(f32), testing::threads(1));
    const Image image = testing::picture(3, 84, 84);
    const EncodedImage plain = session.encode(image, ImageFit::Crop, {});
    const EncodedImage tapped = session.encode(image, ImageFit::Crop, all_signals());
    EXPECT_TRUE(plain.signals.empty());
    EXPECT_EQ(tapped.signals.size(), 12U);
    EXPECT_EQ(plain.features, tapped.features);
    EXPECT_EQ(plain.projected, tapped.projected);
  }
}

TEST(TowerSignals, OnlyWhatTheStepsReadIsAskedFor) {
  const Session session(oracle_model(), testing::threads(1));
  EXPECT_TRUE(session.tower_request({}).needs.empty());
  EXPECT_TRUE(session.tower_request(prune_with("fastv", "9", 2, *oracle_model())).needs.empty());
  PruneOptions options = prune_with("fastervlm", "9", -1, *oracle_model());
  const std::vector<prune::Need> expected = {{prune::Signal::ClsAttention, prune::kFeatureBlock}};
  EXPECT_EQ(session.tower_request(options).needs, expected);
  options.steps.push_back(prune_with("balanced:importance=cls", "4", 2, *oracle_model()).steps[0]);
  EXPECT_EQ(session.tower_request(options).needs, expected) << "asked for once";
}

TEST(TowerSignals, FollowTheTokensThatAnEarlierStepLeft) {
  PruneOptions options = prune_with("random", "20", -1, *oracle_model());
  options.steps.push_back(prune_with("balanced:importance=cls,alpha=1", "6", 2, *oracle_model()).steps[0]);
  const PrefillResult actual = prefill(options);
  std::vector<double> expected;
  for (const int32_t cell : actual.steps.at(0).kept) {
    double sum = 0.0;
    for (const RefMatrix& head : seen().features.attention[2]) sum += head.at(0, cell + 1);
    expected.push_back(sum);
  }
  EXPECT_LE(worst_error(actual.steps.at(1).scores, min_max(expected)), 1e-4);
}

TEST(TowerSignals, BlocksThatAreNotRunAreRefused) {
  Session session(oracle_model(), testing::threads(1));
  for (const int32_t block : {3, -4}) {
    EXPECT_THROW(
        session.encode(testing::picture(3, 84, 84), ImageFit::Crop, {{{prune::Signal::ClsAttention, block}}}),
        Error)
        << block;
  }
}

}  // namespace
}  // namespace winnow::engine
