// Qwen2-VL in float32 against Hugging Face's results for the same files (tests/data/qwen2_vl), and pictures
// of every size.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numeric>
#include <string>
#include <vector>

#include "tests/support/engine_models.h"
#include "tests/support/expect_error.h"
#include "tests/support/traced.h"
#include "winnow/engine/config_keys.h"
#include "winnow/engine/tower_request.h"
#include "winnow/prune/cascade.h"
#include "winnow/prune/positions.h"

namespace winnow::engine {
namespace {

using Ints = std::vector<int32_t>;
using test::expect_error;
using testing::argmax;
using testing::greedy_tokens;
using testing::qwen_model;
using testing::qwen_picture;
using testing::qwen_prompt;
using testing::qwen_results;
using testing::threads;
using testing::Traced;
using testing::worst_error;

constexpr double kTolerance = 2e-5;

Ints whole(const std::vector<float>& values) { return {values.begin(), values.end()}; }

double worst_difference(const std::vector<float>& a, const std::vector<float>& b) {
  double worst = a.size() == b.size() ? 0.0 : INFINITY;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    worst = std::max(worst, static_cast<double>(std::abs(a[i] - b[i])));
  }
  return worst;
}

int64_t n_different(const std::vector<float>& a, const std::vector<float>& b) {
  int64_t n = 0;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) n += std::abs(a[i] - b[i]) > 1e-3F ? 1 : 0;
  return n;
}

/// transformers' get_rope_index, written anew: text advances all axes by one, a picture by its longer side.
std::array<Ints, 3> rope_index(const std::vector<prune::Grid>& pieces) {
  std::array<Ints, 3> ids;
  int32_t next = 0;
  for (const prune::Grid& piece : pieces) {
    const bool text = piece.rows == 0;
    const int32_t n = text ? piece.cols : piece.size();
    for (int32_t i = 0; i < n; ++i) {
      ids[0].push_back(next + (text ? i : 0));
      ids[1].push_back(next + (text ? i : i / piece.cols));
      ids[2].push_back(next + (text ? i : i % piece.cols));
    }
    next = *std::max_element(ids[0].begin(), ids[0].end()) + 1;
    for (const Ints& axis : ids) next = std::max(next, *std::max_element(axis.begin(), axis.end()) + 1);
  }
  return ids;
}

/// A stretch of n text tokens for rope_index().
prune::Grid text(int32_t n) { return {0, n}; }

Ints joined(const std::array<Ints, 3>& axes) {
  Ints out;
  for (const Ints& axis : axes) out.insert(out.end(), axis.begin(), axis.end());
  return out;
}

TEST(Qwen2Vl, EveryNamedTensorAndGreedyTokensEqualHuggingFace) {
  Session session(qwen_model(), threads(1));
  Traced actual;
  session.set_observer(actual.observer());
  const EncodedImage image = session.encode(qwen_picture(), ImageFit::Pad, {});
  const PrefillResult prefill = session.prefill(qwen_prompt(), {&image}, {}, 8, true);
  session.set_observer({});
  actual.tensors["projected"] = image.projected;
  actual.shapes["projected"] = {24, 96};
  int32_t n_compared = 0;
  for (const auto& [name, expected] : qwen_results().tensors) {
    if (expected.f32.empty() || name.find("attn") != std::string::npos) continue;
    ASSERT_TRUE(actual.tensors.contains(name)) << name;
    EXPECT_EQ(actual.shapes.at(name), expected.shape) << name;
    const double error = worst_error(actual.tensors.at(name), expected.f32);
    EXPECT_LE(error, kTolerance) << name;
    RecordProperty("worst_" + name, std::to_string(error));
    ++n_compared;
  }
  EXPECT_EQ(n_compared, 16);
  EXPECT_EQ(whole(actual.tensors.at("position_ids_thw")), qwen_results().at("position_ids_thw").i32);
  EXPECT_EQ(session.n_ids() - 42, qwen_results().at("rope_delta").i32.front());
  EXPECT_EQ(prefill.n_visual_before, 24);
  EXPECT_EQ(prefill.kv_bytes, prefill.kv_bytes_unpruned);
  EXPECT_EQ(greedy_tokens(session, prefill, 8), qwen_results().at("greedy").i32);
}

