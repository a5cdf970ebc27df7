// Qwen2.5-VL, LLaVA-OneVision and video of Qwen2-VL in float32 against Hugging Face transformers, from
// checkpoints as they are published to greedy tokens (tests/data/qwen2_5_vl, llava_onevision,
// qwen2_vl_video).

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "tests/support/checkpoint_models.h"
#include "tests/support/traced.h"
#include "winnow/engine/tower_request.h"
#include "winnow/engine/vision/windows.h"

namespace winnow::engine {
namespace {

using Ints = std::vector<int32_t>;
using prune::Signal;
using record::TensorFile;
using testing::checkpoint_model;
using testing::checkpoint_path;
using testing::checkpoint_results;
using testing::kOracleImageToken;
using testing::threads;
using testing::Traced;
using testing::worst_error;

constexpr double kTolerance = 2e-5;
constexpr int32_t kVideoToken = 501;
constexpr int32_t kBlocks = 4, kHeads = 4, kTowerWidth = 64;  // of all towers

Ints whole(const std::vector<float>& values) { return {values.begin(), values.end()}; }

/// Without batches of one in front.
std::vector<int64_t> without_batch(std::vector<int64_t> shape) {
  while (shape.size() > 1 && shape.front() == 1) shape.erase(shape.begin());
  return shape;
}

/// A whole run of a picture or video, and what it should give.
struct Compared {
  Compared(const std::string& family, const std::string& name, int32_t token)
      : expected(checkpoint_results(family, name)), session(checkpoint_model(family), threads(1)) {
    session.set_observer(actual.observer());
    image = token == kVideoToken ? session.encode_video(load_frames_of(family, name), all_signals())
                                 : session.encode(load_image(checkpoint_path(family, name + ".png")),
                                                  ImageFit::Pad, all_signals());
    actual.tensors["projected"] = image.projected;
    actual.shapes["projected"] = {image.n_token(), 96};
    const Ints& ids = expected.at("input_ids").i32;
    const Prompt prompt = prompt_from_ids(ids, token, {static_cast<int32_t>(std::ranges::count(ids, token))});
    prefill = session.prefill(prompt, {&image}, {}, 8, true);
    session.set_observer({});
    n_delta = session.n_ids() - static_cast<int32_t>(ids.size());
  }

  static std::vector<Image> load_frames_of(const std::string& family, const std::string& name) {
    std::vector<Image> frames;
    const int32_t n = name == "frames" ? 5 : 7;
    for (int32_t i = 0; i < n; ++i) {
      frames.push_back(load_image(checkpoint_path(family, fmt::format("{}/{}.png", name, i))));
    }
    return frames;
  }
  static TowerRequest all_signals() {
    TowerRequest request;
    for (int32_t block = 0; block < kBlocks; ++block) {
      request.needs.push_back({Signal::ColumnAttention, block});
      request.needs.push_back({Signal::TowerKeys, block});
    }
    return request;
  }
  const TowerSignal& columns(int32_t block) const {
    return image.signals[static_cast<std::size_t>(2 * block)];
  }
  const TowerSignal& keys(int32_t block) const {
    return image.signals[static_cast<std::size_t>(2 * block + 1)];
  }

  /// All floating-point tensors but those inside of attention; returns how many these are.
  int32_t compare_tensors() const {
    int32_t n = 0;
    for (const auto& [name, wanted] : expected.tensors) {
      if (wanted.f32.empty() || name.find("attn") != std::string::npos) continue;
      if (!actual.tensors.contains(name)) {
        ADD_FAILURE() << name << " is not shown";
        continue;
      }
      EXPECT_EQ(without_batch(actual.shapes.at(name)), without_batch(wanted.shape)) << name;
      const double error = worst_error(actual.tensors.at(name), wanted.f32);
      EXPECT_LE(error, kTolerance) << name;
      ::testing::Test::RecordProperty("worst_" + name, fmt::format("{:.1e}", error));
      ++n;
    }
    return n;
  }
  void compare_positions() const {
    EXPECT_EQ(whole(actual.tensors.at("position_ids_thw")), expected.at("position_ids_thw").i32);
    EXPECT_EQ(n_delta, expected.at("rope_delta").i32.front());
  }
  void compare_greedy_tokens() {
    EXPECT_EQ(testing::greedy_tokens(session, prefill, 8), expected.at("greedy").i32);
  }

