// config.json in the forms that are published, and in those that are refused.

#include "winnow/convert/checkpoint_config.h"

#include <gtest/gtest.h>

#include "tests/convert/checkpoint_folder.h"
#include "tests/support/engine_models.h"
#include "tests/support/expect_error.h"

namespace winnow::convert {
namespace {

using nlohmann::json;
using test::CheckpointFolder;
using test::expect_error;
using test::Layout;

CheckpointFolder folder(Layout layout = Layout::Old) {
  CheckpointFolder made = test::llava_folder("config", layout);
  made.tensors.clear();
  return made;
}

CheckpointConfig read(const CheckpointFolder& made, const std::string& tower = "") {
  made.write();
  return read_checkpoint_config(made.path, tower);
}

TEST(CheckpointConfig, EveryKeyIsWritten) {
  const CheckpointConfig config = read(folder());
  EXPECT_EQ(config.text.n_embd, 96);
  EXPECT_EQ(config.text.n_ff, 192);
  EXPECT_EQ(config.text.n_layer, 5);
  EXPECT_EQ(config.text.d_head, 16);
  EXPECT_EQ(config.text.n_vocab, 512);
  EXPECT_EQ(config.text.n_ctx, 2048);
  EXPECT_EQ(config.tower.n_layer, 3) << "hidden state -2 of 4 blocks";
  EXPECT_EQ(config.tower.n_layer_stored, 4);
  EXPECT_EQ(config.tower.image_size_px, 84);
  EXPECT_FALSE(config.tower.use_gelu);
  EXPECT_EQ(config.tower.mean[0], 0.48145466F);
  EXPECT_FALSE(config.may_be_tied);
}

/// config.json of llava-hf/llava-1.5-7b-hf leaves out whatever is a default of transformers.
TEST(CheckpointConfig, PublishedSevenB) {
  CheckpointFolder made = folder();
  made.json["config.json"] = json::parse(R"({
    "architectures": ["LlavaForConditionalGeneration"], "image_token_index": 32000, "model_type": "llava",
    "pad_token_id": 32001, "projector_hidden_act": "gelu",
    "text_config": {"max_position_embeddings": 4096, "model_type": "llama", "rms_norm_eps": 1e-05,
                    "vocab_size": 32064},
    "vision_config": {"hidden_size": 1024, "image_size": 336, "intermediate_size": 4096,
                      "model_type": "clip_vision_model", "num_attention_heads": 16, "num_hidden_layers": 24,
                      "patch_size": 14, "projection_dim": 768, "vocab_size": 32000},
    "vision_feature_layer": -2, "vision_feature_select_strategy": "default"})");
  made.json["preprocessor_config.json"]["crop_size"] = 336;
  const CheckpointConfig config = read(made);
  EXPECT_EQ(config.text.n_embd, 4096);
  EXPECT_EQ(config.text.n_ff, 11008);
  EXPECT_EQ(config.text.n_layer, 32);
  EXPECT_EQ(config.text.n_head, 32);
  EXPECT_EQ(config.text.n_head_kv, 32);
  EXPECT_EQ(config.text.d_head, 128);
  EXPECT_EQ(config.text.n_vocab, 32064);
  EXPECT_EQ(config.text.eps, 1e-5F);
  EXPECT_EQ(config.text.rope.freq_base, 10000.0F);
  EXPECT_EQ(config.text.rope.freq_scale, 1.0F);
  EXPECT_EQ(config.tower.n_layer, 23);
  EXPECT_EQ(config.tower.grid().size(), 576);
  EXPECT_EQ(config.tower.eps, 1e-5F);
}

TEST(CheckpointConfig, RotaryScalingInBothForms) {
  CheckpointFolder made = folder();
  json& text = made.json["config.json"]["text_config"];
  text["rope_parameters"] = {{"rope_theta", 5e5}, {"rope_type", "linear"}, {"factor", 4.0}};
  EXPECT_EQ(read(made).text.rope.freq_base, 5e5F);
  EXPECT_EQ(read(made).text.rope.freq_scale, 0.25F);
  text.erase("rope_parameters");
  text["rope_theta"] = 2e4;
  text["rope_scaling"] = {{"type", "linear"}, {"factor", 2.0}};
  EXPECT_EQ(read(made).text.rope.freq_base, 2e4F);
  EXPECT_EQ(read(made).text.rope.freq_scale, 0.5F);
  text["rope_scaling"] = nullptr;
  EXPECT_EQ(read(made).text.rope.freq_scale, 1.0F);
}

TEST(CheckpointConfig, FeatureLayers) {
  CheckpointFolder made = folder();
  json& layer = made.json["config.json"]["vision_feature_layer"];
  for (const auto& [value, expected] : std::vector<std::pair<json, int>>{{-1, 4}, {2, 2}, {{-3}, 2}}) {
    layer = value;
    EXPECT_EQ(read(made).tower.n_layer, expected) << value;
  }
  layer = {-2, -1};
  expect_error(ErrorCode::Unsupported, "vision_feature_layer, got 2 layers", [&] { read(made); });
  layer = -5;
  expect_error(ErrorCode::Corrupt, "features of layer -5 are wanted, the tower has 4 blocks",
               [&] { read(made); });
}

TEST(CheckpointConfig, OriginalLayoutTakesItsTowerFromElsewhere) {
  const CheckpointFolder made = folder(Layout::Original);
  CheckpointFolder clip = test::clip_folder("config_clip");
  clip.tensors.clear();
  clip.write();
  const CheckpointConfig config = read(made, clip.path);
  EXPECT_EQ(config.text.n_embd, 96);
  EXPECT_EQ(config.tower.n_embd, 64);
  EXPECT_EQ(config.tower.n_layer, 3);
  expect_error(ErrorCode::InvalidArgument,
               "(openai/clip-vit-large-patch14-336): give its folder with --tower", [&] { read(made); });
  expect_error(ErrorCode::InvalidArgument, "holds its tower", [&] { read(folder(), clip.path); });
}

TEST(CheckpointConfig, PreprocessorInsideTheProcessor) {
  CheckpointFolder made = folder();
  made.json["processor_config.json"] = {{"image_processor", made.json["preprocessor_config.json"]}};
  made.json.erase("preprocessor_config.json");
  EXPECT_EQ(read(made).tower.std[2], 0.27577711F);
}

TEST(CheckpointConfig, Refused) {
  const auto refused = [](ErrorCode code, const std::string& text, const char* path, const json& value) {
    CheckpointFolder made = folder();
    made.json["config.json"][json::json_pointer(path)] = value;
    expect_error(code, text, [&] { read(made); });
  };
  const auto unsupported = [&](const std::string& text, const char* path, const json& value) {
    refused(ErrorCode::Unsupported, text, path, value);
  };
  unsupported("got 'VipLlavaForConditionalGeneration', expected LlavaForConditionalGeneration",
              "/architectures", {"VipLlavaForConditionalGeneration"});
  unsupported("text model, got 'qwen2', expected 'llama' or 'mistral'", "/text_config/model_type", "qwen2");
  unsupported("sliding_window, got 1024, expected null or at least the context of 2048",
              "/text_config/sliding_window", 1024);
  unsupported("hidden_act, got 'gelu', expected 'silu'", "/text_config/hidden_act", "gelu");
  unsupported("projector_hidden_act, got 'relu'", "/projector_hidden_act", "relu");
  unsupported("vision_feature_select_strategy, got 'full'", "/vision_feature_select_strategy", "full");
  unsupported("tower, got 'siglip_vision_model'", "/vision_config/model_type", "siglip_vision_model");
  unsupported("hidden_act, got 'silu', expected 'quick_gelu' or 'gelu'", "/vision_config/hidden_act", "silu");
  unsupported("rotary scaling, got 'llama3'", "/text_config/rope_parameters/rope_type", "llama3");
  const auto corrupt = [&](const std::string& text, const char* path, const json& value) {
    refused(ErrorCode::Corrupt, text, path, value);
  };
  corrupt("config.json: text_config: hidden_size, got 0", "/text_config/hidden_size", 0);
  corrupt("hidden_size', got string", "/text_config/hidden_size", "many");
  corrupt("num_key_value_heads, got 7, expected 1 to 6", "/text_config/num_key_value_heads", 7);
  corrupt("heads for keys", "/text_config/num_key_value_heads", 4);
  corrupt("rms_norm_eps, got 2", "/text_config/rms_norm_eps", 2.0);
  corrupt("width 64 does not divide into 5 heads", "/vision_config/num_attention_heads", 5);
  corrupt("text_config: got number", "/text_config", 1);
  corrupt("rope_theta, got -1", "/text_config/rope_parameters/rope_theta", -1.0);
}

using Sizes = std::vector<engine::PixelSize>;

/// config.json of llava-hf/llava-v1.6-mistral-7b-hf; resolutions are height, width.
TEST(CheckpointConfig, PublishedMistral) {
  CheckpointFolder made = folder();
  made.json["config.json"] = json::parse(R"({
    "architectures": ["LlavaNextForConditionalGeneration"], "image_token_index": 32000, "model_type": "llava_next",
    "image_grid_pinpoints": [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]],
    "projector_hidden_act": "gelu", "tie_word_embeddings": false,
    "text_config": {"architectures": ["MistralForCausalLM"], "intermediate_size": 14336,
                    "max_position_embeddings": 32768, "model_type": "mistral", "num_key_value_heads": 8,
                    "rms_norm_eps": 1e-05, "rope_theta": 1000000.0, "sliding_window": null, "vocab_size": 32064},
    "vision_config": {"hidden_size": 1024, "image_size": 336, "intermediate_size": 4096,
                      "model_type": "clip_vision_model", "num_attention_heads": 16, "num_hidden_layers": 24,
                      "patch_size": 14, "projection_dim": 768, "vocab_size": 32000},
    "use_image_newline_parameter": true, "vision_feature_layer": -2,
    "vision_feature_select_strategy": "default"})");
  made.json["preprocessor_config.json"]["crop_size"] = 336;
  const CheckpointConfig config = read(made);
  EXPECT_TRUE(config.is_mistral);
  EXPECT_EQ(config.text.n_embd, 4096);
  EXPECT_EQ(config.text.n_ff, 14336);
  EXPECT_EQ(config.text.n_head_kv, 8);
  EXPECT_EQ(config.text.d_head, 128);
  EXPECT_EQ(config.text.n_ctx, 32768);
  EXPECT_EQ(config.text.rope.freq_base, 1e6F);
  EXPECT_EQ(config.tiling.resolutions, (Sizes{{672, 336}, {336, 672}, {672, 672}, {336, 1008}, {1008, 336}}));

  json& text = made.json["config.json"]["text_config"];
  text.erase("sliding_window");  // transformers' MistralConfig has one of 4096 then
  expect_error(ErrorCode::Unsupported,
               "sliding_window, got 4096, expected null or at least the context of 32768",
               [&] { read(made); });
  text["sliding_window"] = 32768;
  EXPECT_NO_THROW(read(made)) << "never shorter than the text";
  text["sliding_window"] = nullptr;
  text.erase("num_key_value_heads");
  text.erase("intermediate_size");
  text.erase("max_position_embeddings");
  EXPECT_EQ(read(made).text.n_head_kv, 8);
  EXPECT_EQ(read(made).text.n_ff, 14336);
  EXPECT_EQ(read(made).text.n_ctx, 131072);
}