/// The picture of 190 x 120 px is read as 196 x 112.
TEST(Qwen2Vl, ResizedPicture) {
  Session session(qwen_model(), threads(1));
  Traced actual;
  session.set_observer(actual.observer());
  const EncodedImage image = session.encode(qwen_picture(true), ImageFit::Pad, {});
  const PrefillResult prefill = session.prefill(qwen_prompt(true), {&image}, {}, 8, true);
  session.set_observer({});
  const record::TensorFile& expected = qwen_results(true);
  EXPECT_EQ(image.layout.grid.rows, 4);
  EXPECT_EQ(image.layout.grid.cols, 7);
  EXPECT_EQ(actual.shapes.at("pixel_values"), expected.at("pixel_values").shape);
  const std::vector<float>& pixels = actual.tensors.at("pixel_values");
  // The torchvision processor rounds one value in 200 to a neighbouring step of 255, the PIL one every fifth.
  EXPECT_LE(worst_difference(pixels, expected.at("pixel_values_torchvision").f32), 1.01 / 255.0 / 0.26);
  EXPECT_LE(n_different(pixels, expected.at("pixel_values_torchvision").f32), std::ssize(pixels) / 100);
  EXPECT_LE(worst_difference(pixels, expected.at("pixel_values").f32), 0.05);
  const std::vector<float>& logits = expected.at("logits").f32;
  for (int32_t token = 0; token < 46; ++token) {
    if (token >= 8 && token < 36) continue;  // what a picture's token would be followed by is not trained
    const std::size_t row = static_cast<std::size_t>(token) * 512;
    const std::span<const float> got = std::span(prefill.logits).subspan(row, 512);
    EXPECT_EQ(argmax(got), argmax(std::span(logits).subspan(row, 512))) << "token " << token;
  }
  EXPECT_EQ(whole(actual.tensors.at("position_ids_thw")), expected.at("position_ids_thw").i32);
  EXPECT_EQ(greedy_tokens(session, prefill, 8), expected.at("greedy").i32);
}

TEST(Qwen2Vl, HalfPrecisionStaysWithinTheDocumentedBound) {
  Session session(qwen_model(false), threads(1));
  const EncodedImage image = session.encode(qwen_picture(), ImageFit::Pad, {});
  const PrefillResult prefill = session.prefill(qwen_prompt(), {&image}, {}, 0, true);
  EXPECT_LE(worst_error(prefill.logits, qwen_results().at("logits").f32), 2e-2);
}

/// The same tower in a file that says the processor's limits, 3136 to 50176 pixels, and all that follows from
/// them.
std::shared_ptr<const Model> limited_model() {
  static const auto model = [] {
    const std::string path = testing::scratch_folder() + "/qwen_limited.gguf";
    const GgufFile file(testing::qwen_path("mmproj.gguf"));
    ClipConfig clip = read_clip_config(file);
    clip.own_size = {3136, 50176};
    GgufWriter writer(path);
    set_general_keys("clip", "mmproj", "limited", weight_type(GGML_TYPE_F32), writer);
    set_clip_keys(clip, read_mlp_config(file, clip.n_embd, clip.grid()), writer);
    for (const GgufTensor& tensor : file.tensors()) writer.add_tensor(tensor.name, tensor.type, tensor.ne);
    writer.begin();
    for (const GgufTensor& tensor : file.tensors()) writer.write(tensor.name, file.bytes(tensor));
    writer.finish();
    return testing::load_model({testing::qwen_path("text.gguf"), path});
  }();
  return model;
}

TEST(Qwen2Vl, PicturesOfEverySize) {
  const auto model = limited_model();
  Session session(model, threads(1));
  const std::map<std::pair<int32_t, int32_t>, prune::Grid> cases = {
      {{28, 28}, {2, 2}}, {{1, 200}, {29, 1}}, {{333, 77}, {3, 12}}, {{4000, 3000}, {6, 9}}};
  for (const auto& [size, grid] : cases) {
    const EncodedImage image =
        session.encode(testing::picture(7, size.first, size.second), ImageFit::Pad, {});
    EXPECT_EQ(image.layout.grid.rows, grid.rows);
    EXPECT_EQ(image.layout.grid.cols, grid.cols);
    EXPECT_EQ(image.tile_px.width, grid.cols * 28);
    EXPECT_EQ(image.projected.size(), static_cast<std::size_t>(grid.size()) * 96);
    EXPECT_EQ(picture_layout(*model, {}, 1, {size.first, size.second}).n(), grid.size());
    session.clear();
    const PrefillResult prefill = session.prefill(
        {{testing::text_ids(1, 5), -1}, {{}, 0}, {testing::text_ids(2, 3), -1}}, {&image}, {}, 0);
    EXPECT_EQ(prefill.n_visual_after, grid.size());
    EXPECT_EQ(session.n_ids(), 8 + std::max(grid.rows, grid.cols));
    for (const float logit : prefill.logits) ASSERT_TRUE(std::isfinite(logit));
  }
  expect_error(ErrorCode::InvalidArgument, "1x1000 pixels, expected one at most 200 times as long as wide",
               [&] { session.encode(testing::picture(7, 1, 1000), ImageFit::Pad, {}); });
}

