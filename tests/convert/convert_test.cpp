// Whole checkpoints -> GGUF pairs, against the pair that the checkpoint's fixture was made from.

#include "winnow/convert/convert.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>

#include "tests/convert/checkpoint_folder.h"
#include "tests/support/engine_models.h"
#include "tests/support/expect_error.h"
#include "tests/support/libllama_logits.h"
#include "winnow/engine/gguf.h"
#include "winnow/engine/image.h"
#include "winnow/engine/weight_types.h"
#include "winnow/record/sha256.h"

namespace winnow::convert {
namespace {

namespace fs = std::filesystem;
using engine::GgufFile;
using engine::GgufTensor;
using test::CheckpointFolder;
using test::expect_error;
using test::expect_same_tensors;
using test::Layout;
using test::llava_folder;

std::string out_folder(const std::string& name) { return testing::scratch_folder() + "/out_" + name; }

ConvertedFiles convert(const CheckpointFolder& folder, ggml_type type = GGML_TYPE_F32,
                       const std::string& tower = "", const std::string& text_tower = "") {
  return convert_checkpoint(
      {folder.path, tower, text_tower, type, out_folder(fs::path(folder.path).filename())});
}

void expect_fixtures_pair(const ConvertedFiles& files) {
  expect_same_tensors(files.text, testing::oracle_path("text.gguf"));
  expect_same_tensors(files.mmproj, testing::oracle_path("mmproj-all.gguf"));
}

std::shared_ptr<const engine::Model> load(const ConvertedFiles& files, bool f32 = true) {
  return testing::load_model({files.text, files.mmproj}, f32);
}

std::vector<float> oracle_logits(const ConvertedFiles& files, bool f32 = true) {
  engine::Session session(load(files, f32), testing::threads(1));
  const auto image =
      session.encode(engine::load_image(testing::oracle_path("exact.png")), engine::ImageFit::Crop, {});
  return session.prefill(testing::oracle_prompt(), {&image}, {}, 0, true).logits;
}

/// The tests' folder has the tensors of the checkpoint that transformers wrote.
TEST(Convert, FixtureIsTheCheckpointOfTheReferenceResults) {
  std::string bytes;
  for (const auto& [name, tensor] : llava_folder("sha").tensors) {
    if (name.find("post_layernorm") != std::string::npos) continue;
    bytes += name;
    bytes.append(reinterpret_cast<const char*>(tensor.values.data()), tensor.values.size() * sizeof(float));
  }
  EXPECT_EQ(record::sha256_of(bytes), "b0fa163277d0f8cd4c00225cb95468792367ba028c16bbc85b5567cfe72c304a");
}

TEST(Convert, OldLayoutGivesTheReferencePairAndItsResults) {
  const CheckpointFolder folder = llava_folder("old");
  folder.write();
  const ConvertedFiles files = convert(folder);
  EXPECT_EQ(fs::path(files.text).filename(), "old-text-f32.gguf");
  EXPECT_EQ(fs::path(files.mmproj).filename(), "old-mmproj-f32.gguf");
  expect_fixtures_pair(files);
  const GgufFile text(files.text);
  EXPECT_EQ(text.text("winnow.prompt_template"), "vicuna_v1");
  const auto model = load(files);
  EXPECT_EQ(engine::choose_template("", text, model->tokenizer()).name, "vicuna_v1");
  EXPECT_EQ(model->clip().n_layer, 3);
  EXPECT_TRUE(model->clip().has_next_block);
  EXPECT_LE(testing::worst_error(oracle_logits(files), testing::oracle_results().at("logits").f32), 2e-5);
}

TEST(Convert, NewLayoutInSeveralFiles) {
  const CheckpointFolder folder = llava_folder("new", Layout::New);
  folder.write("F32", 3);
  expect_fixtures_pair(convert(folder));
}

TEST(Convert, OriginalLayoutWithItsTower) {
  const CheckpointFolder folder = llava_folder("original", Layout::Original);
  const CheckpointFolder clip = test::clip_folder("original_clip");
  folder.write();
  clip.write();
  expect_fixtures_pair(convert(folder, GGML_TYPE_F32, clip.path));
}

/// Trained towers are inside the checkpoint, with the folder still saying what they are.
TEST(Convert, OriginalLayoutThatHoldsItsTower) {
  CheckpointFolder folder = llava_folder("tuned", Layout::Original);
  CheckpointFolder clip = test::clip_folder("tuned_clip");
  for (auto& [name, tensor] : clip.tensors) {
    folder.tensors["model.vision_tower.vision_tower." + name] = tensor;
    std::fill(tensor.values.begin(), tensor.values.end(), 0.0F);
  }
  folder.write();
  clip.write();
  expect_fixtures_pair(convert(folder, GGML_TYPE_F32, clip.path));
}

void expect_next_pair(const ConvertedFiles& files) {
  expect_same_tensors(files.text, testing::next_path("text.gguf"));
  expect_same_tensors(files.mmproj, testing::next_path("mmproj.gguf"));
  const GgufFile mmproj(files.mmproj);
  EXPECT_EQ(mmproj.text("clip.vision.mm_patch_merge_type"), "spatial_unpad");
  EXPECT_EQ(mmproj.numbers("clip.vision.image_grid_pinpoints"),
            (std::vector<double>{112, 56, 56, 112, 112, 112, 56, 168, 168, 56}))
      << "width, height";
}

/// As above, of the checkpoint behind tests/data/llava_next.
TEST(ConvertNext, FixtureIsTheCheckpointOfTheReferenceResults) {
  std::string bytes;
  for (const auto& [name, tensor] : test::llava_next_folder("next_sha").tensors) {
    if (name.find("post_layernorm") != std::string::npos) continue;
    bytes += name;
    bytes.append(reinterpret_cast<const char*>(tensor.values.data()), tensor.values.size() * sizeof(float));
  }
  EXPECT_EQ(record::sha256_of(bytes), "80270ace7602cc9b3d7512996e5b647685cff05ab93d798c4eed97b9c6096e4d");
}

TEST(ConvertNext, BothLayoutsOfTransformers) {
  for (const Layout layout : {Layout::Old, Layout::New}) {
    const CheckpointFolder folder =
        test::llava_next_folder(layout == Layout::Old ? "next_old" : "next_new", layout);
    folder.write("F32", 2);
    const ConvertedFiles files = convert(folder);
    expect_next_pair(files);
    EXPECT_EQ(GgufFile(files.text).text("winnow.prompt_template"), "vicuna_v1");
  }
}

TEST(ConvertNext, OriginalLayoutWithItsTower) {
  const CheckpointFolder folder = test::llava_next_folder("next_original", Layout::Original);
  const CheckpointFolder whole = test::llava_next_folder("next_whole");
  CheckpointFolder clip = test::clip_folder("next_clip");
  clip.tensors.clear();
  const std::string start = "vision_tower.";
  for (const auto& [name, tensor] : whole.tensors) {
    if (name.starts_with(start)) clip.tensors[name.substr(start.size())] = tensor;
  }
  clip.json["config.json"]["vision_config"] = whole.json.at("config.json")["vision_config"];
  clip.json["preprocessor_config.json"] = whole.json.at("preprocessor_config.json");
  folder.write();
  clip.write();
  expect_next_pair(convert(folder, GGML_TYPE_F32, clip.path));
}

/// A Llama of other sizes with a prompt of its own.
TEST(ConvertNext, MistralTextModel) {
  CheckpointFolder folder = test::llava_next_folder("next_mistral");
  nlohmann::json& text = folder.json["config.json"]["text_config"];
  text["model_type"] = "mistral";
  text["sliding_window"] = nullptr;
  text["rope_parameters"]["rope_theta"] = 1e6;
  folder.write();
  const ConvertedFiles files = convert(folder);
  EXPECT_EQ(GgufFile(files.text).text("winnow.prompt_template"), "mistral_instruct");
  const auto model = load(files);
  EXPECT_EQ(model->llama().rope.freq_base, 1e6F);
  EXPECT_EQ(engine::choose_template("", model->text_file(), model->tokenizer()).name, "mistral_instruct");
  folder.json["chat_template.json"] = {{"chat_template", "{{ '[INST] ' }}{{ ' [/INST]' }}"}};
  folder.write();
  EXPECT_EQ(GgufFile(convert(folder).text).text("winnow.prompt_template"), "mistral_instruct");
}

TEST(ConvertNext, NewlineIsNeededWithTilesAndRefusedWithout) {
  CheckpointFolder folder = test::llava_next_folder("next_newline");
  folder.tensors.erase("image_newline");
  folder.write();
  expect_error(ErrorCode::NotFound, "image_newline' is missing, expected shape [96]",
               [&] { convert(folder); });
  CheckpointFolder plain = llava_folder("plain_newline");
  plain.tensors["image_newline"] = {{96}, std::vector<float>(96, 1.0F), false};
  plain.write();
  expect_error(ErrorCode::Unsupported, "image_newline", [&] { convert(plain); });
}

/// 64-bit numbers hold the same weights; halves hold what ggml rounds them to.
TEST(Convert, EveryStoredType) {
  for (const std::string type : {"F64", "F16", "BF16"}) {
    const CheckpointFolder folder = llava_folder("stored_" + type);
    folder.write(type);
    const ConvertedFiles files = convert(folder);
    if (type == "F64") {
      expect_fixtures_pair(files);
      continue;
    }
    const GgufFile actual(files.text);
    const GgufFile expected(testing::oracle_path("text.gguf"));
    for (const GgufTensor& tensor : expected.tensors()) {
      const auto* a = reinterpret_cast<const float*>(actual.bytes(*actual.find(tensor.name)).data());
      const auto* b = reinterpret_cast<const float*>(expected.bytes(tensor).data());
      for (int64_t i = 0; i < tensor.n_elements(); ++i) {
        const float rounded = type == "F16" ? ggml_fp16_to_fp32(ggml_fp32_to_fp16(b[i]))
                                            : ggml_bf16_to_fp32(ggml_fp32_to_bf16(b[i]));
        ASSERT_EQ(a[i], rounded) << tensor.name << " " << i;
      }
    }
  }
}

/// Matrices in the type, vectors and positions in f32, the mmproj in f16; each as ggml quantises the fixture.
TEST(Convert, EveryTypeThatFits) {
  const CheckpointFolder folder = llava_folder("types");
  folder.write();
  const GgufFile reference(testing::oracle_path("text.gguf"));
  for (const char* name : {"f16", "bf16", "q8_0", "q4_0", "q4_1", "q5_0", "q5_1"}) {
    const ggml_type type = engine::parse_weight_type(name);
    const ConvertedFiles files = convert(folder, type);
    const GgufFile text(files.text);
    for (const GgufTensor& tensor : text.tensors()) {
      const bool matrix = tensor.ne[1] > 1;
      const ggml_type head = engine::output_weight_type(type, 96);
      const ggml_type expected = !matrix ? GGML_TYPE_F32 : tensor.name == "output.weight" ? head : type;
      EXPECT_EQ(tensor.type, expected) << name << " " << tensor.name;
      std::vector<uint8_t> stored(tensor.bytes);
      const GgufTensor& source = *reference.find(tensor.name);
      ggml_quantize_chunk(tensor.type, reinterpret_cast<const float*>(reference.bytes(source).data()),
                          stored.data(), 0, tensor.n_elements() / tensor.ne[0], tensor.ne[0], nullptr);
      const auto bytes = text.bytes(tensor);
      EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), stored.begin(), stored.end()))
          << name << tensor.name;
    }
    const GgufFile mmproj(files.mmproj);
    EXPECT_EQ(mmproj.find("v.patch_embd.weight")->type, GGML_TYPE_F16);
    EXPECT_EQ(mmproj.find("mm.0.weight")->type, GGML_TYPE_F16);
    EXPECT_EQ(mmproj.find("v.position_embd.weight")->type, GGML_TYPE_F32);
    EXPECT_EQ(mmproj.find("v.blk.0.ln1.weight")->type, GGML_TYPE_F32);
    for (const float logit : oracle_logits(files, false)) ASSERT_TRUE(std::isfinite(logit)) << name;
    fs::remove_all(fs::path(files.text).parent_path());
  }
  expect_error(ErrorCode::InvalidArgument, "has rows of 96 values, expected a multiple of 256 for type q4_K",
               [&] { convert(folder, GGML_TYPE_Q4_K); });
  EXPECT_FALSE(fs::exists(out_folder("types"))) << "nothing was begun";
}

