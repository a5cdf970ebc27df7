// Model files of several kinds that must give the same features: swapped names, block counts, types, places.

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "tests/support/engine_models.h"
#include "winnow/base/error.h"
#include "winnow/engine/gguf_writer.h"
#include "winnow/engine/weight_types.h"

namespace winnow::engine {
namespace {

using testing::oracle_path;
using testing::oracle_results;
using testing::worst_error;

/// Copy of an mmproj file under other tensor names, with `feature_layer` when it is not empty.
std::string copy_mmproj(const std::string& from, const std::string& name,
                        const std::vector<int32_t>& feature_layer, bool swap_ffn) {
  const GgufFile file(from);
  const std::string path = testing::scratch_folder() + "/" + name;
  GgufWriter writer(path);
  writer.set_str("general.architecture", "clip");
  writer.set_bool("clip.has_vision_encoder", true);
  writer.set_bool("clip.use_gelu", file.boolean_or("clip.use_gelu", false));
  for (const char* key : {"image_size", "patch_size", "embedding_length", "feed_forward_length",
                          "block_count", "attention.head_count"}) {
    const std::string full = std::string("clip.vision.") + key;
    writer.set_u32(full, static_cast<uint32_t>(file.integer(full, 1, 1 << 20)));
  }
  writer.set_f32("clip.vision.attention.layer_norm_epsilon",
                 static_cast<float>(file.real("clip.vision.attention.layer_norm_epsilon")));
  for (const char* key : {"clip.vision.image_mean", "clip.vision.image_std"}) {
    const auto values = file.numbers(key);
    writer.set_f32_array(key, std::vector<float>(values.begin(), values.end()));
  }
  if (!feature_layer.empty()) writer.set_i32_array("clip.vision.feature_layer", feature_layer);
  const auto renamed = [&](std::string tensor) {
    for (const auto& [a, b] : {std::pair{".ffn_up.", ".ffn_down."}, {".ffn_down.", ".ffn_up."}}) {
      const std::size_t at = tensor.find(a);
      if (swap_ffn && at != std::string::npos) return tensor.replace(at, std::string(a).size(), b);
    }
    return tensor;
  };
  for (const GgufTensor& t : file.tensors()) writer.add_tensor(renamed(t.name), t.type, t.ne);
  writer.begin();
  for (const GgufTensor& t : file.tensors()) writer.write(renamed(t.name), file.bytes(t));
  writer.finish();
  return path;
}

EncodedImage encode(const ModelOptions& options) {
  Session session(Model::load(options), testing::threads(1));
  return session.encode(load_image(oracle_path("exact.png")), ImageFit::Crop, {});
}

ModelOptions with_mmproj(const std::string& path, bool f32 = true) {
  ModelOptions options;
  options.text_path = oracle_path("text.gguf");
  options.mmproj_path = path;
  options.device = "cpu";
  options.f32 = f32;
  return options;
}

/// Output of tower block `block` without [CLS], from Hugging Face.
std::vector<float> block_output(int32_t block) {
  const auto& all = oracle_results().at("vis." + std::to_string(block) + ".out").f32;
  return {all.begin() + 64, all.end()};
}

TEST(TowerFiles, SwappedFeedForwardNamesGiveTheSameFeatures) {
  const std::string swapped = copy_mmproj(oracle_path("mmproj-legacy.gguf"), "swapped.gguf", {}, true);
  EXPECT_TRUE(read_clip_config(GgufFile(swapped)).ffn_swapped);
  EXPECT_FALSE(read_clip_config(GgufFile(oracle_path("mmproj-legacy.gguf"))).ffn_swapped);
  EXPECT_EQ(encode(with_mmproj(swapped)).features,
            encode(with_mmproj(oracle_path("mmproj-legacy.gguf"))).features);
}

TEST(TowerFiles, ExactGeluTowersEqualTheReference) {
  SynthShape shape = synth_shape("tiny");
  shape.name = "gelu";
  shape.use_gelu = true;
  const SynthFiles files = testing::synth_files(shape);
  std::vector<float> pixels;
  Session session(testing::load_model(files), testing::threads(1));
  session.set_observer([&](std::string_view name, std::span<const int64_t>, std::span<const float> values) {
    if (name == "pixel_values") pixels.assign(values.begin(), values.end());
  });
  const EncodedImage encoded = session.encode(testing::picture(2, 56, 56), ImageFit::Crop, {});
  const auto expected = testing::ReferenceLlava(files.text, files.mmproj).encode(pixels, shape.tower_layers);
  EXPECT_LE(worst_error(encoded.projected, expected.projected.values), 2e-5);
}

TEST(TowerFiles, LegacyAndCompleteFilesGiveTheSameFeatures) {
  EXPECT_EQ(encode(with_mmproj(oracle_path("mmproj-all.gguf"))).projected,
            encode(with_mmproj(oracle_path("mmproj-legacy.gguf"))).projected);
}

TEST(TowerFiles, FeatureLayerOfTheFileIsHonoured) {
  // transformers counts hidden states: 0 is what enters block 0, 3 the output of block 2, -2 the last but
  // one.
  for (const auto& [layer, block] : {std::pair{1, 0}, {2, 1}, {3, 2}, {4, 3}, {-1, 3}, {-2, 2}, {-3, 1}}) {
    const std::string path = copy_mmproj(oracle_path("mmproj-all.gguf"),
                                         "layer" + std::to_string(layer) + ".gguf", {layer}, false);
    EXPECT_LE(worst_error(encode(with_mmproj(path)).features, block_output(block)), 2e-5) << layer;
  }
  for (const std::vector<int32_t>& bad : {std::vector{0}, {5}, {-5}, {1, 3}}) {
    const std::string path = copy_mmproj(oracle_path("mmproj-all.gguf"), "bad_layer.gguf", bad, false);
    EXPECT_THROW(read_clip_config(GgufFile(path)), Error) << bad[0];
  }
}

TEST(TowerFiles, TheUsersBlockCountComesFirst) {
  for (const int32_t blocks : {1, 2, 3, 4}) {
    ModelOptions options = with_mmproj(copy_mmproj(oracle_path("mmproj-all.gguf"), "user.gguf", {2}, false));
    options.tower_blocks = blocks;
    EXPECT_LE(worst_error(encode(options).features, block_output(blocks - 1)), 2e-5) << blocks;
  }
  ModelOptions options = with_mmproj(oracle_path("mmproj-legacy.gguf"));
  options.tower_blocks = 4;
  EXPECT_THROW(Model::load(options), Error) << "the file holds three";
}

TEST(TowerTypes, RequantisedTowerStaysClose) {
  const auto expected = encode(with_mmproj(oracle_path("mmproj-legacy.gguf"), false)).projected;
  // Measured: f16 1.1e-3, bf16 5.5e-3, q8_0 1.8e-2, q4_0 0.28.
  for (const auto& [type, bound] : {std::pair{"stored", 0.0},
                                    {"auto", 0.0},
                                    {"f16", 5e-3},
                                    {"bf16", 3e-2},
                                    {"q8_0", 5e-2},
                                    {"q4_0", 0.5}}) {
    ModelOptions options = with_mmproj(oracle_path("mmproj-legacy.gguf"), false);
    options.tower_type = type;
    const double error = worst_error(encode(options).projected, expected);
    EXPECT_LE(error, bound) << type;
    EXPECT_EQ(error > 0.0, bound > 0.0) << type;
  }
  for (const char* type : {"", "q8", "i32", "f64", "iq1_s"}) {
    ModelOptions options = with_mmproj(oracle_path("mmproj-legacy.gguf"), false);
    options.tower_type = type;
    EXPECT_THROW(Model::load(options), Error) << type;
  }
}

TEST(Placement, EveryWeightIsCounted) {
  const auto model = testing::tiny_model(false);
  for (const Weights* weights :
       {&model->decoder_weights(), &model->tower_weights(), &model->projector_weights()}) {
    EXPECT_FALSE(weights->placement().empty());
    EXPECT_GT(weights->bytes(), 0);
  }
  int64_t expected = 0;
  const GgufFile& file = model->text_file();
  for (const TensorSpec& spec : llama_tensors(model->llama())) {
    if (const GgufTensor* t = file.find(spec.name)) expected += static_cast<int64_t>(t->bytes);
  }
  EXPECT_EQ(model->decoder_weights().bytes(), expected) << "f32 files are kept as they are";
  EXPECT_EQ(model->decoder_weights().at("no such tensor"), nullptr);
}

TEST(Placement, RowsConvertThroughFloat) {
  std::vector<float> row;
  for (int i = 0; i < 256; ++i) row.push_back(std::sin(static_cast<float>(i)));
  const auto* bytes = reinterpret_cast<const uint8_t*>(row.data());
  for (const auto& [type, bound] : {std::pair{GGML_TYPE_F32, 0.0},
                                    {GGML_TYPE_F16, 1e-3},
                                    {GGML_TYPE_BF16, 8e-3},
                                    {GGML_TYPE_Q8_0, 8e-3},
                                    {GGML_TYPE_Q4_0, 0.2},
                                    {GGML_TYPE_Q6_K, 4e-2}}) {
    const auto stored = convert_rows(bytes, GGML_TYPE_F32, 1, 256, type);
    EXPECT_EQ(stored.size(), ggml_row_size(type, 256));
    std::vector<float> back(256);
    rows_to_f32(stored.data(), type, 1, 256, back.data());
    EXPECT_LE(worst_error(back, row), bound) << ggml_type_name(type);
  }
}

SynthShape mini() {
  SynthShape s = synth_shape("tiny");
  s.name = "mini";
  return s;
}

TEST(WeightTypes, EveryTypeRunsAndStaysNearFloat) {
  const std::vector<Image> pictures = {testing::picture(1, 56, 56)};
  const Prompt prompt = {{testing::text_ids(1, 5), -1}, {{}, 0}, {testing::text_ids(2, 6), -1}};
  Session exact(testing::load_model(testing::synth_files(mini()), true), testing::threads(1));
  const auto expected = testing::run_turn(exact, prompt, pictures, {}).prefill.logits;
  // Measured: f32 5.1e-4 (f16 cache), f16 7.6e-4, bf16 4.1e-3, q8_0 1.4e-2, q6_K 4.0e-2, 4 bits up to 0.19
  // (random weights: errors are not averaged away). That quantised products are right shows against libllama.
  for (const std::string& name : weight_type_names()) {
    const double bound = name == "f32" || name == "f16"     ? 3e-3
                         : name == "bf16" || name == "q8_0" ? 5e-2
                                                            : 0.5;
    Session session(testing::load_model(testing::synth_files(mini(), parse_weight_type(name)), false),
                    testing::threads(1));
    const auto turn = testing::run_turn(session, prompt, pictures, {}, 1);
    EXPECT_LE(worst_error(turn.prefill.logits, expected), bound) << name;
  }
}

TEST(FlashAttentionModes, GiveCloseLogitsAndTheSameKeptSets) {
  const std::vector<Image> pictures = {testing::picture(3, 84, 84)};
  const auto run = [&](FlashAttention flash, const char* kv_type, const char* method) {
    SessionOptions options = testing::threads(1);
    options.flash = flash;
    options.kv_type = kv_type;
    Session session(testing::oracle_model(false), options);
    const int32_t layer = std::string(method) == "fastervlm" ? -1 : 2;
    return testing::run_turn(session, testing::oracle_prompt(), pictures,
                             testing::prune_with(method, "9", layer, *testing::oracle_model()), 3);
  };
  for (const char* method : {"fastervlm", "fastv", "balanced"}) {
    const auto off = run(FlashAttention::Off, "f16", method);
    for (const auto flash : {FlashAttention::On, FlashAttention::Auto}) {
      const auto turn = run(flash, "f16", method);
      EXPECT_EQ(turn.prefill.steps[0].kept, off.prefill.steps[0].kept) << method;
      EXPECT_LE(worst_error(turn.prefill.logits, off.prefill.logits), 1e-2) << method;
      EXPECT_LE(worst_error(turn.step_logits.back(), off.step_logits.back()), 1e-2) << method;
    }
  }
}

TEST(FlashAttentionModes, EveryCacheTypeRunsInBoth) {
  const Prompt prompt = {{testing::text_ids(1, 60), -1}};
  Session exact(testing::tiny_model(true), testing::threads(1));
  const auto expected = testing::run_turn(exact, prompt, {}, {}, 2);
  for (const auto flash : {FlashAttention::On, FlashAttention::Off}) {
    for (const auto& [kv_type, bound] :
         {std::pair{"f32", 1e-2}, {"f16", 1e-2}, {"bf16", 5e-2}, {"q8_0", 5e-2}}) {
      SessionOptions options = testing::threads(1);
      options.flash = flash;
      options.kv_type = kv_type;
      Session session(testing::tiny_model(false), options);
      const auto turn = testing::run_turn(session, prompt, {}, {}, 0, expected.tokens);
      EXPECT_LE(worst_error(turn.prefill.logits, expected.prefill.logits), bound) << kv_type;
      EXPECT_LE(worst_error(turn.step_logits.back(), expected.step_logits.back()), bound) << kv_type;
    }
  }
  SessionOptions options = testing::threads(1);
  options.kv_type = "q4_0";
  EXPECT_THROW(Session(testing::tiny_model(false), options), Error);
  options.kv_type = "q8_0";
  EXPECT_THROW(Session(testing::oracle_model(false), options), Error)
      << "heads of 16 do not fill blocks of 32";
}

TEST(FlashAttentionModes, Names) {
  EXPECT_EQ(parse_flash_attention("auto"), FlashAttention::Auto);
  EXPECT_EQ(parse_flash_attention("on"), FlashAttention::On);
  EXPECT_EQ(parse_flash_attention("off"), FlashAttention::Off);
  EXPECT_THROW(parse_flash_attention("yes"), Error);
}

}  // namespace
}  // namespace winnow::engine