/// Two pictures of different shapes in a turn, and a second turn behind them.
TEST(Qwen2Vl, SeveralPicturesAndTurns) {
  Session session(qwen_model(), threads(1));
  const EncodedImage wide = session.encode(qwen_picture(), ImageFit::Pad, {});
  const EncodedImage tall = session.encode(testing::picture(8, 60, 140), ImageFit::Pad, {});
  ASSERT_EQ(tall.layout.grid.rows, 5);
  const Ints a = testing::text_ids(3, 4), b = testing::text_ids(4, 3), c = testing::text_ids(5, 6);
  Traced traced;
  session.set_observer(traced.observer());
  session.prefill({{a, -1}, {{}, 0}, {b, -1}, {{}, 1}}, {&wide, &tall}, {}, 0);
  const std::vector<prune::Grid> pieces = {text(4), {4, 6}, text(3), {5, 2}, text(6)};
  Ints ids = whole(traced.tensors.at("position_ids_thw"));
  EXPECT_EQ(ids, joined(rope_index({pieces.begin(), pieces.end() - 1})));
  const PrefillResult second = session.prefill({{c, -1}}, {}, {}, 0);
  ids = whole(traced.tensors.at("position_ids_thw"));
  const Ints times = rope_index(pieces)[0];
  EXPECT_EQ(ids.front(), times[times.size() - 6]);
  EXPECT_EQ(ids.back(), times.back());

  Session at_once(qwen_model(), threads(1));
  const PrefillResult whole_prompt =
      at_once.prefill({{a, -1}, {{}, 0}, {b, -1}, {{}, 1}, {c, -1}}, {&wide, &tall}, {}, 0);
  EXPECT_LE(worst_error(second.logits, whole_prompt.logits), 1e-5);
  SessionOptions small = threads(1);
  small.n_batch = 7;
  Session in_parts(qwen_model(), small);
  const PrefillResult parts =
      in_parts.prefill({{a, -1}, {{}, 0}, {b, -1}, {{}, 1}, {c, -1}}, {&wide, &tall}, {}, 0);
  EXPECT_LE(worst_error(parts.logits, whole_prompt.logits), 1e-5);
}

/// Dropped tokens leave holes, nothing else moves; the policies close or spread them.
TEST(Qwen2Vl, PrunedTokensKeepTheirPlaces) {
  Session session(qwen_model(), threads(1));
  Traced traced;
  session.set_observer(traced.observer());
  const std::array<Ints, 3> all = rope_index({text(8), {4, 6}, text(10)});
  for (const char* policy : {"original", "compact", "regrid"}) {
    session.clear();
    PruneOptions options = testing::prune_with("random", "7", -1, *qwen_model());
    options.position = prune::parse_position_policy(policy);
    const EncodedImage image = session.encode(qwen_picture(), ImageFit::Pad, session.tower_request(options));
    const PrefillResult result = session.prefill(qwen_prompt(), {&image}, options, 0);
    std::vector<std::size_t> left;
    for (std::size_t i = 0; i < 8; ++i) left.push_back(i);
    for (const int32_t token : result.steps[0].kept) left.push_back(8 + static_cast<std::size_t>(token));
    for (std::size_t i = 32; i < 42; ++i) left.push_back(i);
    prune::AxisIds expected;
    for (const std::size_t i : left) {
      expected.time.push_back(all[0][i]);
      expected.row.push_back(all[1][i]);
      expected.col.push_back(all[2][i]);
    }
    expected = prune::axis_position_ids(*options.position, expected,
                                        std::vector<prune::GridSpan>{{8, 7, 8, {4, 6}}});
    EXPECT_EQ(whole(traced.tensors.at("position_ids_thw")),
              joined({expected.time, expected.row, expected.col}))
        << policy;
    EXPECT_EQ(session.n_ids(), expected.time.back() + 1) << policy;
  }
}

