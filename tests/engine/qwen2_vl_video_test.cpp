// Video in Qwen2-VL: against the plain loops of tests/support/reference_qwen2_vl.h, transformers 4's own
// example of position ids, and what a video must have in common with a picture.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "tests/support/engine_models.h"
#include "tests/support/expect_error.h"
#include "tests/support/ready_picture.h"
#include "tests/support/reference_qwen2_vl.h"
#include "tests/support/traced.h"
#include "winnow/engine/tower_request.h"
#include "winnow/prune/positions.h"

namespace winnow::engine {
namespace {

using Ints = std::vector<int32_t>;
using prune::Signal;
using test::expect_error;
using testing::places;
using testing::prune_with;
using testing::qwen_model;
using testing::text_ids;
using testing::threads;
using testing::Traced;
using testing::Turn;
using testing::worst_error;

constexpr double kTolerance = 2e-5;

/// n different frames of 112 x 84 pixels: 3 x 4 = 12 visual tokens a step.
std::vector<Image> film(int32_t n, int32_t width = 112, int32_t height = 84) {
  std::vector<Image> frames;
  for (int32_t i = 0; i < n; ++i) {
    frames.push_back(testing::picture(40 + static_cast<uint64_t>(i), width, height));
  }
  return frames;
}
constexpr int32_t kStep = 12;

Ints whole(const std::vector<float>& values) { return {values.begin(), values.end()}; }

Ints joined(const std::array<Ints, 3>& axes) {
  Ints out;
  for (const Ints& axis : axes) out.insert(out.end(), axis.begin(), axis.end());
  return out;
}

/// A stretch of a prompt: n text tokens, or a video's steps, rows and columns.
struct Piece {
  int32_t n_text = 0;
  int32_t t = 0, h = 0, w = 0;
};

/// transformers 4's get_rope_index, written anew; 5.17's differs behind long videos (transformers_test.cpp).
std::array<Ints, 3> rope_index(const std::vector<Piece>& pieces) {
  std::array<Ints, 3> ids;
  int32_t next = 0;
  for (const Piece& p : pieces) {
    for (int32_t i = 0; i < p.n_text; ++i) {
      for (Ints& axis : ids) axis.push_back(next + i);
    }
    for (int32_t t = 0; t < p.t; ++t) {
      for (int32_t h = 0; h < p.h; ++h) {
        for (int32_t w = 0; w < p.w; ++w) {
          ids[0].push_back(next + t);
          ids[1].push_back(next + h);
          ids[2].push_back(next + w);
        }
      }
    }
    for (const Ints& axis : ids) next = std::max(next, *std::max_element(axis.begin(), axis.end()) + 1);
  }
  return ids;
}

/// The example of get_rope_index's documentation in transformers 4: 3 steps of 2 x 2 tokens, then 5 of text.
TEST(Qwen2VlVideo, PositionIdsOfTheDocumentedExample) {
  Session session(qwen_model(), threads(1));
  const EncodedImage video = session.encode_video(film(6, 56, 56), {});
  ASSERT_EQ(video.layout.n_step, 3);
  Traced traced;
  session.set_observer(traced.observer());
  session.prefill({{{}, 0}, {text_ids(1, 5), -1}}, {&video}, {}, 0);
  const Ints time = {0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 4, 5, 6, 7};
  const Ints height = {0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 3, 4, 5, 6, 7};
  const Ints width = {0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 3, 4, 5, 6, 7};
  EXPECT_EQ(whole(traced.tensors.at("position_ids_thw")), joined({time, height, width}));
  EXPECT_EQ(session.n_ids(), 8);
}

/// More steps than rows and columns, fewer of them, and a picture between; then a turn behind it all.
TEST(Qwen2VlVideo, PositionIdsAmongTextAndPictures) {
  Session session(qwen_model(), threads(1));
  const EncodedImage longer = session.encode_video(film(11, 56, 84), {});
  const EncodedImage shorter = session.encode_video(film(4), {});
  const EncodedImage picture = session.encode(testing::qwen_picture(), ImageFit::Pad, {});
  const Prompt prompt = {{text_ids(1, 4), -1}, {{}, 0}, {text_ids(2, 2), -1}, {{}, 1}, {{}, 2},
                         {text_ids(3, 3), -1}};
  Traced traced;
  session.set_observer(traced.observer());
  session.prefill(prompt, {&longer, &picture, &shorter}, {}, 0);
  const std::vector<Piece> pieces = {{.n_text = 4},
                                     {.t = 6, .h = 3, .w = 2},
                                     {.n_text = 2},
                                     {.t = 1, .h = 4, .w = 6},
                                     {.t = 2, .h = 3, .w = 4},
                                     {.n_text = 3}};
  const std::array<Ints, 3> expected = rope_index(pieces);
  EXPECT_EQ(whole(traced.tensors.at("position_ids_thw")), joined(expected));
  EXPECT_EQ(session.n_ids(), expected[0].back() + 1);
  session.prefill({{text_ids(4, 2), -1}}, {}, {}, 0);
  EXPECT_EQ(whole(traced.tensors.at("position_ids_thw")).front(), expected[0].back() + 1);
}

/// The reference is right about pictures: transformers' results.
TEST(Qwen2VlVideo, TheReferenceEqualsHuggingFace) {
  const record::TensorFile& expected = testing::qwen_results();
  const testing::RefVideo got =
      testing::ref_qwen2_vl(testing::qwen_path("mmproj.gguf"), expected.at("pixel_values").f32, 1, 8, 12);
  EXPECT_LE(worst_error(expected.at("vis.in").f32, got.input.values), kTolerance);
  for (std::size_t block = 0; block < got.blocks.size(); ++block) {
    const std::string name = fmt::format("vis.{}.out", block);
    EXPECT_LE(worst_error(expected.at(name).f32, got.blocks[block].values), kTolerance) << name;
  }
  EXPECT_LE(worst_error(expected.at("projected").f32, got.projected.values), kTolerance);
}

TEST(Qwen2VlVideo, TheTowerEqualsTheReference) {
  Session session(qwen_model(), threads(1));
  Traced actual;
  session.set_observer(actual.observer());
  const EncodedImage video = session.encode_video(film(5), {});
  const std::vector<float>& pixels = actual.tensors.at("pixel_values");
  ASSERT_EQ(actual.shapes.at("pixel_values"), (std::vector<int64_t>{3 * 48, 1176}));
  const testing::RefVideo expected =
      testing::ref_qwen2_vl(testing::qwen_path("mmproj.gguf"), pixels, 3, 6, 8);
  EXPECT_EQ(actual.shapes.at("vis.in"), (std::vector<int64_t>{3 * 48, 64}));
  EXPECT_LE(worst_error(actual.tensors.at("vis.in"), expected.input.values), kTolerance);
  for (std::size_t block = 0; block < expected.blocks.size(); ++block) {
    const std::string name = fmt::format("vis.{}.out", block);
    EXPECT_LE(worst_error(actual.tensors.at(name), expected.blocks[block].values), kTolerance) << name;
  }
  EXPECT_EQ(actual.shapes.at("vis.merger_raw"), (std::vector<int64_t>{3 * kStep, 96}));
  EXPECT_LE(worst_error(actual.tensors.at("vis.merger_raw"), expected.projected.values), kTolerance);
  EXPECT_LE(worst_error(video.projected, expected.projected.values), kTolerance);
}

/// Patches are channel by channel, of each the pixels of both frames.
TEST(Qwen2VlVideo, PixelsOfBothFrames) {
  Session session(qwen_model(), threads(1));
  const auto pixels_of = [&](const std::vector<Image>& frames) {
    Traced traced;
    session.set_observer(traced.observer());
    session.encode_video(frames, {});
    session.set_observer({});
    return traced.tensors.at("pixel_values");
  };
  const std::vector<Image> frames = film(2);
  const std::vector<float> both = pixels_of(frames), first = pixels_of({frames[0]}),
                           second = pixels_of({frames[1]});
  for (std::size_t i = 0; i < both.size(); ++i) {
    ASSERT_EQ(both[i], i / 196 % 2 == 0 ? first[i] : second[i]) << i;
    if (i / 196 % 2 == 0) continue;
    ASSERT_EQ(first[i], first[i - 196]) << "a frame alone is its own second";
  }
}

TEST(Qwen2VlVideo, StepsDoNotSeeEachOther) {
  Session session(qwen_model(), threads(1));
  TowerRequest request;
  request.needs = {{Signal::ColumnAttention, prune::kFeatureBlock},
                   {Signal::TowerKeys, prune::kFeatureBlock}};
  const std::vector<Image> frames = film(4);
  const EncodedImage video = session.encode_video(frames, request);
  ASSERT_EQ(video.n_token(), 2 * kStep);
  for (std::size_t step = 0; step < 2; ++step) {
    const EncodedImage alone = session.encode_video(std::span(frames).subspan(2 * step, 2), request);
    const auto part = [&](const std::vector<float>& of, std::size_t width) {
      return std::vector<float>(of.begin() + static_cast<int64_t>(step * kStep * width),
                                of.begin() + static_cast<int64_t>((step + 1) * kStep * width));
    };
    EXPECT_EQ(part(video.projected, 96), alone.projected);
    EXPECT_EQ(part(video.features, 64), alone.features);
    EXPECT_EQ(part(video.signals[1].values, 64), alone.signals[1].values);
    for (std::size_t head = 0; head < 4; ++head) {  // [4, 24] and [4, 12]
      for (std::size_t token = 0; token < kStep; ++token) {
        EXPECT_EQ(video.signals[0].values[head * 2 * kStep + step * kStep + token],
                  alone.signals[0].values[head * kStep + token]);
      }
    }
  }
}

TEST(Qwen2VlVideo, TwoEqualFramesAreThePicture) {
  Session session(qwen_model(), threads(1));
  const Image frame = testing::qwen_picture(true);
  const EncodedImage picture = session.encode(frame, ImageFit::Pad, {});
  const PrefillResult expected = session.prefill(testing::qwen_prompt(true), {&picture}, {}, 0, true);
  for (const int32_t n : {1, 2}) {
    const EncodedImage video =
        session.encode_video(std::vector<Image>(static_cast<std::size_t>(n), frame), {});
    EXPECT_EQ(video.layout.n_step, 1);
    EXPECT_FALSE(video.layout.is_tiled());
    EXPECT_EQ(video.projected, picture.projected) << n;
    session.clear();
    EXPECT_EQ(session.prefill(testing::qwen_prompt(true), {&video}, {}, 0, true).logits, expected.logits)
        << n;
  }
}

TEST(Qwen2VlVideo, OddCountsRepeatTheLastFrame) {
  Session session(qwen_model(), threads(1));
  std::vector<Image> frames = film(3);
  const EncodedImage odd = session.encode_video(frames, {});
  frames.push_back(frames.back());
  EXPECT_EQ(odd.projected, session.encode_video(frames, {}).projected);
  std::swap(frames[0], frames[1]);
  EXPECT_NE(odd.projected, session.encode_video(frames, {}).projected) << "each frame has its own kernel";
}

TEST(Qwen2VlVideo, FramesShareTheTokensOfTheVideo) {
  Session session(qwen_model(), threads(1));
  const auto tokens = [&](int32_t n_frames, int32_t width, int32_t height, int32_t most) {
    const TokenLayout layout = video_layout(*qwen_model(), {}, 1, {width, height}, n_frames, most);
    return std::array<int32_t, 3>{layout.n_step, layout.tile.rows, layout.tile.cols};
  };
  using Shape = std::array<int32_t, 3>;
  EXPECT_EQ(tokens(4, 112, 84, 0), (Shape{2, 3, 4}));
  EXPECT_EQ(tokens(4, 112, 84, 24), (Shape{2, 3, 4})) << "just enough";
  EXPECT_EQ(tokens(4, 112, 84, 23), (Shape{2, 2, 3})) << "11.5 a step: 84 / 31.5 and 112 / 31.5 pixels, cut";
  EXPECT_EQ(tokens(8, 640, 480, 0), (Shape{4, 17, 23}));
  EXPECT_EQ(tokens(64, 640, 480, 0), (Shape{32, 9, 13})) << "4096 tokens, as the largest picture: 128 a step";
  const EncodedImage video = session.encode_video(film(4), {}, 18);
  EXPECT_EQ(video.n_token(), 12);
  EXPECT_EQ(video.tile_px.width, 84);
  expect_error(ErrorCode::InvalidArgument, "a video of 6 frames in 11 visual tokens, expected at least 12",
               [&] { session.encode_video(film(6), {}, 11); });
  expect_error(ErrorCode::InvalidArgument, "a video of 2050 frames in 4096 visual tokens",
               [&] { tokens(2050, 640, 480, 0); });
}

TEST(Qwen2VlVideo, BadInput) {
  Session session(qwen_model(), threads(1));
  expect_error(ErrorCode::InvalidArgument, "a video without frames", [&] { session.encode_video({}, {}); });
  std::vector<Image> frames = film(3);
  frames[2] = testing::picture(1, 84, 112);
  expect_error(ErrorCode::InvalidArgument, "frame 2 of a video has 84x112 pixels, expected 112x84",
               [&] { session.encode_video(frames, {}); });
  Session llava(testing::oracle_model(), threads(1));
  expect_error(ErrorCode::Unsupported, "reads pictures, got a video, expected a model that reads video",
               [&] { llava.encode_video(film(2), {}); });
  TowerRequest request;
  request.needs = {{Signal::ClsAttention, prune::kFeatureBlock}};
  expect_error(ErrorCode::Unsupported, "of the [CLS] token", [&] { session.encode_video(film(2), request); });
}

/// Text, a video of 3 steps (36 tokens), text.
Turn run(const PruneOptions& options, int32_t n_decode = 0) {
  static testing::ReadyPicture made(qwen_model(), threads(1),
                                    {{text_ids(1, 8), -1}, {{}, 0}, {text_ids(2, 10), -1}}, film(5));
  return made.run(options, n_decode);
}
constexpr int32_t kVisual = 3 * kStep;

class EveryMethodVideo : public ::testing::TestWithParam<const prune::Method*> {
 protected:
  const prune::MethodInfo& info() const { return GetParam()->info(); }
  void SetUp() override {
    if (!testing::can_run(*qwen_model(), info().name)) GTEST_SKIP() << "needs what this tower does not have";
  }
};
INSTANTIATE_TEST_SUITE_P(Registry, EveryMethodVideo, ::testing::ValuesIn(prune::selecting_methods()),
                         [](const auto& param) { return param.param->info().name; });

TEST_P(EveryMethodVideo, KeepingAllIsBitIdenticalToNone) {
  static const Turn none = run({}, 3);
  for (const int32_t layer : places(info())) {
    for (const char* policy : {"original", "compact", "regrid"}) {
      PruneOptions options = prune_with(info().name, "100%", layer, *qwen_model());
      options.position = prune::parse_position_policy(policy);
      const Turn all = run(options, 3);
      EXPECT_EQ(all.prefill.logits, none.prefill.logits) << policy;
      EXPECT_EQ(all.step_logits, none.step_logits) << policy;
      EXPECT_EQ(all.prefill.n_visual_after, kVisual);
    }
  }
}

TEST_P(EveryMethodVideo, KeepsWhatIsAskedFor) {
  if (info().keeps_all) return;
  for (const int32_t layer : places(info())) {
    for (const char* policy : {"original", "compact", "regrid"}) {
      for (const int32_t keep : {1, 9, 18}) {
        const std::string what = fmt::format("{} at {}, {}", keep, layer, policy);
        PruneOptions options = prune_with(info().name, std::to_string(keep), layer, *qwen_model());
        options.position = prune::parse_position_policy(policy);
        const Turn pruned = run(options, 2);
        EXPECT_EQ(pruned.prefill.n_visual_before, kVisual) << what;
        EXPECT_EQ(pruned.prefill.n_visual_after, keep) << what;
        for (const std::vector<float>& logits : pruned.step_logits) {
          for (const float logit : logits) ASSERT_TRUE(std::isfinite(logit)) << what;
        }
      }
    }
  }
}

Ints kept_per_step(const PrefillResult& prefill) {
  Ints counts(3);
  for (const int32_t token : prefill.steps[0].kept) ++counts[static_cast<std::size_t>(token / kStep)];
  return counts;
}

TEST(Qwen2VlVideoPrune, StepsShareABudgetAfterTheTower) {
  for (const char* method : {"random", "grid", "scope:importance=column"}) {
    EXPECT_EQ(kept_per_step(run(prune_with(method, "18", -1, *qwen_model())).prefill), (Ints{6, 6, 6}))
        << method;
  }
  EXPECT_EQ(kept_per_step(run(prune_with("random", "2", -1, *qwen_model())).prefill), (Ints{1, 1, 0}));
  EXPECT_EQ(run(prune_with("divprune", "18", -1, *qwen_model())).prefill.steps[0].n_before, kVisual);
}

/// What a step keeps depends on it alone.
TEST(Qwen2VlVideoPrune, AStepIsSelectedFromAsIfItWereAlone) {
  const std::vector<Image> frames = film(4);
  const PruneOptions options = prune_with("scope:importance=column", "50%", -1, *qwen_model());
  Session session(qwen_model(), threads(1));
  const TowerRequest request = session.tower_request(options);
  const Prompt prompt = {{{}, 0}, {text_ids(2, 6), -1}};
  const EncodedImage video = session.encode_video(frames, request);
  const Ints kept = session.prefill(prompt, {&video}, options, 0).steps[0].kept;
  Ints expected;
  for (std::size_t step = 0; step < 2; ++step) {
    session.clear();
    const EncodedImage alone = session.encode_video(std::span(frames).subspan(2 * step, 2), request);
    const PrefillResult result = session.prefill(prompt, {&alone}, options, 0);
    for (const int32_t token : result.steps[0].kept) {
      expected.push_back(token + static_cast<int32_t>(step) * kStep);
    }
  }
  EXPECT_EQ(kept, expected);
}

/// Dropped tokens leave holes on three axes; the policies close or spread them.
TEST(Qwen2VlVideoPrune, PrunedTokensKeepTheirPlaces) {
  Session session(qwen_model(), threads(1));
  const EncodedImage video = session.encode_video(film(5), {});
  const std::array<Ints, 3> all = rope_index({{.n_text = 8}, {.t = 3, .h = 3, .w = 4}, {.n_text = 10}});
  Traced traced;
  session.set_observer(traced.observer());
  for (const char* policy : {"original", "compact", "regrid"}) {
    session.clear();
    PruneOptions options = prune_with("random", "2", -1, *qwen_model());
    options.position = prune::parse_position_policy(policy);
    const PrefillResult result =
        session.prefill({{text_ids(1, 8), -1}, {{}, 0}, {text_ids(2, 10), -1}}, {&video}, options, 0);
    std::vector<std::size_t> left(8);
    std::iota(left.begin(), left.end(), std::size_t{0});
    for (const int32_t token : result.steps[0].kept) left.push_back(8 + static_cast<std::size_t>(token));
    for (std::size_t i = 44; i < 54; ++i) left.push_back(i);
    prune::AxisIds expected;
    for (const std::size_t i : left) {
      expected.time.push_back(all[0][i]);
      expected.row.push_back(all[1][i]);
      expected.col.push_back(all[2][i]);
    }
    expected = prune::axis_position_ids(*options.position, expected,
                                        std::vector<prune::GridSpan>{{8, 2, 8, {3, 4}, 3}});
    EXPECT_EQ(whole(traced.tensors.at("position_ids_thw")),
              joined({expected.time, expected.row, expected.col}))
        << policy;
    EXPECT_EQ(session.n_ids(), expected.time.back() + 1) << policy;
  }
}

TEST(Qwen2VlVideoPrune, OwnSchedulesCascadesAndWindows) {
  for (const char* policy : {"original", "compact", "regrid"}) {
    PruneOptions cascade = prune_with("divprune", "50%", -1, *qwen_model());
    cascade.steps.push_back(prune_with("fastv", "25%", 2, *qwen_model()).steps.front());
    cascade.steps.push_back(prune_with("dart", "1", 4, *qwen_model()).steps.front());
    cascade.position = prune::parse_position_policy(policy);
    EXPECT_EQ(run(cascade, 2).prefill.n_visual_after, 1) << policy;
    PruneOptions own = prune_with("pyramiddrop", "50%", prune::kOwnSchedule, *qwen_model());
    own.position = cascade.position;
    EXPECT_LT(run(own, 2).prefill.n_visual_average, kVisual) << policy;
    PruneOptions window = prune_with("window(fastv, 3x2)", "6", 2, *qwen_model());
    window.position = cascade.position;
    EXPECT_EQ(kept_per_step(run(window, 2).prefill), (Ints{2, 2, 2})) << "one of each window";
  }
}

/// A smaller picture of every step: 36 tokens at 50 % are 6 a step, and 3 x 4 becomes 2 x 3.
TEST(Qwen2VlVideoPrune, SmallerFrames) {
  const std::vector<Image> frames = film(5);
  Session session(qwen_model(), threads(1));
  const Prompt prompt = {{text_ids(1, 8), -1}, {{}, 0}, {text_ids(2, 10), -1}};
  const PruneOptions options = prune_with("resize", "50%", -1, *qwen_model());
  const EncodedImage small = session.encode_video(frames, session.tower_request(options), 0);
  EXPECT_EQ(small.layout.n_step, 3);
  EXPECT_EQ(small.layout.tile.rows, 2);
  EXPECT_EQ(small.layout.tile.cols, 3);
  EXPECT_EQ(video_layout(*qwen_model(), options.steps, 1, {112, 84}, 5, 0).n(), 18);
  const PrefillResult got = session.prefill(prompt, {&small}, options, 0);
  EXPECT_EQ(got.steps[0].n_before, kVisual);
  EXPECT_EQ(got.n_visual_after, 18);
  EXPECT_EQ(got.kv_bytes * (18 + kVisual), got.kv_bytes_unpruned * (18 + 18)) << "18 tokens of text";
  expect_error(ErrorCode::InvalidArgument, "encoded as 2 x 3 visual tokens, expected 3 x 4",
               [&] { session.prefill(prompt, {&small}, {}, 0); });
}

/// Pictures and videos share a budget like pictures.
TEST(Qwen2VlVideoPrune, BesideAPicture) {
  Session session(qwen_model(), threads(1));
  const PruneOptions options = prune_with("random", "30", -1, *qwen_model());
  const EncodedImage picture = session.encode(testing::qwen_picture(), ImageFit::Pad, {});
  const EncodedImage video = session.encode_video(film(5), {});
  const PrefillResult result = session.prefill({{{}, 0}, {text_ids(1, 3), -1}, {{}, 1}, {text_ids(2, 3), -1}},
                                               {&picture, &video}, options, 0);
  ASSERT_EQ(result.steps.size(), 2U);
  EXPECT_EQ(result.steps[0].kept.size(), 12U) << "24 of 60 tokens";
  EXPECT_EQ(result.steps[1].kept.size(), 18U);
}

}  // namespace
}  // namespace winnow::engine
