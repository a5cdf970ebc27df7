// LLaVA-OneVision checkpoints -> GGUF pairs, against the random-weight pair that the checkpoint was made back
// from.

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "tests/convert/converting.h"
#include "tests/support/engine_models.h"
#include "tests/support/expect_error.h"
#include "winnow/convert/checkpoint_config.h"
#include "winnow/engine/gguf.h"

namespace winnow::convert {
namespace {

using engine::GgufFile;
using nlohmann::json;
using test::CheckpointFolder;
using test::convert_folder;
using test::expect_error;
using test::expect_same_tensors;
using test::Layout;

const engine::SynthFiles& pair() {
  static const engine::SynthFiles files = testing::synth_files(engine::synth_shape("tiny-onevision"));
  return files;
}

CheckpointFolder folder_of(const std::string& name, Layout layout = Layout::Old) {
  return test::onevision_folder(name, pair().text, pair().mmproj, layout);
}

std::vector<float> logits_of(const engine::SynthFiles& files, bool f32 = true) {
  engine::Session session(testing::load_model(files, f32), testing::threads(1));
  const auto image = session.encode(testing::picture(3, 150, 90), engine::ImageFit::Pad, {});
  return session.prefill({{testing::text_ids(1, 5), -1}, {{}, 0}}, {&image}, {}, 0, true).logits;
}

TEST(ConvertOneVision, BothLayoutsGiveThePairAndItsResults) {
  const std::vector<float> expected = logits_of(pair());
  for (const Layout layout : {Layout::Old, Layout::New}) {
    const CheckpointFolder folder = folder_of(layout == Layout::Old ? "ov_old" : "ov_new", layout);
    folder.write("F32", 3);
    const ConvertedFiles files = convert_folder(folder);
    expect_same_tensors(files.text, pair().text);
    expect_same_tensors(files.mmproj, pair().mmproj);
    const GgufFile text(files.text), mmproj(files.mmproj), synth(pair().mmproj);
    EXPECT_EQ(text.text("general.architecture"), "qwen2");
    EXPECT_EQ(text.text("tokenizer.ggml.pre"), "qwen2");
    EXPECT_EQ(text.text("winnow.prompt_template"), "llava_onevision");
    EXPECT_EQ(mmproj.text("clip.projector_type"), "mlp");
    EXPECT_EQ(mmproj.text("clip.vision.image_aspect_ratio"), "anyres_max_2");
    EXPECT_EQ(mmproj.text("clip.vision.mm_patch_merge_type"), "spatial_unpad");
    EXPECT_EQ(mmproj.numbers("clip.vision.image_grid_pinpoints"),
              synth.numbers("clip.vision.image_grid_pinpoints"));
    EXPECT_EQ(mmproj.numbers("clip.vision.feature_layer"), std::vector<double>{4.0});
    EXPECT_EQ(mmproj.numbers("clip.vision.image_mean"), (std::vector<double>{0.5, 0.5, 0.5}));
    EXPECT_EQ(logits_of({files.text, files.mmproj}), expected);
  }
}

/// transformers 5.17 has no vision_model in its SigLIP, and saves a checkpoint's tower without it.
TEST(ConvertOneVision, TowerWithoutAVisionModelInItsNames) {
  for (const Layout layout : {Layout::Old, Layout::New}) {
    CheckpointFolder folder = folder_of(layout == Layout::Old ? "ov_flat_old" : "ov_flat_new", layout);
    std::map<std::string, test::FolderTensor> renamed;
    const std::string part = "vision_model.";
    int32_t n = 0;
    for (const auto& [name, tensor] : folder.tensors) {
      const std::size_t at = name.find(part);
      n += at != std::string::npos ? 1 : 0;
      renamed[at == std::string::npos ? name : std::string(name).erase(at, part.size())] = tensor;
    }
    EXPECT_EQ(n, 3 + 4 * 16 + 3) << "embeddings, blocks, and three that nothing reads";
    folder.tensors = renamed;
    folder.write();
    const ConvertedFiles files = convert_folder(folder);
    expect_same_tensors(files.text, pair().text);
    expect_same_tensors(files.mmproj, pair().mmproj);
  }
}

/// The head of the 0.5B model is its token embedding, as its text_config alone says.
TEST(ConvertOneVision, TiedHeadAndStoredTypes) {
  CheckpointFolder folder = folder_of("ov_tied");
  folder.tensors.erase("language_model.lm_head.weight");
  folder.json["config.json"]["text_config"]["tie_word_embeddings"] = true;
  folder.write("BF16");
  const ConvertedFiles files = convert_folder(folder, GGML_TYPE_Q8_0);
  EXPECT_EQ(GgufFile(files.text).find("output.weight"), nullptr);
  for (const float logit : logits_of({files.text, files.mmproj}, false)) ASSERT_TRUE(std::isfinite(logit));
  folder.json["config.json"]["text_config"]["tie_word_embeddings"] = false;
  folder.write();
  expect_error(ErrorCode::NotFound, "language_model.lm_head.weight", [&] { convert_folder(folder); });
}

/// config.json of llava-hf/llava-onevision-qwen2-0.5b-ov-hf, without the keys that generation alone reads.
TEST(ConvertOneVision, PublishedConfiguration) {
  CheckpointFolder folder = folder_of("ov_published");
  folder.tensors.clear();
  json& config = folder.json["config.json"];
  config["text_config"] = json::parse(R"({
    "_name_or_path": "Qwen/Qwen2-0.5B-Instruct", "architectures": ["Qwen2ForCausalLM"], "bos_token_id": 151643,
    "eos_token_id": 151645, "hidden_size": 896, "intermediate_size": 4864, "max_window_layers": 24,
    "model_type": "qwen2", "num_attention_heads": 14, "num_hidden_layers": 24, "num_key_value_heads": 2,
    "rope_theta": 1000000.0, "sliding_window": 32768, "tie_word_embeddings": true, "vocab_size": 152000})");
  config["vision_config"] = json::parse(R"({
    "hidden_size": 1152, "image_size": 384, "intermediate_size": 4304, "model_type": "siglip_vision_model",
    "num_attention_heads": 16, "num_hidden_layers": 26, "patch_size": 14, "vision_use_head": false})");
  config["vision_aspect_ratio"] = "anyres_max_9";
  config["image_grid_pinpoints"] = {{384, 384}, {384, 768}, {2304, 2304}};
  folder.json["preprocessor_config.json"]["size"] = {{"height", 384}, {"width", 384}};
  folder.write();
  const CheckpointConfig read = read_checkpoint_config(folder.path, "");
  EXPECT_TRUE(read.is_onevision());
  EXPECT_TRUE(read.may_be_tied);
  EXPECT_EQ(read.text.arch, "qwen2");
  EXPECT_EQ(read.text.n_ctx, 32768);
  EXPECT_EQ(read.text.d_head, 64);
  EXPECT_EQ(read.text.eps, 1e-6F);
  EXPECT_EQ(read.text.rope.freq_base, 1e6F);
  EXPECT_TRUE(read.tower.siglip);
  EXPECT_FALSE(read.tower.has_cls);
  EXPECT_EQ(read.tower.n_layer, 26);
  EXPECT_EQ(read.tower.eps, 1e-6F);
  EXPECT_EQ(read.tower.grid().size(), 729);
  EXPECT_EQ(read.tiling.max_tiles, 9);
  EXPECT_EQ(read.tiling.resolutions[1], (engine::PixelSize{768, 384})) << "height comes first";
}