/// A smaller picture is the picture read in fewer pixels: as a file of those limits would have it read.
TEST(Qwen2Vl, SmallerPicture) {
  Session session(qwen_model(), threads(1));
  const Image picture = testing::picture(9, 252, 168);  // 6 x 9
  const PruneOptions options = testing::prune_with("resize", "24", -1, *qwen_model());
  const EncodedImage small = session.encode(picture, ImageFit::Pad, session.tower_request(options));
  EXPECT_EQ(small.layout.grid.rows, 4);
  EXPECT_EQ(small.layout.grid.cols, 6);
  EXPECT_EQ(small.n_full(), 54);
  EXPECT_EQ(picture_layout(*qwen_model(), options.steps, 1, {252, 168}).n(), 24);
  const EncodedImage same = session.encode(resize_bicubic(picture, 168, 112), ImageFit::Pad, {});
  EXPECT_EQ(small.projected, same.projected);
  const PrefillResult got = session.prefill(qwen_prompt(), {&small}, options, 0, true);
  EXPECT_EQ(got.steps[0].layer, prune::kBeforeTower);
  EXPECT_EQ(got.steps[0].n_before, 54);
  EXPECT_EQ(got.n_visual_before, 24);
  EXPECT_EQ(got.kv_bytes * (18 + 54), got.kv_bytes_unpruned * (18 + 24));
  session.clear();
  EXPECT_EQ(session.prefill(qwen_prompt(), {&same}, {}, 0, true).logits, got.logits)
      << "positions of its own grid";
}

TEST(Qwen2Vl, SmallerPictureOfAllTokensAndWithStepsBehind) {
  Session session(qwen_model(), threads(1));
  const EncodedImage plain = session.encode(qwen_picture(), ImageFit::Pad, {});
  const PrefillResult expected = session.prefill(qwen_prompt(), {&plain}, {}, 0);
  const auto run = [&](const char* text, const char* keep) {
    PruneOptions options;
    options.steps = prune::parse_steps(text, keep, prune::BudgetMode::Exact, -1, 5);
    session.clear();
    const EncodedImage image = session.encode(qwen_picture(), ImageFit::Pad, session.tower_request(options));
    const Ints ids = testing::text_ids(1, 8);
    return session.prefill(image.n_token() == 24 ? qwen_prompt() : Prompt{{ids, -1}, {{}, 0}, {ids, -1}},
                           {&image}, options, 0);
  };
  const PrefillResult all = run("resize", "100%");
  EXPECT_EQ(all.logits, expected.logits) << "bit for bit";
  EXPECT_EQ(all.kv_bytes, all.kv_bytes_unpruned);
  const PrefillResult both = run("then(resize, divprune, fastv@2)", "50%,50%,2");
  EXPECT_EQ(both.steps[0].plan.n_out(), 12) << "24 tokens of 4 x 6: 3 x 4";
  EXPECT_EQ(both.steps[1].plan.n_out(), 6);
  EXPECT_EQ(both.n_visual_after, 2);
}

TEST(Qwen2Vl, SmallerPictureErrors) {
  Session session(qwen_model(), threads(1));
  const PruneOptions half = testing::prune_with("resize", "50%", -1, *qwen_model());
  const EncodedImage plain = session.encode(qwen_picture(), ImageFit::Pad, {});
  expect_error(ErrorCode::InvalidArgument, "encoded as 4 x 6 visual tokens, expected 3 x 4",
               [&] { session.prefill(qwen_prompt(), {&plain}, half, 0); });
  PruneOptions side;
  side.steps = prune::parse_steps("resize:side=2", "", prune::BudgetMode::Exact, -1, 5);
  expect_error(ErrorCode::InvalidArgument, "with side, got 4 x 6, expected a square (or a budget)",
               [&] { session.encode(qwen_picture(), ImageFit::Pad, session.tower_request(side)); });
  EXPECT_EQ(
      session.encode(testing::picture(1, 112, 112), ImageFit::Pad, session.tower_request(side)).n_token(), 4);
  TowerRequest request;
  request.grid = {2, 2};
  expect_error(ErrorCode::Unsupported, "expected a step, as its pictures have grids of their own",
               [&] { session.encode(qwen_picture(), ImageFit::Pad, request); });
  Session llava(testing::oracle_model(), threads(1));
  expect_error(ErrorCode::Unsupported, "expected a grid, as its pictures have one size",
               [&] { llava.encode(qwen_picture(), ImageFit::Pad, session.tower_request(half)); });
}

