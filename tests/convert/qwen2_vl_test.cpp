// Qwen2-VL checkpoints -> GGUF pairs, against the pair in llama.cpp's conventions that the fixture is.

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/convert/converting.h"
#include "tests/support/engine_models.h"
#include "tests/support/expect_error.h"
#include "winnow/convert/bpe_vocabulary.h"
#include "winnow/convert/checkpoint_config.h"
#include "winnow/engine/gguf.h"
#include "winnow/record/sha256.h"

namespace winnow::convert {
namespace {

using engine::GgufFile;
using nlohmann::json;
using test::CheckpointFolder;
using test::convert_folder;
using test::expect_error;
using test::expect_same_tensors;
using test::Layout;
using test::qwen2_vl_folder;

/// The tests' folder has the tensors of the checkpoint that transformers wrote.
TEST(ConvertQwen2Vl, FixtureIsTheCheckpointOfTheReferenceResults) {
  std::string bytes;
  for (const auto& [name, tensor] : qwen2_vl_folder("qwen_sha").tensors) {
    bytes += name;
    bytes.append(reinterpret_cast<const char*>(tensor.values.data()), tensor.values.size() * sizeof(float));
  }
  EXPECT_EQ(record::sha256_of(bytes), "c4e2ea154886f7808fc584b3beec0d850fb0fe95f8107f7e8ed34b46c7a7959b");
}

TEST(ConvertQwen2Vl, BothLayoutsGiveTheReferencePairAndItsResults) {
  for (const Layout layout : {Layout::Old, Layout::New}) {
    const CheckpointFolder folder = qwen2_vl_folder(layout == Layout::Old ? "qwen_old" : "qwen_new", layout);
    folder.write("F32", 3);
    const ConvertedFiles files = convert_folder(folder);
    expect_same_tensors(files.text, testing::qwen_path("text.gguf"));
    expect_same_tensors(files.mmproj, testing::qwen_path("mmproj.gguf"));
    const GgufFile text(files.text), fixture(testing::qwen_path("text.gguf"));
    EXPECT_EQ(text.numbers("qwen2vl.rope.dimension_sections"),
              fixture.numbers("qwen2vl.rope.dimension_sections"));
    EXPECT_EQ(text.texts("tokenizer.ggml.merges"), fixture.texts("tokenizer.ggml.merges"));
    // transformers' tokenizer class adds a token of its own that this tokenizer.json does not have; those of
    // published models do.
    std::vector<std::string> tokens = fixture.texts("tokenizer.ggml.tokens");
    std::vector<double> types = fixture.numbers("tokenizer.ggml.token_type");
    EXPECT_EQ(tokens[502], "<|endoftext|>");
    tokens[502] = "[PAD502]";
    types[502] = 5;
    EXPECT_EQ(text.texts("tokenizer.ggml.tokens"), tokens);
    EXPECT_EQ(text.numbers("tokenizer.ggml.token_type"), types);
    for (const char* key : {"bos", "eos", "padding"}) {
      const std::string name = std::string("tokenizer.ggml.") + key + "_token_id";
      EXPECT_EQ(text.integer(name, 0, 511), fixture.integer(name, 0, 511)) << key;
    }
    EXPECT_EQ(text.text("tokenizer.ggml.pre"), "qwen2");
    EXPECT_EQ(text.text("winnow.prompt_template"), "qwen2_vl");
    const auto model = testing::load_model({files.text, files.mmproj});
    EXPECT_EQ(model->clip().own_size.max, 50176);
    EXPECT_EQ(model->clip().own_size.min, 3136);
    engine::Session session(model, testing::threads(1));
    const auto image = session.encode(testing::qwen_picture(), engine::ImageFit::Pad, {});
    const auto prefill = session.prefill(testing::qwen_prompt(), {&image}, {}, 0, true);
    EXPECT_LE(testing::worst_error(prefill.logits, testing::qwen_results().at("logits").f32), 2e-5);
  }
}

/// The head of the 2B model is its token embedding.
TEST(ConvertQwen2Vl, TiedHeadAndStoredTypes) {
  CheckpointFolder folder = qwen2_vl_folder("qwen_tied");
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

/// config.json and preprocessor_config.json of Qwen/Qwen2-VL-2B-Instruct.
TEST(ConvertQwen2Vl, PublishedConfiguration) {
  CheckpointFolder folder = qwen2_vl_folder("qwen_published");
  folder.tensors.clear();
  folder.json["config.json"] = json::parse(R"({
    "architectures": ["Qwen2VLForConditionalGeneration"], "attention_dropout": 0.0, "bos_token_id": 151643,
    "eos_token_id": 151645, "hidden_act": "silu", "hidden_size": 1536, "intermediate_size": 8960,
    "max_position_embeddings": 32768, "max_window_layers": 28, "model_type": "qwen2_vl",
    "num_attention_heads": 12, "num_hidden_layers": 28, "num_key_value_heads": 2, "rms_norm_eps": 1e-06,
    "rope_theta": 1000000.0, "sliding_window": 32768, "tie_word_embeddings": true, "use_sliding_window": false,
    "vision_config": {"depth": 32, "embed_dim": 1280, "mlp_ratio": 4, "num_heads": 16, "in_chans": 3,
                      "hidden_size": 1536, "patch_size": 14, "spatial_merge_size": 2,
                      "spatial_patch_size": 14, "temporal_patch_size": 2},
    "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]}, "vocab_size": 151936})");
  json& pixels = folder.json["preprocessor_config.json"];
  pixels["min_pixels"] = 3136;
  pixels["max_pixels"] = 12845056;
  folder.write();
  const CheckpointConfig config = read_checkpoint_config(folder.path, "");
  EXPECT_TRUE(config.is_qwen2_vl());
  EXPECT_TRUE(config.may_be_tied);
  EXPECT_EQ(config.text.arch, "qwen2vl");
  EXPECT_EQ(config.text.rope.sections, (std::array<int32_t, 4>{16, 24, 24, 0}));
  EXPECT_EQ(config.text.rope.freq_base, 1e6F);
  EXPECT_EQ(config.tower.n_ff, 5120);
  EXPECT_EQ(config.tower.n_layer, 32);
  EXPECT_EQ(config.tower.own_size.max, 12845056);
  EXPECT_EQ(config.tower.grid().size(), 1600) << "560 px";
}

void expect_refused(ErrorCode code, const char* message, const test::FolderChange& change) {
  test::expect_refused(qwen2_vl_folder("qwen_refused"), code, message, change);
}

TEST(ConvertQwen2Vl, Configurations) {
  const auto config = [](const char* key, const json& value) {
    return test::set_json("config.json", key, value);
  };
  expect_refused(ErrorCode::Corrupt, "three counts that make 8 together",
                 config("/rope_scaling/mrope_section", {2, 3, 2}));
  expect_refused(ErrorCode::Corrupt, "three counts that make 8 together",
                 config("/rope_scaling/mrope_section", {-2, 5, 5}));
  expect_refused(ErrorCode::Unsupported, "got 'yarn', expected 'mrope'",
                 config("/rope_scaling/type", "yarn"));
  expect_refused(ErrorCode::Unsupported, "temporal_patch_size, got 3, expected 2",
                 config("/vision_config/temporal_patch_size", 3));
  expect_refused(ErrorCode::Unsupported, "hidden_size, got 95, expected 96",
                 config("/vision_config/hidden_size", 95));
  expect_refused(ErrorCode::Corrupt, "expected heads of a multiple of 4 values",
                 config("/vision_config/num_heads", 32));
  expect_refused(ErrorCode::Unsupported, "merge_size, got 4, expected 2",
                 [](CheckpointFolder& folder) { folder.json["preprocessor_config.json"]["merge_size"] = 4; });
  expect_refused(ErrorCode::Corrupt, "got 50177 to 50176", [](CheckpointFolder& folder) {
    folder.json["preprocessor_config.json"]["min_pixels"] = 50177;
  });
}

TEST(ConvertQwen2Vl, Tensors) {
  expect_refused(ErrorCode::Corrupt, "got shape [191, 64], expected [192, 64]", [](CheckpointFolder& folder) {
    test::FolderTensor& qkv = folder.tensors["visual.blocks.1.attn.qkv.weight"];
    qkv.shape[0] = 191;
    qkv.values.resize(191 * 64);
  });
  expect_refused(ErrorCode::Corrupt, "expected [64, 3, 2, 14, 14]", [](CheckpointFolder& folder) {
    test::FolderTensor& kernel = folder.tensors["visual.patch_embed.proj.weight"];
    kernel.shape[2] = 1;
    kernel.values.resize(kernel.values.size() / 2);
  });
  expect_refused(ErrorCode::NotFound, "visual.merger.ln_q.bias' is missing",
                 [](CheckpointFolder& folder) { folder.tensors.erase("visual.merger.ln_q.bias"); });
  expect_refused(ErrorCode::Unsupported, "has no place in a model of this config.json",
                 [](CheckpointFolder& folder) {
                   folder.tensors["visual.other"] = {{1}, {0.0F}, false};
                 });
}

TEST(ConvertQwen2Vl, TowersOfOthersAreRefused) {
  test::expect_other_towers_refused(qwen2_vl_folder("qwen_towers"));
}

TEST(ConvertQwen2Vl, Tokenizers) {
  const auto tokenizer = [](const char* key, const json& value) {
    return test::set_json("tokenizer.json", key, value);
  };
  expect_refused(ErrorCode::NotFound, "tokenizer.json: no such file",
                 [](CheckpointFolder& folder) { folder.json.erase("tokenizer.json"); });
  expect_refused(ErrorCode::Unsupported, "got 'Unigram', expected 'BPE'",
                 tokenizer("/model/type", "Unigram"));
  expect_refused(ErrorCode::Unsupported, "expected Qwen2's expression", tokenizer("/pre_tokenizer", nullptr));
  expect_refused(ErrorCode::Corrupt, "the model's embedding has 512 rows", tokenizer("/model/vocab/zz", 512));
  expect_refused(ErrorCode::Corrupt, "is both", tokenizer("/model/vocab/zz", 5));
  expect_refused(ErrorCode::Corrupt, "a merge, got 7", tokenizer("/model/merges/0", 7));
  expect_refused(ErrorCode::Corrupt, "added_tokens, expected a list", tokenizer("/added_tokens", "x"));
}

/// Pairs and texts, tokens that are not special, rows without a token.
TEST(ConvertQwen2Vl, FormsOfTokenizers) {
  CheckpointFolder folder = qwen2_vl_folder("qwen_forms");
  json& file = folder.json["tokenizer.json"];
  for (json& merge : file["model"]["merges"])
    merge = merge[0].get<std::string>() + " " + merge[1].get<std::string>();
  file["added_tokens"].push_back({{"id", 513}, {"content", "<tool>"}, {"special", false}});
  folder.tensors.clear();
  folder.write();
  const engine::BpeVocab vocab = read_bpe_vocabulary(folder.path, 515);
  const GgufFile fixture(testing::qwen_path("text.gguf"));
  EXPECT_EQ(vocab.merges, fixture.texts("tokenizer.ggml.merges"));
  EXPECT_EQ(vocab.tokens[512], "[PAD512]");
  EXPECT_EQ(vocab.types[512], engine::TokenType::Unused);
  EXPECT_EQ(vocab.tokens[513], "<tool>");
  EXPECT_EQ(vocab.types[513], engine::TokenType::UserDefined);
}

}  // namespace
}  // namespace winnow::convert