TEST(Convert, LibllamaReadsTheTextModel) {
  const CheckpointFolder folder = llava_folder("libllama");
  folder.write();
  const auto& embeds = testing::oracle_results().at("llm.embeds").f32;
  const auto actual = testing::libllama_logits(convert(folder).text, embeds, GGML_TYPE_F32, false);
  ASSERT_FALSE(actual.empty());
  EXPECT_LE(testing::worst_error(actual, testing::oracle_results().at("logits").f32), 1e-4);
}

/// With fewer heads for keys, each head's rows are reordered by themselves.
TEST(Convert, GroupedQueries) {
  CheckpointFolder folder = llava_folder("grouped");
  folder.json["config.json"]["text_config"]["num_key_value_heads"] = 2;
  for (auto& [name, tensor] : folder.tensors) {
    if (!name.ends_with("k_proj.weight") && !name.ends_with("v_proj.weight")) continue;
    if (name.find("vision") != std::string::npos) continue;
    tensor.shape[0] = 32;
    tensor.values.resize(32 * 96);
  }
  folder.write();
  const ConvertedFiles files = convert(folder);
  const GgufFile actual(files.text);
  const GgufFile expected(testing::oracle_path("text.gguf"));
  for (const char* name : {"blk.0.attn_k.weight", "blk.4.attn_v.weight"}) {
    const auto a = actual.bytes(*actual.find(name));
    const auto b = expected.bytes(*expected.find(name));
    ASSERT_EQ(a.size(), 32U * 96 * 4);
    EXPECT_TRUE(std::equal(a.begin(), a.end(), b.begin())) << name;
  }
  EXPECT_EQ(load(files)->llama().n_head_kv, 2);
}

