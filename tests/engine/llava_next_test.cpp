// LLaVA-NeXT in float32 against Hugging Face's results for the same files (tests/data/llava_next), and
// pictures of every shape.

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "tests/support/engine_models.h"
#include "tests/support/expect_error.h"
#include "tests/support/traced.h"
#include "winnow/engine/image.h"
#include "winnow/engine/tower_request.h"

namespace winnow::engine {
namespace {

using test::expect_error;
using testing::next_model;
using testing::next_results;
using testing::threads;
using testing::Traced;
using testing::worst_error;

// Measured 1.8e-6 over all tensors; the requirement is 1e-3.
constexpr double kTolerance = 2e-5;

TEST(LlavaNext, EveryNamedTensorAndGreedyTokensEqualHuggingFace) {
  ModelOptions options;
  options.text_path = testing::next_path("text.gguf");
  options.mmproj_path = testing::next_path("mmproj.gguf");
  options.device = "cpu";
  options.f32 = true;
  options.all_blocks = true;
  Session session(Model::load(options), threads(1));
  Traced actual;
  session.set_observer(actual.observer());
  const EncodedImage image = session.encode(testing::next_picture(), ImageFit::Pad, {});
  const PrefillResult prefill = session.prefill(testing::next_prompt(), {&image}, {}, 8, true);
  session.set_observer({});
  int32_t n_compared = 0;
  for (const auto& [name, expected] : next_results().tensors) {
    if (expected.f32.empty()) continue;
    ASSERT_TRUE(actual.tensors.contains(name)) << name;
    std::vector<int64_t> shape = expected.shape;
    if (name == "pixel_values") shape.erase(shape.begin());  // a batch of tiles instead of one of pictures
    EXPECT_EQ(actual.shapes.at(name), shape) << name;
    EXPECT_LE(worst_error(actual.tensors.at(name), expected.f32), kTolerance) << name;
    ++n_compared;
  }
  EXPECT_EQ(n_compared, 16);
  EXPECT_EQ(prefill.n_visual_before, 52);
  EXPECT_EQ(prefill.kv_bytes, prefill.kv_bytes_unpruned);
  EXPECT_EQ(testing::greedy_tokens(session, prefill, 8), next_results().at("greedy").i32);
}

TEST(LlavaNext, HalfPrecisionStaysWithinTheDocumentedBound) {
  Session session(next_model(false), threads(1));
  const EncodedImage image = session.encode(testing::next_picture(), ImageFit::Pad, {});
  const PrefillResult prefill = session.prefill(testing::next_prompt(), {&image}, {}, 0, true);
  EXPECT_LE(worst_error(prefill.logits, next_results().at("logits").f32), 2e-2);
}

/// Tokens of tests/engine/token_layout_test.cpp.
TEST(LlavaNext, PicturesOfEveryShape) {
  Session session(next_model(), threads(1));
  const std::map<std::pair<int32_t, int32_t>, int32_t> cases = {
      {{1000, 1}, 16}, {{1, 1000}, 20}, {{28, 28}, 36}, {{400, 300}, 70}, {{56, 168}, 76}, {{57, 170}, 76}};
  for (const auto& [size, n] : cases) {
    const Image picture = testing::picture(7, size.first, size.second);
    const EncodedImage image = session.encode(picture, ImageFit::Pad, {});
    EXPECT_EQ(image.n_token(), n);
    EXPECT_EQ(image.projected.size(), static_cast<std::size_t>(n) * 96);
    EXPECT_EQ(picture_layout(*next_model(), {}, 1, {size.first, size.second}).n(), n);
    session.clear();
    const PrefillResult prefill = session.prefill(
        {{testing::text_ids(1, 5), -1}, {{}, 0}, {testing::text_ids(2, 3), -1}}, {&image}, {}, 0);
    EXPECT_EQ(prefill.n_visual_after, n);
    for (const float logit : prefill.logits) ASSERT_TRUE(std::isfinite(logit));
  }
}

/// Two pictures of different shapes in one prompt: the rows that enter the decoder are each picture's own.
TEST(LlavaNext, SeveralPictures) {
  Session session(next_model(), threads(1));
  const EncodedImage wide = session.encode(testing::next_picture(), ImageFit::Pad, {});
  const EncodedImage tall = session.encode(testing::picture(8, 40, 130), ImageFit::Pad, {});
  ASSERT_NE(wide.n_token(), tall.n_token());
  std::vector<int32_t> ids = testing::text_ids(3, 2);
  ids.insert(ids.end(), static_cast<std::size_t>(wide.n_token() + tall.n_token()),
             testing::kOracleImageToken);
  const std::vector<int32_t> text = testing::text_ids(4, 4);
  ids.insert(ids.end(), text.begin(), text.end());
  const Prompt prompt = prompt_from_ids(ids, testing::kOracleImageToken, {wide.n_token(), tall.n_token()});
  Traced traced;
  session.set_observer(traced.observer());
  const PrefillResult prefill = session.prefill(prompt, {&wide, &tall}, {}, 0);
  EXPECT_EQ(prefill.n_visual_before, wide.n_token() + tall.n_token());
  EXPECT_EQ(prefill.n_text, 6);
  const std::vector<float>& embeds = traced.tensors.at("llm.embeds");
  EXPECT_TRUE(std::equal(wide.projected.begin(), wide.projected.end(), embeds.begin() + 2 * 96));
  EXPECT_TRUE(
      std::equal(tall.projected.begin(), tall.projected.end(), embeds.begin() + (2 + wide.n_token()) * 96));
}

TEST(LlavaNext, PromptsThatDoNotFit) {
  const std::vector<int32_t> ids = {1, 9, 9, 9, 5, 9, 9, 6};
  EXPECT_EQ(prompt_from_ids(ids, 9, {3, 2}).size(), 5U);
  expect_error(ErrorCode::InvalidArgument, "a run of 3 image tokens at 1, expected 3 for image 1", [&] {
    prompt_from_ids(ids, 9, {2, 3});
  });
  expect_error(ErrorCode::InvalidArgument, "the places of 2 images, got 3 images", [&] {
    prompt_from_ids(ids, 9, {3, 2, 1});
  });
}

/// The fixture's mmproj keys with some replaced; tensors are not reached.
std::string tiling_error(const std::function<void(GgufWriter&)>& set_keys) {
  static int n = 0;
  const std::string path = testing::keys_file("tiling_" + std::to_string(n++) + ".gguf", set_keys);
  try {
    read_tiling(GgufFile(path), 56);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Tiling, DamagedKeys) {
  const std::vector<int32_t> good = {112, 56}, odd = {112, 56, 56}, fraction = {112, 60}, none = {0, 56},
                             huge = {1 << 20, 1 << 20};
  const auto keys = [](const std::vector<int32_t>& sizes, const char* merge) {
    return [sizes, merge](GgufWriter& writer) {
      writer.set_i32_array("clip.vision.image_grid_pinpoints", sizes);
      if (merge != nullptr) writer.set_str("clip.vision.mm_patch_merge_type", merge);
    };
  };
  EXPECT_EQ(tiling_error(keys(good, "spatial_unpad")), "");
  EXPECT_NE(tiling_error(keys(odd, "spatial_unpad")).find("got 3 numbers, expected pairs"),
            std::string::npos);
  for (const auto& bad : {fraction, none, huge}) {
    EXPECT_NE(tiling_error(keys(bad, "spatial_unpad")).find("expected multiples of the input's 56"),
              std::string::npos);
  }
  EXPECT_NE(tiling_error(keys(good, "flat")).find("got 'flat', expected 'spatial_unpad'"), std::string::npos);
  EXPECT_NE(tiling_error(keys(good, nullptr)).find("got 'flat'"), std::string::npos) << "absent is flat";
}

/// Older files of llama.cpp keep the name of the authors' checkpoint.
TEST(Tiling, BothNamesOfTheNewline) {
  for (const char* name : {"v.image_newline", "model.image_newline"}) {
    const std::string path = testing::scratch_folder() + "/" + name + ".gguf";
    GgufWriter writer(path);
    writer.set_i32_array("clip.vision.image_grid_pinpoints", std::vector<int32_t>{112, 56});
    writer.set_str("clip.vision.mm_patch_merge_type", "spatial_unpad");
    const int64_t ne[] = {4};
    writer.add_tensor(name, GGML_TYPE_F32, ne);
    writer.begin();
    writer.write(name, std::vector<uint8_t>(16));
    writer.finish();
    const GgufFile file(path);
    const Tiling tiling = read_tiling(file, 56);
    EXPECT_EQ(tiling.newline_name, name);
    EXPECT_NO_THROW(check_tensors(file, tiling_tensors(tiling, 4)));
    expect_error(ErrorCode::Corrupt, name, [&] { check_tensors(file, tiling_tensors(tiling, 5)); });
  }
}

TEST(Tiling, SynthGivesAModelThatCutsPictures) {
  SynthShape shape = synth_shape("tiny");
  shape.name = "tiny_next";
  shape.resolutions = {{112, 56}, {56, 112}};
  const auto model = testing::load_model(testing::synth_files(shape));
  ASSERT_TRUE(model->tiling().cuts());
  EXPECT_EQ(model->image_newline().size(), 256U);
  Session session(model, threads(1));
  const EncodedImage image = session.encode(testing::picture(1, 90, 50), ImageFit::Pad, {});
  EXPECT_EQ(image.n_tile(), 3);
  const int32_t last = image.n_token() - 1;
  EXPECT_TRUE(std::equal(model->image_newline().begin(), model->image_newline().end(),
                         image.projected.begin() + last * 256));
  shape.resolutions = {{112, 50}};
  expect_error(ErrorCode::InvalidArgument, "resolution 112 x 50, expected multiples of image_px 56",
               [&] { synth_model(shape, GGML_TYPE_F32, 1, testing::scratch_folder()); });
}

/// Tiles of a projector that merges 2 x 2 patches: 2 x 2 tokens each.
TEST(Tiling, ProjectorsThatMergePatches) {
  SynthShape shape = synth_shape("tiny");
  shape.name = "tiny_next_merge";
  shape.merge = 2;
  shape.resolutions = {{112, 56}, {56, 112}};
  const auto model = testing::load_model(testing::synth_files(shape));
  Session session(model, threads(1));
  const PruneOptions options = testing::prune_with("fastervlm", "6", -1, *model);
  const EncodedImage image =
      session.encode(testing::picture(1, 90, 50), ImageFit::Pad, session.tower_request(options));
  EXPECT_EQ(image.n_token(), 4 + 2 * (4 + 1));
  EXPECT_EQ(image.n_projected(), 12);
  const PrefillResult result =
      session.prefill({{testing::text_ids(1, 3), -1}, {{}, 0}}, {&image}, options, 0);
  EXPECT_EQ(result.n_visual_after, 6);
}

}  // namespace
}  // namespace winnow::engine
