// Qwen2.5-VL checkpoints -> GGUF pairs, against the pair that the folder was made of.

#include <gtest/gtest.h>

#include <cmath>

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
using test::qwen2_5_vl_folder;

TEST(ConvertQwen25Vl, BothLayoutsGiveThePairTheyWereMadeOf) {
  const engine::Image picture = testing::picture(3, 5 * 28, 6 * 28);  // two sizes of windows
  engine::Session expected(testing::windowed_model(), testing::threads(1));
  const std::vector<float> projected = expected.encode(picture, engine::ImageFit::Pad, {}).projected;
  for (const Layout layout : {Layout::Old, Layout::New}) {
    const CheckpointFolder folder =
        qwen2_5_vl_folder(layout == Layout::Old ? "qwen25_old" : "qwen25_new", layout);
    folder.write("F32", 3);
    const ConvertedFiles files = convert_folder(folder);
    expect_same_tensors(files.text, testing::windowed_path("text.gguf"));
    expect_same_tensors(files.mmproj, testing::windowed_path("mmproj.gguf"));
    const GgufFile text(files.text), mmproj(files.mmproj);
    EXPECT_EQ(text.text("general.architecture"), "qwen2vl");
    EXPECT_EQ(text.text("winnow.prompt_template"), "qwen2_vl");
    EXPECT_EQ(mmproj.text("clip.projector_type"), "qwen2.5vl_merger");
    EXPECT_EQ(mmproj.integer("clip.vision.n_wa_pattern", 0, 100), 2);
    EXPECT_EQ(mmproj.integer("clip.vision.window_size", 0, 1000), 112);
    EXPECT_EQ(mmproj.integer("clip.vision.feed_forward_length", 0, 1000), 88);
    EXPECT_TRUE(mmproj.boolean("clip.use_silu"));
    EXPECT_FALSE(mmproj.has("clip.use_gelu"));
    const auto model = testing::load_model({files.text, files.mmproj});
    EXPECT_EQ(model->clip().own_size.max, 50176);
    engine::Session session(model, testing::threads(1));
    EXPECT_EQ(session.encode(picture, engine::ImageFit::Pad, {}).projected, projected);
  }
}

TEST(ConvertQwen25Vl, TiedHeadAndStoredTypes) {
  CheckpointFolder folder = qwen2_5_vl_folder("qwen25_tied");
  folder.tensors.erase("lm_head.weight");
  folder.json["config.json"]["tie_word_embeddings"] = true;
  folder.write("BF16");
  const ConvertedFiles files = convert_folder(folder, GGML_TYPE_Q8_0);
  const auto model = testing::load_model({files.text, files.mmproj}, false);
  EXPECT_TRUE(model->llama().tied);
  engine::Session session(model, testing::threads(1));
  const auto image = session.encode(testing::qwen_picture(), engine::ImageFit::Pad, {});
  const auto prefill = session.prefill(testing::qwen_prompt(), {&image}, {}, 0);
  for (const float logit : prefill.logits) ASSERT_TRUE(std::isfinite(logit));
}

/// config.json of Qwen/Qwen2.5-VL-7B-Instruct, and the shorter vision_config of Qwen2.5-VL-72B-Instruct-AWQ.
TEST(ConvertQwen25Vl, PublishedConfigurations) {
  CheckpointFolder folder = qwen2_5_vl_folder("qwen25_published");
  folder.tensors.clear();
  json& file = folder.json["config.json"];
  file = json::parse(R"({
    "architectures": ["Qwen2_5_VLForConditionalGeneration"], "attention_dropout": 0.0, "bos_token_id": 151643,
    "eos_token_id": 151645, "hidden_act": "silu", "hidden_size": 3584, "intermediate_size": 18944,
    "max_position_embeddings": 128000, "max_window_layers": 28, "model_type": "qwen2_5_vl",
    "num_attention_heads": 28, "num_hidden_layers": 28, "num_key_value_heads": 4, "rms_norm_eps": 1e-06,
    "rope_theta": 1000000.0, "sliding_window": 32768, "tie_word_embeddings": false, "use_sliding_window": false,
    "vision_config": {"depth": 32, "hidden_act": "silu", "hidden_size": 1280, "intermediate_size": 3420,
                      "num_heads": 16, "in_chans": 3, "out_hidden_size": 3584, "patch_size": 14,
                      "spatial_merge_size": 2, "spatial_patch_size": 14, "window_size": 112,
                      "fullatt_block_indexes": [7, 15, 23, 31], "tokens_per_second": 2,
                      "temporal_patch_size": 2},
    "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]}, "vocab_size": 152064})");
  json& pixels = folder.json["preprocessor_config.json"];
  pixels["min_pixels"] = 3136;
  pixels["max_pixels"] = 12845056;
  const auto read = [&] {
    folder.write();
    const CheckpointConfig config = read_checkpoint_config(folder.path, "");
    EXPECT_TRUE(config.is_qwen2_vl());
    EXPECT_EQ(config.text.arch, "qwen2vl");
    EXPECT_EQ(config.text.rope.sections, (std::array<int32_t, 4>{16, 24, 24, 0}));
    EXPECT_TRUE(config.tower.rms_norm && config.tower.gated);
    EXPECT_EQ(config.tower.n_embd, 1280);
    EXPECT_EQ(config.tower.n_head, 16);
    EXPECT_EQ(config.tower.n_layer, 32);
    EXPECT_EQ(config.tower.window_side, 4);
    EXPECT_EQ(config.tower.full_every, 8);
    EXPECT_EQ(config.tower.own_size.max, 12845056);
    return config.tower.n_ff;
  };
  EXPECT_EQ(read(), 3420);
  file["hidden_size"] = 8192;
  file["num_attention_heads"] = 64;
  file["num_key_value_heads"] = 8;
  file["rope_scaling"] = {{"mrope_section", {16, 24, 24}}, {"rope_type", "default"}, {"type", "default"}};
  file["vision_config"] = {{"hidden_size", 1280},       {"in_chans", 3},
                           {"intermediate_size", 3456}, {"model_type", "qwen2_5_vl"},
                           {"out_hidden_size", 8192},   {"spatial_patch_size", 14}};
  EXPECT_EQ(read(), 3456);
}