TEST(Convert, QueryAndKeyBiasesAreReorderedToo) {
  CheckpointFolder folder = llava_folder("biased");
  std::vector<float> counted(96);
  for (std::size_t i = 0; i < counted.size(); ++i) counted[i] = static_cast<float>(i);
  folder.tensors["language_model.model.layers.1.self_attn.q_proj.bias"] = {{96}, counted, false};
  folder.write();
  const ConvertedFiles files = convert(folder);
  const GgufFile text(files.text);
  const GgufTensor* bias = text.find("blk.1.attn_q.bias");
  ASSERT_NE(bias, nullptr);
  EXPECT_EQ(bias->ne[0], 96);
  const auto* values = reinterpret_cast<const float*>(text.bytes(*bias).data());
  EXPECT_EQ(std::vector<float>(values + 16, values + 22), (std::vector<float>{16, 24, 17, 25, 18, 26}));
  EXPECT_NO_THROW(load(files));
}

TEST(Convert, TiedHead) {
  CheckpointFolder folder = llava_folder("tied", Layout::New);
  folder.tensors.erase("lm_head.weight");
  folder.write();
  expect_error(ErrorCode::NotFound, "tensor 'lm_head.weight' is missing, expected shape [512, 96]",
               [&] { convert(folder); });
  folder.json["config.json"]["text_config"]["tie_word_embeddings"] = true;
  folder.write();
  const ConvertedFiles files = convert(folder, GGML_TYPE_Q4_0);
  EXPECT_EQ(GgufFile(files.text).find("token_embd.weight")->type, GGML_TYPE_Q8_0);
  EXPECT_TRUE(load(files, false)->llama().tied);
}

