// Signals of the tower behind and beside the features, and what a tower or a file does not have.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "tests/support/engine_models.h"
#include "tests/support/recorder_method.h"
#include "winnow/base/error.h"
#include "winnow/engine/step_signals.h"

namespace winnow::engine {
namespace {

using prune::Need;
using prune::Signal;
using testing::RecorderMethod;
using testing::RefMatrix;
using testing::threads;
using testing::worst_error;

constexpr int32_t kPatches = 36;

std::shared_ptr<const Model> traced_model() {
  ModelOptions options;
  options.text_path = testing::oracle_path("text.gguf");
  options.mmproj_path = testing::oracle_path("mmproj-all.gguf");
  options.device = "cpu";
  options.f32 = true;
  options.all_blocks = true;
  return Model::load(options);
}

/// What the model's tower and the reference of a file make of picture 3.
struct Seen {
  EncodedImage image;
  testing::RefFeatures features;
};

Seen encode(const std::shared_ptr<const Model>& model, const testing::ReferenceLlava& reference,
            const std::vector<Need>& needs) {
  Seen out;
  std::vector<float> pixels;
  Session session(model, threads(1));
  session.set_observer([&](std::string_view name, std::span<const int64_t>, std::span<const float> values) {
    if (name == "pixel_values") pixels.assign(values.begin(), values.end());
  });
  const int32_t size = model->clip().image_size_px;
  out.image = session.encode(testing::picture(3, size, size), ImageFit::Crop, {needs});
  out.features = reference.encode(pixels, 4);
  return out;
}

/// Softmax of the [CLS] row as if the block had one head, without the [CLS] column.
std::vector<double> wide_attention(const RefMatrix& queries, const RefMatrix& keys) {
  std::vector<double> out;
  double top = -INFINITY;
  for (int64_t j = 0; j < keys.rows; ++j) {
    double sum = 0.0;
    for (int64_t c = 0; c < keys.cols; ++c) sum += queries.at(0, c) * keys.at(j, c);
    out.push_back(sum / std::sqrt(static_cast<double>(keys.cols)));
    top = std::max(top, out.back());
  }
  double total = 0.0;
  for (double& v : out) total += v = std::exp(v - top);
  for (double& v : out) v /= total;
  out.erase(out.begin());
  return out;
}

/// A signal of a block by its index, from the reference.
std::vector<double> expected_signal(const testing::RefFeatures& features, Signal signal, std::size_t block) {
  const auto& heads = features.attention[block];
  const RefMatrix& keys = features.keys[block];
  const int64_t n_cls = keys.rows - kPatches;
  std::vector<double> out;
  switch (signal) {
    case Signal::WideClsAttention: return wide_attention(features.queries[block], keys);
    case Signal::TowerKeys: return {keys.values.begin() + n_cls * keys.cols, keys.values.end()};
    case Signal::ClsAttention:
      for (const RefMatrix& head : heads) {
        for (int64_t j = n_cls; j < head.cols; ++j) out.push_back(head.at(0, j));
      }
      return out;
    default:
      for (const RefMatrix& head : heads) {
        for (int64_t j = n_cls; j < head.cols; ++j) {
          double sum = 0.0;
          for (int64_t i = 0; i < head.rows; ++i) sum += head.at(i, j);
          out.push_back(sum / static_cast<double>(head.rows));
        }
      }
      return out;
  }
}

constexpr Signal kTaps[] = {Signal::ClsAttention, Signal::WideClsAttention, Signal::ColumnAttention,
                            Signal::TowerKeys};

TEST(TowerBlocks, EveryNameOfABlockIsThatBlock) {
  const testing::ReferenceLlava reference(testing::oracle_path("text.gguf"),
                                          testing::oracle_path("mmproj-all.gguf"));
  // Of four blocks the projector reads the third.
  const std::pair<int32_t, std::size_t> names[] = {{0, 0},
                                                   {1, 1},
                                                   {2, 2},
                                                   {3, 3},
                                                   {prune::kNextBlock, 3},
                                                   {prune::kFeatureBlock, 2},
                                                   {-2, 1},
                                                   {-3, 0},
                                                   {prune::block_at(2, 4), 1},
                                                   {prune::block_at(12, 24), 1},
                                                   {prune::block_at(24, 24), 3},
                                                   {prune::block_at(1, 4), 0}};
  std::vector<Need> needs;
  for (const auto& [block, index] : names) {
    for (const Signal signal : kTaps) needs.push_back({signal, block});
  }
  for (const auto& model : {testing::complete_oracle_model(), traced_model()}) {
    const Seen seen = encode(model, reference, needs);
    ASSERT_EQ(seen.image.signals.size(), needs.size());
    EXPECT_EQ(seen.image.computed.size(), needs.size());
    for (const TowerSignal& signal : seen.image.signals) {
      const auto name = std::ranges::find(names, signal.need.block, [](const auto& n) { return n.first; });
      const auto expected = expected_signal(seen.features, signal.need.signal, name->second);
      EXPECT_LE(worst_error(signal.values, expected), 2e-5)
          << prune::signal_name(signal.need.signal) << " of block " << signal.need.block;
      EXPECT_EQ(signal.rows * (signal.need.signal == Signal::TowerKeys ? 64 : kPatches),
                std::ssize(expected));
    }
  }
}

TEST(TowerBlocks, TheNextBlockLeavesTheFeaturesAlone) {
  for (const bool f32 : {true, false}) {
    const auto model = testing::complete_oracle_model(f32);
    const Image image = testing::picture(3, 84, 84);
    Session session(model, threads(1));
    const EncodedImage plain = session.encode(image, ImageFit::Crop, {});
    std::vector<Need> needs = {{Signal::ClsToken}};
    for (const Signal signal : kTaps) needs.push_back({signal, prune::kNextBlock});
    const EncodedImage tapped = session.encode(image, ImageFit::Crop, {needs});
    EXPECT_EQ(plain.features, tapped.features);
    EXPECT_EQ(plain.projected, tapped.projected);
    EXPECT_TRUE(plain.computed.empty());
    EXPECT_TRUE(plain.cls_token.empty());
    EXPECT_EQ(tapped.computed.size(), 5U);
    Session legacy(testing::oracle_model(f32), threads(1));
    EXPECT_EQ(plain.projected, legacy.encode(image, ImageFit::Crop, {}).projected);
  }
}

TEST(TowerBlocks, TheClsTokenIsProjectedLikeAPatch) {
  const Seen seen = encode(testing::oracle_model(), testing::oracle_reference(), {{Signal::ClsToken}});
  const std::vector<int32_t> first = {0};
  const RefMatrix cls =
      testing::oracle_reference().project(testing::ref_rows(seen.features.blocks[2], first));
  EXPECT_LE(worst_error(seen.image.cls_token, cls.values), 2e-5);
  const std::vector<Need> computed = {{Signal::ClsToken}};
  EXPECT_EQ(seen.image.computed, computed);
}

/// The message of encoding for a step, or nothing.
std::string refusal(const std::shared_ptr<const Model>& model, const std::vector<Need>& needs) {
  const RecorderMethod method(needs);
  Session session(model, threads(1));
  PruneOptions options;
  options.steps = {method.step("4", prune::kAfterTower)};
  std::string message;
  try {
    session.tower_request(options);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::Unsupported);
    message = error.what();
  }
  const Image image = testing::picture(3, 84, 84);
  if (message.empty()) {
    EXPECT_NO_THROW(session.encode(image, ImageFit::Crop, {needs}));
  } else {
    EXPECT_THROW(session.encode(image, ImageFit::Crop, {needs}), Error);
  }
  return message;
}

std::shared_ptr<const Model> model_without_cls() {
  SynthShape shape = synth_shape("tiny");
  shape.name = "nocls";
  shape.image_px = 84;
  shape.tower_cls = false;
  return testing::load_model(testing::synth_files(shape));
}

TEST(MissingSignals, ALegacyFileLacksTheNextBlock) {
  for (const Signal signal : kTaps) {
    const std::string message = refusal(testing::oracle_model(), {{signal, prune::kNextBlock}});
    EXPECT_NE(message.find("recorder needs " + std::string(prune::signal_name(signal))), std::string::npos);
    EXPECT_NE(message.find("tower block 3, which this (legacy) file does not hold"), std::string::npos)
        << message;
    EXPECT_EQ(refusal(testing::complete_oracle_model(), {{signal, prune::kNextBlock}}), "");
  }
}

TEST(MissingSignals, BlocksThatThereAreNot) {
  for (const int32_t block : {4, 99, -4}) {
    const std::string message = refusal(testing::complete_oracle_model(), {{Signal::TowerKeys, block}});
    EXPECT_NE(message.find("the tower runs blocks 0 to 2"), std::string::npos) << message;
  }
}

TEST(MissingSignals, ClipsJointSpace) {
  for (const Signal signal : {Signal::ClipImage, Signal::ClipText}) {
    const std::string message = refusal(testing::oracle_model(), {{signal}});
    EXPECT_NE(message.find(std::string(prune::signal_name(signal)) + " of CLIP's joint space"),
              std::string::npos);
  }
}

TEST(MissingSignals, ClsOfMergedPatches) {
  SynthShape shape = synth_shape("tiny");
  shape.name = "merged-cls";
  shape.image_px = 84;
  shape.merge = 2;
  const auto merged = testing::load_model(testing::synth_files(shape));
  EXPECT_NE(refusal(merged, {{Signal::ClsToken}}).find("projector that merges patches"), std::string::npos);
  EXPECT_EQ(refusal(merged, {{Signal::WideClsAttention}}), "") << "a mean over the group, as other attention";
}

TEST(MissingSignals, ATowerWithoutCls) {
  const auto model = model_without_cls();
  ASSERT_FALSE(model->clip().has_cls);
  for (const Signal signal : {Signal::ClsToken, Signal::ClsAttention, Signal::WideClsAttention}) {
    const std::string message = refusal(model, {{signal}});
    EXPECT_NE(message.find(std::string(prune::signal_name(signal)) + " of the [CLS] token"),
              std::string::npos)
        << message;
  }
  EXPECT_EQ(refusal(model, {{Signal::ColumnAttention}, {Signal::TowerKeys}}), "");
}

TEST(MissingSignals, TheMessageNamesAParameterThatAvoidsIt) {
  const RecorderMethod method({});
  Session session(model_without_cls(), threads(1));
  PruneOptions options;
  options.steps = {{method.use("attention"), prune::kAfterTower, prune::parse_budget("4")}};
  try {
    session.tower_request(options);
    FAIL() << "no error";
  } catch (const Error& error) {
    const std::string message = error.what();
    EXPECT_NE(message.find("recorder needs cls_attention of the [CLS] token, which this tower does not have: "
                           "cls=keys does without"),
              std::string::npos)
        << message;
  }
}

TEST(TowerWithoutCls, EqualsTheReference) {
  SynthShape shape = synth_shape("tiny");
  shape.name = "nocls";
  shape.image_px = 84;
  shape.tower_cls = false;
  const SynthFiles files = testing::synth_files(shape);
  const testing::ReferenceLlava reference(files.text, files.mmproj);
  const Seen seen =
      encode(testing::load_model(files), reference, {{Signal::ColumnAttention, 1}, {Signal::TowerKeys}});
  EXPECT_EQ(seen.features.blocks[0].rows, kPatches);
  EXPECT_LE(worst_error(seen.image.features, seen.features.selected.values), 2e-5);
  EXPECT_LE(worst_error(seen.image.projected, seen.features.projected.values), 2e-5);
  EXPECT_LE(
      worst_error(seen.image.signals[0].values, expected_signal(seen.features, Signal::ColumnAttention, 1)),
      2e-5);
  EXPECT_LE(worst_error(seen.image.signals[1].values, expected_signal(seen.features, Signal::TowerKeys, 2)),
            2e-5);
}

}  // namespace
}  // namespace winnow::engine