  const TensorFile& expected;
  Session session;
  Traced actual;
  EncodedImage image;
  PrefillResult prefill;
  int32_t n_delta = 0;  ///< the next position minus the number of tokens
};

/// Mean over the four patches of each group: [n_row, n] -> [n_row, n / 4], and group g of the result is
/// group order[g] of a picture.
std::vector<double> group_means(const std::vector<float>& values, std::size_t n_row, const Ints& order) {
  const std::size_t n = values.size() / n_row, n_group = n / 4;
  std::vector<double> out(n_row * n_group);
  for (std::size_t row = 0; row < n_row; ++row) {
    for (std::size_t i = 0; i < n; ++i) {
      out[row * n_group + static_cast<std::size_t>(order[i / 4])] += values[row * n + i] / 4.0;
    }
  }
  return out;
}

/// The same of keys, [head, n, 16] -> [n / 4, 64].
std::vector<double> group_keys(const std::vector<float>& keys, const Ints& order) {
  const std::size_t width = kTowerWidth / kHeads, n = keys.size() / kTowerWidth;
  std::vector<double> out(n / 4 * kTowerWidth);
  for (std::size_t head = 0; head < kHeads; ++head) {
    for (std::size_t i = 0; i < n; ++i) {
      double* to = &out[static_cast<std::size_t>(order[i / 4]) * kTowerWidth + head * width];
      for (std::size_t c = 0; c < width; ++c) to[c] += keys[(head * n + i) * width + c] / 4.0;
    }
  }
  return out;
}

/// 5 x 9 groups in windows of 4 x 4. Rows of the tower lie window after window in both.
TEST(TransformersQwen25Vl, EveryNamedTensorAndGreedyTokens) {
  Compared run("qwen2_5_vl", "image", kOracleImageToken);
  EXPECT_EQ(run.compare_tensors(), 12);
  run.compare_positions();
  run.compare_greedy_tokens();
}

/// 8 x 4 groups, which windows fill.
TEST(TransformersQwen25Vl, PictureOfWholeWindows) {
  Compared run("qwen2_5_vl", "even", kOracleImageToken);
  EXPECT_EQ(run.compare_tensors(), 2);
  run.compare_positions();
  run.compare_greedy_tokens();
}

/// Of blocks in windows (0, 2) and of those that attend to all (1, 3); keys as attention compares them.
TEST(TransformersQwen25Vl, SignalsOfTheTower) {
  const Compared run("qwen2_5_vl", "image", kOracleImageToken);
  const Ints order = windows_of({5, 9}, 4).groups;
  for (int32_t block = 0; block < kBlocks; ++block) {
    const auto& columns = run.expected.at(fmt::format("vis.{}.attn.columns", block)).f32;
    EXPECT_LE(worst_error(run.columns(block).values, group_means(columns, kHeads, order)), 1e-5) << block;
  }
  for (const int32_t block : {2, 3}) {
    const auto& keys = run.expected.at(fmt::format("vis.{}.attn.k", block)).f32;
    EXPECT_LE(worst_error(run.keys(block).values, group_keys(keys, order)), 1e-5) << block;
  }
}

/// 90 x 60 px: 1 x 2 tiles with a column of padding at either side. 150 x 120 px: 2 x 3 tiles, of whose 8 x
/// 10 tokens anyres_max_2 leaves 5 x 6.
TEST(TransformersOneVision, EveryNamedTensorAndGreedyTokens) {
  for (const char* name : {"image", "shrunk"}) {
    SCOPED_TRACE(name);
    Compared run("llava_onevision", name, kOracleImageToken);
    EXPECT_EQ(run.image.n_token(), name == std::string("image") ? 44 : 51);
    EXPECT_EQ(run.compare_tensors(), 15);
    run.compare_greedy_tokens();
  }
}

/// 5 frames, of which the last stands twice: 3 steps of 3 x 4 tokens.
TEST(TransformersVideo, EveryNamedTensorAndGreedyTokens) {
  Compared run("qwen2_vl_video", "frames", kVideoToken);
  EXPECT_EQ(run.image.layout.n_step, 3);
  EXPECT_EQ(run.compare_tensors(), 15);
  run.compare_positions();
  run.compare_greedy_tokens();
}

/// A step attends to itself alone: of its own 48 queries a key has three times the mean over all 144.
TEST(TransformersVideo, SignalsOfTheTower) {
  const Compared run("qwen2_vl_video", "frames", kVideoToken);
  Ints order(36);
  for (int32_t i = 0; i < 36; ++i) order[static_cast<std::size_t>(i)] = i;
  std::vector<double> columns = group_means(run.expected.at("vis.3.attn.columns").f32, kHeads, order);
  for (double& value : columns) value *= 3.0;
  EXPECT_LE(worst_error(run.columns(3).values, columns), 1e-5);
  EXPECT_LE(worst_error(run.keys(3).values, group_keys(run.expected.at("vis.3.attn.k").f32, order)), 1e-5);
}

/// 4 steps of 2 x 2 tokens: the video ends at id 11 in time. transformers 5.17 goes on behind its rows and
/// columns, at 10; the engine as transformers 4 and Qwen2-VL's paper do, at 12. All before is the same.
TEST(TransformersVideo, TextBehindMoreStepsThanRows) {
  const Compared run("qwen2_vl_video", "steps", kVideoToken);
  for (const char* name : {"vis.3.out", "projected"}) {
    EXPECT_LE(worst_error(run.actual.tensors.at(name), run.expected.at(name).f32), kTolerance) << name;
  }
  constexpr std::size_t kTokens = 34, kFirst = 24;
  Ints expected = run.expected.at("position_ids_thw").i32;
  ASSERT_EQ(expected.size(), 3 * kTokens);
  ASSERT_EQ(expected[kFirst], 10);
  ASSERT_EQ(expected[kFirst - 1], 11);
  for (std::size_t i = 0; i < expected.size(); ++i) expected[i] += i % kTokens >= kFirst ? 2 : 0;
  EXPECT_EQ(whole(run.actual.tensors.at("position_ids_thw")), expected);
  EXPECT_EQ(run.n_delta, run.expected.at("rope_delta").i32.front() + 2);
  const auto before = [](const std::vector<float>& logits) { return std::span(logits).first(kFirst * 512); };
  EXPECT_LE(worst_error(before(run.prefill.logits), before(run.expected.at("logits").f32)), kTolerance);
}

/// The checkpoints' weights are halves, so a file of halves is the same model.
TEST(TransformersCheckpoints, StoredInF16AreTheSameModel) {
  const auto& files = testing::converted_checkpoint("qwen2_5_vl", GGML_TYPE_F16);
  Session session(testing::load_model({files.text, files.mmproj}), threads(1));
  const Image picture = load_image(checkpoint_path("qwen2_5_vl", "even.png"));
  const EncodedImage image = session.encode(picture, ImageFit::Pad, {});
  const TensorFile& expected = checkpoint_results("qwen2_5_vl", "even");
  const Prompt prompt = prompt_from_ids(expected.at("input_ids").i32, kOracleImageToken, {32});
  const PrefillResult prefill = session.prefill(prompt, {&image}, {}, 0, true);
  EXPECT_LE(worst_error(prefill.logits, expected.at("logits").f32), kTolerance);
}

}  // namespace
}  // namespace winnow::engine