TEST(Convert, TextTowerOfClip) {
  engine::SynthShape shape = engine::synth_shape("tiny");
  shape.text_tower = true;
  const std::string source = testing::synth_files(shape).mmproj;
  const CheckpointFolder folder = llava_folder("text_tower");
  const CheckpointFolder clip = test::clip_folder("text_tower_clip", source);
  folder.write();
  clip.write();
  const ConvertedFiles files = convert(folder, GGML_TYPE_F32, "", clip.path);
  const GgufFile actual(files.mmproj);
  const GgufFile expected(source);
  int n_compared = 0;
  for (const GgufTensor& tensor : expected.tensors()) {
    const bool joint = tensor.name.starts_with("t.") || tensor.name.starts_with("v.post_ln") ||
                       tensor.name.find("_projection") != std::string::npos;
    if (!joint) continue;
    const GgufTensor* found = actual.find(tensor.name);
    ASSERT_NE(found, nullptr) << tensor.name;
    const auto a = actual.bytes(*found);
    const auto b = expected.bytes(tensor);
    EXPECT_TRUE(std::equal(a.begin(), a.end(), b.begin(), b.end())) << tensor.name;
    ++n_compared;
  }
  EXPECT_EQ(n_compared, 3 * 16 + 8);
  EXPECT_EQ(actual.texts("tokenizer.ggml.tokens"), expected.texts("tokenizer.ggml.tokens"));
  EXPECT_EQ(actual.integer("clip.text.context_length", 1, 100), 16);
  const auto model = load(files);
  ASSERT_NE(model->clip_joint(), nullptr);
  EXPECT_EQ(model->clip_joint()->n_joint(), 32);
}

