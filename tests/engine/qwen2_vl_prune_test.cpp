// Pruning of merged tokens of Qwen2-VL and Qwen2.5-VL: every method of the registry runs or says why not.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "tests/support/engine_models.h"
#include "tests/support/expect_error.h"
#include "tests/support/ready_picture.h"
#include "winnow/engine/step_signals.h"

namespace winnow::engine {
namespace {

using prune::Signal;
using test::expect_error;
using testing::places;
using testing::prune_with;
using testing::qwen_model;
using testing::qwen_results;
using testing::ReadyPicture;
using testing::threads;
using testing::Turn;

constexpr int32_t kVisual = 24;
constexpr int32_t kText = 18;

/// Two towers in front of the same decoder.
enum class Kind { Qwen2Vl, Qwen25Vl };

std::shared_ptr<const Model> model_of(Kind kind) {
  return kind == Kind::Qwen2Vl ? qwen_model() : testing::windowed_model();
}

Turn run(const PruneOptions& options, int32_t n_decode = 0, Kind kind = Kind::Qwen2Vl) {
  static std::map<Kind, std::unique_ptr<ReadyPicture>> made;
  std::unique_ptr<ReadyPicture>& picture = made[kind];
  if (picture == nullptr) {
    picture = std::make_unique<ReadyPicture>(model_of(kind), threads(1), testing::qwen_prompt(),
                                             testing::qwen_picture(), ImageFit::Pad);
  }
  return picture->run(options, n_decode);
}

/// Attention and keys of the tower's last block against the reference: means over the four patches of a
/// token.
TEST(Qwen2VlSignals, TowerSignalsAreMeansOverTheGroups) {
  Session session(qwen_model(), threads(1));
  TowerRequest request;
  request.needs = {{Signal::ColumnAttention, prune::kFeatureBlock},
                   {Signal::TowerKeys, prune::kFeatureBlock}};
  const EncodedImage image = session.encode(testing::qwen_picture(), ImageFit::Pad, request);
  const std::vector<float>& probs = qwen_results().at("vis.3.attn.probs").f32;  // [4, 96, 96]
  const std::vector<float>& keys = qwen_results().at("vis.3.attn.k").f32;       // [4, 96, 16]
  std::vector<double> columns(4 * 24), means(24 * 64);
  for (std::size_t head = 0; head < 4; ++head) {
    for (std::size_t patch = 0; patch < 96; ++patch) {
      for (std::size_t query = 0; query < 96; ++query) {
        columns[head * 24 + patch / 4] += probs[(head * 96 + query) * 96 + patch] / (96.0 * 4.0);
      }
      for (std::size_t c = 0; c < 16; ++c) {
        means[patch / 4 * 64 + head * 16 + c] += keys[(head * 96 + patch) * 16 + c] / 4.0;
      }
    }
  }
  ASSERT_EQ(image.signals.size(), 2U);
  EXPECT_EQ(image.signals[0].rows, 4);
  EXPECT_LE(testing::worst_error(image.signals[0].values, columns), 1e-5);
  EXPECT_EQ(image.signals[1].rows, 24);
  EXPECT_LE(testing::worst_error(image.signals[1].values, means), 1e-5)
      << "rotated, as attention compares them";
}

class EveryMethodQwen : public ::testing::TestWithParam<std::tuple<Kind, const prune::Method*>> {
 protected:
  Kind kind() const { return std::get<0>(GetParam()); }
  const prune::MethodInfo& info() const { return std::get<1>(GetParam())->info(); }
  std::shared_ptr<const Model> model() const { return model_of(kind()); }
  bool runs() const { return testing::can_run(*model(), info().name); }
};
std::string name_of(const ::testing::TestParamInfo<EveryMethodQwen::ParamType>& test) {
  const std::string kind = std::get<0>(test.param) == Kind::Qwen2Vl ? "Qwen2Vl_" : "Qwen25Vl_";
  return kind + std::get<1>(test.param)->info().name;
}
INSTANTIATE_TEST_SUITE_P(Registry, EveryMethodQwen,
                         ::testing::Combine(::testing::Values(Kind::Qwen2Vl, Kind::Qwen25Vl),
                                            ::testing::ValuesIn(prune::selecting_methods())),
                         name_of);

TEST_P(EveryMethodQwen, RunsOrSaysWhyNot) {
  const Session session(model(), threads(1));
  const PruneOptions options = prune_with(info().name, "6", places(info()).front(), *model());
  if (runs()) {
    EXPECT_NO_THROW(session.tower_request(options));
    return;
  }
  expect_error(ErrorCode::Unsupported, info().name + " needs ", [&] { session.tower_request(options); });
}

TEST_P(EveryMethodQwen, KeepingAllIsBitIdenticalToNone) {
  if (!runs()) GTEST_SKIP() << "needs what this tower does not have";
  const Turn none = run({}, 3, kind());
  for (const int32_t layer : places(info())) {
    for (const char* policy : {"original", "compact", "regrid"}) {
      PruneOptions options = prune_with(info().name, "100%", layer, *model());
      options.position = prune::parse_position_policy(policy);
      const Turn all = run(options, 3, kind());
      EXPECT_EQ(all.prefill.logits, none.prefill.logits) << policy;
      EXPECT_EQ(all.step_logits, none.step_logits) << policy;
      EXPECT_EQ(all.prefill.n_visual_after, kVisual);
      EXPECT_EQ(all.prefill.kv_bytes, all.prefill.kv_bytes_unpruned);
    }
  }
}

TEST_P(EveryMethodQwen, KeepsWhatIsAskedFor) {
  if (!runs()) GTEST_SKIP() << "needs what this tower does not have";
  if (info().keeps_all) return;
  constexpr int64_t kRowBytes = int64_t{2} * 32 * 4;  // keys and values of 2 heads, f32
  for (const int32_t layer : places(info())) {
    for (const int32_t keep : {1, 6, 17}) {
      const std::string what = fmt::format("{} at {}", keep, layer);
      const PruneOptions options = prune_with(info().name, std::to_string(keep), layer, *model());
      const Turn pruned = run(options, 2, kind());
      const PrefillResult& p = pruned.prefill;
      EXPECT_EQ(p.n_visual_before, kVisual) << what;
      EXPECT_EQ(p.n_visual_after, keep) << what;
      const int32_t full = std::max(layer, 0);
      EXPECT_EQ(p.kv_bytes, (int64_t{5} * kText + full * kVisual + (5 - full) * keep) * kRowBytes) << what;
      for (const std::vector<float>& logits : pruned.step_logits) {
        for (const float logit : logits) ASSERT_TRUE(std::isfinite(logit)) << what;
      }
    }
  }
}

/// Several steps, each of which moves ids again.
TEST(Qwen2VlSteps, OwnSchedulesAndCascades) {
  for (const char* policy : {"original", "compact", "regrid"}) {
    for (const char* method : {"pyramiddrop", "sparsevlm"}) {
      PruneOptions options = prune_with(method, "50%", prune::kOwnSchedule, *qwen_model());
      options.position = prune::parse_position_policy(policy);
      const PrefillResult p = run(options, 2).prefill;
      EXPECT_LT(p.n_visual_average, kVisual) << method;
      EXPECT_GT(p.n_visual_average, 0.0) << method;
    }
    PruneOptions cascade = prune_with("divprune", "50%", -1, *qwen_model());
    cascade.steps.push_back(prune_with("fastv", "25%", 2, *qwen_model()).steps.front());
    cascade.steps.push_back(prune_with("dart", "1", 4, *qwen_model()).steps.front());
    cascade.position = prune::parse_position_policy(policy);
    EXPECT_EQ(run(cascade, 2).prefill.n_visual_after, 1) << policy;
  }
}

TEST(Qwen25VlSteps, WhatItDoesNotDo) {
  Session session(testing::windowed_model(), threads(1));
  for (const char* method : {"tome", "window_merge"}) {
    expect_error(ErrorCode::Unsupported, "pictures of any size",
                 [&] { session.tower_request(prune_with(method, "25%", -1, *testing::windowed_model())); });
  }
  const std::vector<Image> frames(2, testing::picture(1, 112, 112));
  expect_error(ErrorCode::Unsupported, "expected a model that reads video (Qwen2-VL)",
               [&] { session.encode_video(frames, {}, 0); });
}

/// The windows are those of the smaller picture.
TEST(Qwen25VlSteps, SmallerPicture) {
  Session session(testing::windowed_model(), threads(1));
  const Image picture = testing::picture(9, 392, 252);  // 9 x 14 tokens
  const PruneOptions options = prune_with("resize", "54", -1, *testing::windowed_model());
  const EncodedImage small = session.encode(picture, ImageFit::Pad, session.tower_request(options));
  const prune::Grid grid = small.layout.grid;
  EXPECT_LE(grid.size(), 54);
  EXPECT_GT(grid.cols, 4) << "more windows than one";
  const Image same = resize_bicubic(picture, 28 * grid.cols, 28 * grid.rows);
  EXPECT_EQ(small.projected, session.encode(same, ImageFit::Pad, {}).projected);
}

TEST(Qwen2VlSteps, DistancesOfOneAxisAreMissed) {
  expect_error(ErrorCode::InvalidArgument, "positions have several axes",
               [] { run(prune_with("sparsevlm:version=plus", "6", 2, *qwen_model())); });
}

}  // namespace
}  // namespace winnow::engine