TEST(CheckpointConfig, ResolutionsOfTiles) {
  CheckpointFolder made = test::llava_next_folder("config_next");
  made.tensors.clear();
  EXPECT_EQ(read(made).tiling.resolutions, (Sizes{{112, 56}, {56, 112}, {112, 112}, {56, 168}, {168, 56}}));
  EXPECT_FALSE(read(made).is_mistral);
  EXPECT_FALSE(read(folder()).tiling.cuts());
  json& pairs = made.json["config.json"]["image_grid_pinpoints"];
  pairs = {{56, 100}};
  expect_error(ErrorCode::Corrupt, "got [56,100], expected two multiples of the tower's 56 px",
               [&] { read(made); });
  pairs = {{56, 56, 56}};
  expect_error(ErrorCode::Corrupt, "got [56,56,56], expected two multiples", [&] { read(made); });
  pairs = json::array();
  expect_error(ErrorCode::Corrupt, "got [], expected a list of pairs", [&] { read(made); });
  made.json["config.json"].erase("image_grid_pinpoints");
  expect_error(ErrorCode::Corrupt, "field 'image_grid_pinpoints' is missing", [&] { read(made); });
}

/// The authors write width, height, and say how tiles are put together.
TEST(CheckpointConfig, OriginalLayoutWithTiles) {
  CheckpointFolder made = test::llava_next_folder("config_next_original", Layout::Original);
  made.tensors.clear();
  CheckpointFolder clip = test::clip_folder("config_next_clip");
  clip.tensors.clear();
  clip.json["config.json"]["vision_config"]["image_size"] = 56;
  clip.json["preprocessor_config.json"]["crop_size"] = 56;
  clip.write();
  EXPECT_EQ(read(made, clip.path).tiling.resolutions,
            (Sizes{{112, 56}, {56, 112}, {112, 112}, {56, 168}, {168, 56}}));
  made.json["config.json"]["architectures"] = {"LlavaMistralForCausalLM"};
  made.json["config.json"]["sliding_window"] = nullptr;
  EXPECT_TRUE(read(made, clip.path).is_mistral);
  made.json["config.json"]["mm_patch_merge_type"] = "flat";
  expect_error(ErrorCode::Unsupported, "mm_patch_merge_type, got 'flat', expected 'spatial_unpad'",
               [&] { read(made, clip.path); });
}

TEST(CheckpointConfig, MissingAndDamagedFiles) {
  CheckpointFolder made = folder();
  made.json.erase("preprocessor_config.json");
  expect_error(ErrorCode::NotFound, "preprocessor_config.json: no such file", [&] { read(made); });
  made = folder();
  made.json["preprocessor_config.json"]["image_std"] = {0.2, 0.0, 0.2};
  expect_error(ErrorCode::Corrupt, "image_std, got 0, expected a small number above 0", [&] { read(made); });
  made.json["preprocessor_config.json"]["image_std"] = {0.2};
  expect_error(ErrorCode::Corrupt, "image_std, got 1 numbers", [&] { read(made); });
  made = folder();
  made.json["preprocessor_config.json"]["crop_size"]["height"] = 224;
  expect_error(ErrorCode::Unsupported, "crop_size, got 224, the tower reads 84 px", [&] { read(made); });
  made.json.erase("config.json");
  expect_error(ErrorCode::NotFound, "config.json: no such file", [&] { read(made); });
  test::write_text(made.path + "/config.json", "{");
  expect_error(ErrorCode::Corrupt, "config.json", [&] { read_checkpoint_config(made.path, ""); });
}

}  // namespace
}  // namespace winnow::convert