TEST(Convert, TextTowersThatDoNotFit) {
  engine::SynthShape shape = engine::synth_shape("tiny");
  shape.text_tower = true;
  const CheckpointFolder folder = llava_folder("no_text_tower");
  folder.write();
  const auto refused = [&](ErrorCode code, const std::string& text,
                           const std::function<void(CheckpointFolder&)>& change) {
    CheckpointFolder clip = test::clip_folder("no_text_tower_clip", testing::synth_files(shape).mmproj);
    change(clip);
    clip.write();
    expect_error(code, text, [&] { convert(folder, GGML_TYPE_F32, "", clip.path); });
    EXPECT_FALSE(fs::exists(out_folder("no_text_tower")));
  };
  refused(ErrorCode::NotFound, "vocab.json: no such file", [](auto& f) { f.json.erase("vocab.json"); });
  refused(ErrorCode::Unsupported, "model, got 'siglip', expected 'clip'",
          [](auto& f) { f.json["config.json"]["model_type"] = "siglip"; });
  refused(ErrorCode::Unsupported, "another activation than the tower's",
          [](auto& f) { f.json["config.json"]["text_config"]["hidden_act"] = "gelu"; });
  refused(ErrorCode::NotFound, "tensor 'text_projection.weight' is missing",
          [](auto& f) { f.tensors.erase("text_projection.weight"); });
  refused(ErrorCode::Corrupt, "token_embedding.weight': got shape", [](auto& f) {
    const std::size_t n = f.json["vocab.json"].size();
    f.json["vocab.json"]["one more"] = n;
  });
}

TEST(Convert, ChatTemplatesOfOthersStay) {
  CheckpointFolder folder = llava_folder("chat");
  folder.json["tokenizer_config.json"]["chat_template"] = "{{ 'ASSISTANT:' }}";
  folder.write();
  const GgufFile vicuna(convert(folder).text);
  EXPECT_EQ(vicuna.text("tokenizer.chat_template"), "{{ 'ASSISTANT:' }}");
  EXPECT_EQ(vicuna.text("winnow.prompt_template"), "vicuna_v1");
  folder.json["tokenizer_config.json"]["chat_template"] = "<|im_start|>";
  folder.write();
  const GgufFile other(convert(folder).text);
  EXPECT_EQ(other.text("tokenizer.chat_template"), "<|im_start|>");
  EXPECT_FALSE(other.has("winnow.prompt_template"));
}