TEST(Qwen2Vl, WhatItDoesNotDo) {
  const Session session(qwen_model(), threads(1));
  for (const char* method : {"tome", "window_merge"}) {
    expect_error(ErrorCode::Unsupported, "pictures of any size",
                 [&] { session.tower_request(testing::prune_with(method, "25%", -1, *qwen_model())); });
  }
  expect_error(ErrorCode::Unsupported, "of the [CLS] token, which this tower does not have",
               [&] { session.tower_request(testing::prune_with("fastervlm", "25%", -1, *qwen_model())); });
}

TEST(Qwen2Vl, SynthGivesAModelOfThatKind) {
  SynthShape shape = synth_shape("tiny");
  shape.name = "tiny_qwen";
  shape.qwen2_vl = true;
  shape.merge = 2;
  shape.all_blocks = true;
  shape.tower_cls = false;
  const auto model = testing::load_model(testing::synth_files(shape));
  EXPECT_EQ(model->llama().rope.sections, (std::array<int32_t, 4>{4, 6, 6, 0}));
  EXPECT_TRUE(model->clip().takes_any_size());
  EXPECT_EQ(model->clip().own_size.max, 12845056);
  Session session(model, threads(1));
  const EncodedImage image = session.encode(testing::picture(1, 90, 50), ImageFit::Pad, {});
  EXPECT_EQ(image.n_token(), 6);
  const PrefillResult prefill = session.prefill({{testing::text_ids(1, 3), -1}, {{}, 0}}, {&image}, {}, 0);
  for (const float logit : prefill.logits) ASSERT_TRUE(std::isfinite(logit));
  TowerRequest request;
  request.needs = {{prune::Signal::ColumnAttention, prune::kFeatureBlock}};
  const EncodedImage large = session.encode(testing::picture(1, 504, 448), ImageFit::Pad, request);
  ASSERT_EQ(large.n_token(), 18 * 16) << "more patches than are looked at in one go";
  for (int32_t head = 0; head < 4; ++head) {
    const auto row = large.signals[0].values.begin() + head * large.n_token();
    EXPECT_NEAR(std::accumulate(row, row + large.n_token(), 0.0), 0.25, 1e-5)
        << "a mean of four of rows of sum 1";
  }
  shape.tower_cls = true;
  expect_error(ErrorCode::InvalidArgument, "a Qwen2-VL with merge 2",
               [&] { synth_model(shape, GGML_TYPE_F32, 1, testing::scratch_folder()); });
  const SynthShape& published = synth_shape("qwen2-vl-2b");
  EXPECT_EQ(published.merge, 2);
  EXPECT_TRUE(published.qwen2_vl);
}

/// Keys of a decoder with these sections; the embedding behind them is not reached.
void read_sections(const char* name, const std::vector<int32_t>& sections) {
  const std::string path = testing::keys_file(name, [&](GgufWriter& writer) {
    writer.set_str("general.architecture", "qwen2vl");
    set_llama_keys(qwen_model()->llama(), writer);
    writer.set_i32_array("qwen2vl.rope.dimension_sections", sections);
  });
  read_llama_config(GgufFile(path));
}

TEST(Qwen2Vl, DamagedSections) {
  const std::vector<std::vector<int32_t>> bad = {{},           {8},           {2, 3, 2, 0},
                                                 {2, 3, 2, 1}, {-2, 5, 5, 0}, {9, 9, 9, 9, 9}};
  for (const auto& sections : bad) {
    expect_error(ErrorCode::Corrupt, "expected three counts that make 8 together",
                 [&] { read_sections("bad_sections.gguf", sections); });
  }
  expect_error(ErrorCode::NotFound, "token_embd.weight", [] {
    read_sections("good_sections.gguf", {2, 3, 3});
  });
}

TEST(Qwen2Vl, DamagedTowerKeys) {
  const auto read = [](const std::function<void(GgufWriter&)>& change) {
    const std::string path = testing::keys_file("tower_keys.gguf", [&](GgufWriter& writer) {
      writer.set_str("general.architecture", "clip");
      set_clip_keys(qwen_model()->clip(), qwen_model()->mlp(), writer);
      change(writer);
    });
    read_clip_config(GgufFile(path));
  };
  expect_error(ErrorCode::NotFound, "v.blk.0.ffn_up.weight", [&] { read([](GgufWriter&) {}); });
  expect_error(ErrorCode::Unsupported, "expected 'mlp', 'qwen2vl_merger' or 'qwen2.5vl_merger'", [] {
    const std::string path = testing::keys_file(
        "merger.gguf", [](GgufWriter& writer) { writer.set_str("clip.projector_type", "qwen3vl_merger"); });
    read_mlp_config(GgufFile(path), 64, {4, 4});
  });
}

}  // namespace
}  // namespace winnow::engine