void expect_refused(ErrorCode code, const char* message, const test::FolderChange& change) {
  test::expect_refused(folder_of("ov_refused"), code, message, change);
}

TEST(ConvertOneVision, Configurations) {
  const auto config = [](const char* key, const json& value) {
    return test::set_json("config.json", key, value);
  };
  expect_refused(ErrorCode::Unsupported, "model_type, got 'llama', expected 'qwen2'",
                 config("/text_config/model_type", "llama"));
  expect_refused(ErrorCode::Unsupported, "tower, got 'clip_vision_model', expected 'siglip_vision_model'",
                 config("/vision_config/model_type", "clip_vision_model"));
  expect_refused(ErrorCode::Unsupported, "hidden_act, got 'gelu', expected 'gelu_pytorch_tanh'",
                 config("/vision_config/hidden_act", "gelu"));
  expect_refused(ErrorCode::Unsupported, "got 'default', expected 'full'",
                 config("/vision_feature_select_strategy", "default"));
  expect_refused(ErrorCode::Corrupt, "features of layer 5 are wanted, the tower has 4 blocks",
                 config("/vision_feature_layer", 5));
  for (const char* aspect : {"anyres", "anyres_max_", "anyres_max_0", "anyres_max_9_"}) {
    expect_refused(ErrorCode::Unsupported, "expected 'anyres_max_N' with N of 1 to 256",
                   config("/vision_aspect_ratio", aspect));
  }
  expect_refused(ErrorCode::Corrupt, "expected two multiples of the tower's 60 px",
                 config("/image_grid_pinpoints/0/0", 90));
  expect_refused(ErrorCode::Unsupported,
                 "sliding_window, got 32, expected null or at least the context of 512",
                 config("/text_config/use_sliding_window", true));
  expect_refused(ErrorCode::Unsupported, "height, got 384, expected 60", [](CheckpointFolder& folder) {
    folder.json["preprocessor_config.json"]["size"]["height"] = 384;
  });
}

TEST(ConvertOneVision, Tensors) {
  const std::string tower = "vision_tower.vision_model.";
  expect_refused(
      ErrorCode::NotFound, "embeddings.patch_embedding.bias' is missing",
      [&](CheckpointFolder& folder) { folder.tensors.erase(tower + "embeddings.patch_embedding.bias"); });
  expect_refused(ErrorCode::Corrupt, "got shape [15, 64], expected [16, 64]", [&](CheckpointFolder& folder) {
    test::FolderTensor& table = folder.tensors[tower + "embeddings.position_embedding.weight"];
    table.shape[0] = 15;
    table.values.resize(15 * 64);
  });
  expect_refused(ErrorCode::NotFound, "image_newline' is missing",
                 [](CheckpointFolder& folder) { folder.tensors.erase("image_newline"); });
  expect_refused(
      ErrorCode::Unsupported, "has no place in a model of this config.json", [&](CheckpointFolder& folder) {
        folder.tensors[tower + "embeddings.class_embedding"] = {{64}, std::vector<float>(64, 0.0F), false};
      });
}

TEST(ConvertOneVision, TowersOfOthersAreRefused) {
  test::expect_other_towers_refused(folder_of("ov_towers"));
}

}  // namespace
}  // namespace winnow::convert