/// Each change makes the conversion fail, and the output folder stays empty.
class Refused : public ::testing::Test {
 protected:
  static void expect(ErrorCode code, const std::string& text,
                     const std::function<void(CheckpointFolder&)>& change, ggml_type type = GGML_TYPE_F32) {
    CheckpointFolder folder = llava_folder("refused");
    change(folder);
    folder.write();
    expect_error(code, text, [&] { convert(folder, type); });
    const std::string out = out_folder("refused");
    EXPECT_TRUE(!fs::exists(out) || fs::is_empty(out)) << text;
  }
};

constexpr const char* kQuery = "language_model.model.layers.2.self_attn.q_proj.weight";
constexpr const char* kDown = "language_model.model.layers.4.mlp.down_proj.weight";

TEST_F(Refused, MissingTensors) {
  expect(ErrorCode::NotFound,
         std::string("refused: tensor '") + kQuery + "' is missing, expected shape [96, 96]",
         [](auto& f) { f.tensors.erase(kQuery); });
  expect(ErrorCode::NotFound, "no projector: none of the tensors multi_modal_projector.linear_1.weight",
         [](auto& f) { f.tensors.erase("multi_modal_projector.linear_1.weight"); });
  expect(ErrorCode::NotFound, "no tower",
         [](auto& f) { f.tensors.erase("vision_tower.vision_model.embeddings.patch_embedding.weight"); });
  expect(ErrorCode::NotFound, "no text model",
         [](auto& f) { f.tensors.erase("language_model.model.embed_tokens.weight"); });
  expect(ErrorCode::NotFound, "layers.5.",
         [](auto& f) { f.json["config.json"]["text_config"]["num_hidden_layers"] = 6; });
}

TEST_F(Refused, TensorsWithoutAPlace) {
  expect(ErrorCode::Unsupported, "model.safetensors: tensor 'image_newline' of shape [96] has no place",
         [](auto& f) {
           f.tensors["image_newline"] = {{96}, std::vector<float>(96), false};
         });
  expect(ErrorCode::Unsupported, "layers.4.",
         [](auto& f) { f.json["config.json"]["text_config"]["num_hidden_layers"] = 4; });
}

TEST_F(Refused, WrongShapesAndTypes) {
  expect(ErrorCode::Corrupt, "q_proj.weight': got shape [48, 96], expected [96, 96] (config.json)",
         [](auto& f) {
           f.tensors[kQuery].shape = {48, 96};
           f.tensors[kQuery].values.resize(48 * 96);
         });
  expect(ErrorCode::Corrupt, "embed_tokens.weight': got shape [512, 96], expected [500, 96]",
         [](auto& f) { f.json["config.json"]["text_config"]["vocab_size"] = 500; });
  expect(ErrorCode::Unsupported, "type I64, expected F32", [](auto& f) { f.tensors[kQuery].i64 = true; });
}

/// Found while writing, so a begun file must go again.
TEST_F(Refused, NumbersThatCannotBeStored) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  expect(ErrorCode::Corrupt, "down_proj.weight': element 700 is nan",
         [&](auto& f) { f.tensors[kDown].values[700] = nan; });
  expect(ErrorCode::Corrupt, "element 96 is inf", [&](auto& f) { f.tensors[kQuery].values[96] = INFINITY; });
  expect(
      ErrorCode::InvalidArgument, "holds 70000, f16 ends at 65504: choose f32",
      [&](auto& f) { f.tensors[kDown].values[5] = 70000.0F; }, GGML_TYPE_F16);
}

TEST_F(Refused, MissingTokenizer) {
  expect(ErrorCode::NotFound, "tokenizer.model: no such file", [](auto& f) { f.tokenizer_model.clear(); });
}