void expect_refused(ErrorCode code, const char* message, const test::FolderChange& change) {
  test::expect_refused(qwen2_5_vl_folder("qwen25_refused"), code, message, change);
}

TEST(ConvertQwen25Vl, Configurations) {
  const auto vision = [](const char* key, const json& value) {
    return
        [key, value](CheckpointFolder& folder) { folder.json["config.json"]["vision_config"][key] = value; };
  };
  const json damaged[] = {{1, 2},    {0, 3},  {1},      json::array(),  {3, 1},
                          {1, 3, 5}, {-1, 3}, {0.5, 2}, {7, 15, 23, 31}};
  for (const json& blocks : damaged) {
    expect_refused(ErrorCode::Unsupported, "expected one block of every so many, to the end",
                   vision("fullatt_block_indexes", blocks));
  }
  expect_refused(ErrorCode::Unsupported, "window_size, got 100, expected a multiple of 28",
                 vision("window_size", 100));
  expect_refused(ErrorCode::Corrupt, "window_size, got 0", vision("window_size", 0));
  expect_refused(ErrorCode::Unsupported, "out_hidden_size, got 95, expected 96",
                 vision("out_hidden_size", 95));
  expect_refused(ErrorCode::Unsupported, "hidden_act, got 'gelu', expected 'silu'",
                 vision("hidden_act", "gelu"));
  expect_refused(ErrorCode::Unsupported, "temporal_patch_size, got 3, expected 2",
                 vision("temporal_patch_size", 3));
  expect_refused(ErrorCode::Corrupt, "expected heads of a multiple of 4 values", vision("num_heads", 32));
  expect_refused(ErrorCode::Corrupt, "got shape [88, 64], expected [80, 64]",
                 vision("intermediate_size", 80));
}

TEST(ConvertQwen25Vl, Tensors) {
  expect_refused(
      ErrorCode::NotFound, "visual.blocks.3.mlp.gate_proj.bias' is missing",
      [](CheckpointFolder& folder) { folder.tensors.erase("visual.blocks.3.mlp.gate_proj.bias"); });
  expect_refused(ErrorCode::NotFound, "visual.merger.ln_q.weight' is missing",
                 [](CheckpointFolder& folder) { folder.tensors.erase("visual.merger.ln_q.weight"); });
  expect_refused(ErrorCode::Unsupported, "has no place in a model of this config.json",
                 [](CheckpointFolder& folder) {
                   folder.tensors["visual.blocks.0.norm1.bias"] = {{64}, std::vector<float>(64), false};
                 });
  // A Qwen2-VL's tower under this config.json.
  expect_refused(ErrorCode::NotFound, "visual.blocks.0.mlp.gate_proj.weight' is missing",
                 [](CheckpointFolder& folder) {
                   for (const char* part : {"gate_proj", "up_proj", "down_proj"}) {
                     for (const char* kind : {".weight", ".bias"}) {
                       folder.tensors.erase(std::string("visual.blocks.0.mlp.") + part + kind);
                     }
                   }
                 });
}

}  // namespace
}  // namespace winnow::convert