TEST(ConvertFiles, DamagedWeights) {
  const CheckpointFolder folder = llava_folder("damaged");
  const auto refused = [&](ErrorCode code, const std::string& text) {
    expect_error(code, text, [&] { convert(folder); });
  };
  folder.write("F32", 2);
  const std::string second = folder.path + "/model-00002-of-00002.safetensors";
  const std::string whole = test::read_text(second);
  test::write_text(second, whole.substr(0, whole.size() - 1));
  refused(ErrorCode::Corrupt, "model-00002-of-00002.safetensors', tensor '");
  test::write_text(second, whole.substr(0, 5));
  refused(ErrorCode::Corrupt, "too short for a header");
  test::write_text(second, "");
  refused(ErrorCode::Corrupt, "file is empty");
  fs::remove(second);
  refused(ErrorCode::NotFound, "model-00002-of-00002.safetensors: no such file");
  fs::copy(folder.path + "/model-00001-of-00002.safetensors", second);
  refused(ErrorCode::Corrupt, "is in " + folder.path + "/model-00001-of-00002.safetensors too");
}

TEST(ConvertFiles, IndexThatContradictsItsFiles) {
  const CheckpointFolder folder = llava_folder("index");
  const std::string index = folder.path + "/model.safetensors.index.json";
  folder.write("F32", 2);
  const auto refused = [&](const std::string& text, const std::function<void(nlohmann::json&)>& change) {
    nlohmann::json content = nlohmann::json::parse(test::read_text(index));
    const nlohmann::json before = content;
    change(content["weight_map"]);
    test::write_text(index, content.dump());
    expect_error(ErrorCode::Corrupt, text, [&] { convert(folder); });
    test::write_text(index, before.dump());
  };
  const std::string first = "model-00001-of-00002.safetensors";
  refused("is not in model.safetensors.index.json", [](auto& map) { map.erase(kQuery); });
  refused("tensor 'x' is missing, model.safetensors.index.json says", [&](auto& map) { map["x"] = first; });
  refused("expected a file of the folder itself", [&](auto& map) { map["x"] = "../" + first; });
  refused("the file of tensor 'x' is no text", [](auto& map) { map["x"] = 1; });
  refused("names no tensors", [](auto& map) { map = nlohmann::json::object(); });
  refused("weight_map", [](auto& map) { map = 3; });
}

TEST(ConvertFiles, FoldersWithoutSafetensors) {
  CheckpointFolder folder = llava_folder("without");
  folder.write();
  fs::rename(folder.path + "/model.safetensors", folder.path + "/pytorch_model-00001-of-00002.bin");
  expect_error(ErrorCode::Unsupported, "weights in PyTorch's own format (pytorch_model-00001-of-00002.bin)",
               [&] { convert(folder); });
  fs::remove(folder.path + "/pytorch_model-00001-of-00002.bin");
  expect_error(ErrorCode::NotFound, "neither model.safetensors nor model.safetensors.index.json",
               [&] { convert(folder); });
}

TEST(ConvertFiles, OutputThatCannotBeMade) {
  const CheckpointFolder folder = llava_folder("output");
  folder.write();
  const std::string file = testing::scratch_folder() + "/a_file";
  test::write_text(file, "x");
  const auto to = [&](const std::string& out) {
    return [&folder, out] { convert_checkpoint({folder.path, "", "", GGML_TYPE_F32, out}); };
  };
  expect_error(ErrorCode::Io, "cannot make the folder " + file, to(file + "/below"));
  const std::string out = testing::scratch_folder() + "/taken";
  fs::create_directories(out + "/output-text-f32.gguf");
  expect_error(ErrorCode::Io, "output-text-f32.gguf: it is a folder", to(out));
  EXPECT_FALSE(fs::exists(out + "/output-mmproj-f32.gguf")) << "both files or none";
  EXPECT_FALSE(fs::exists(out + "/output-mmproj-f32.gguf.partial"));
}

TEST(ConvertFiles, AnExistingPairIsReplacedOnlyByAWholeOne) {
  CheckpointFolder folder = llava_folder("again");
  folder.write();
  const ConvertedFiles files = convert(folder);
  folder.tensors[kDown].values[0] = INFINITY;
  folder.write();
  EXPECT_THROW(convert(folder), Error);
  expect_fixtures_pair(files);
}

}  // namespace
}  // namespace winnow::convert
