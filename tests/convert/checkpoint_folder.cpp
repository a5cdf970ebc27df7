#include "tests/convert/checkpoint_folder.h"

#include <fmt/format.h>
#include <ggml.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include "tests/support/engine_models.h"
#include "winnow/engine/gguf.h"

namespace winnow::test {
namespace {

namespace fs = std::filesystem;
using engine::GgufFile;
using nlohmann::json;

constexpr int kLayers = 5, kHeadDim = 16;  // of the text models
constexpr int kBlocks = 4;                 // of the tower
constexpr const char* kJsonFiles[] = {"config.json", "added_tokens.json", "generation_config.json",
                                      "preprocessor_config.json", "tokenizer_config.json"};

FolderTensor from_gguf(const GgufFile& file, const std::string& name) {
  const engine::GgufTensor* tensor = file.find(name);
  if (tensor == nullptr || tensor->type != GGML_TYPE_F32) throw std::runtime_error("fixture lacks " + name);
  FolderTensor out;
  int n_dims = 4;
  while (n_dims > 1 && tensor->ne[static_cast<std::size_t>(n_dims) - 1] == 1) --n_dims;
  for (int d = n_dims - 1; d >= 0; --d) out.shape.push_back(tensor->ne[static_cast<std::size_t>(d)]);
  out.values.resize(static_cast<std::size_t>(tensor->n_elements()));
  std::memcpy(out.values.data(), file.bytes(*tensor).data(), out.values.size() * sizeof(float));
  return out;
}

/// From rotary pairs side by side to transformers' two halves of each head.
FolderTensor halves(const FolderTensor& pairs) {
  FolderTensor out = pairs;
  const int64_t n_cols = pairs.shape[1];
  for (int64_t head = 0; head < pairs.shape[0] / kHeadDim; ++head) {
    for (int64_t pair = 0; pair < kHeadDim / 2; ++pair) {
      for (int64_t side = 0; side < 2; ++side) {
        const int64_t from = head * kHeadDim + 2 * pair + side;
        const int64_t to = head * kHeadDim + side * kHeadDim / 2 + pair;
        std::copy_n(pairs.values.begin() + from * n_cols, n_cols, out.values.begin() + to * n_cols);
      }
    }
  }
  return out;
}

void add_text(const GgufFile& file, const std::string& start, const std::string& head,
              CheckpointFolder& folder, int n_layer = kLayers) {
  folder.tensors[start + "embed_tokens.weight"] = from_gguf(file, "token_embd.weight");
  folder.tensors[start + "norm.weight"] = from_gguf(file, "output_norm.weight");
  folder.tensors[head + ".weight"] = from_gguf(file, "output.weight");
  for (int i = 0; i < n_layer; ++i) {
    const auto ours = [&](const char* part) {
      return from_gguf(file, fmt::format("blk.{}.{}.weight", i, part));
    };
    const auto theirs = [&](const char* part) -> FolderTensor& {
      return folder.tensors[fmt::format("{}layers.{}.{}.weight", start, i, part)];
    };
    theirs("self_attn.q_proj") = halves(ours("attn_q"));
    theirs("self_attn.k_proj") = halves(ours("attn_k"));
    theirs("self_attn.v_proj") = ours("attn_v");
    theirs("self_attn.o_proj") = ours("attn_output");
    theirs("mlp.gate_proj") = ours("ffn_gate");
    theirs("mlp.up_proj") = ours("ffn_up");
    theirs("mlp.down_proj") = ours("ffn_down");
    theirs("input_layernorm") = ours("attn_norm");
    theirs("post_attention_layernorm") = ours("ffn_norm");
  }
}

void add_pair(const GgufFile& file, const std::string& ours, const std::string& theirs,
              CheckpointFolder& folder) {
  for (const char* kind : {".weight", ".bias"}) folder.tensors[theirs + kind] = from_gguf(file, ours + kind);
}

/// Encoder blocks of a CLIP tower: "v" or "t".
void add_blocks(const GgufFile& file, const std::string& tower, int n, const std::string& start,
                CheckpointFolder& folder) {
  for (int i = 0; i < n; ++i) {
    const std::string ours = fmt::format("{}.blk.{}.", tower, i);
    const std::string theirs = fmt::format("{}encoder.layers.{}.", start, i);
    add_pair(file, ours + "ln1", theirs + "layer_norm1", folder);
    add_pair(file, ours + "attn_q", theirs + "self_attn.q_proj", folder);
    add_pair(file, ours + "attn_k", theirs + "self_attn.k_proj", folder);
    add_pair(file, ours + "attn_v", theirs + "self_attn.v_proj", folder);
    add_pair(file, ours + "attn_out", theirs + "self_attn.out_proj", folder);
    add_pair(file, ours + "ln2", theirs + "layer_norm2", folder);
    add_pair(file, ours + "ffn_up", theirs + "mlp.fc1", folder);
    add_pair(file, ours + "ffn_down", theirs + "mlp.fc2", folder);
  }
}

void add_tower(const GgufFile& file, const std::string& start, CheckpointFolder& folder) {
  folder.tensors[start + "embeddings.class_embedding"] = from_gguf(file, "v.class_embd");
  folder.tensors[start + "embeddings.patch_embedding.weight"] = from_gguf(file, "v.patch_embd.weight");
  folder.tensors[start + "embeddings.position_embedding.weight"] = from_gguf(file, "v.position_embd.weight");
  add_pair(file, "v.pre_ln", start + "pre_layrnorm", folder);
  add_blocks(file, "v", kBlocks, start, folder);
  // No GGUF of the fixture holds these, and no LLaVA reads them.
  folder.tensors[start + "post_layernorm.weight"] = {{64}, std::vector<float>(64, 1.0F), false};
  folder.tensors[start + "post_layernorm.bias"] = {{64}, std::vector<float>(64, 0.0F), false};
}

void add_siglip_tower(const GgufFile& file, const std::string& start, CheckpointFolder& folder) {
  add_pair(file, "v.patch_embd", start + "embeddings.patch_embedding", folder);
  folder.tensors[start + "embeddings.position_embedding.weight"] = from_gguf(file, "v.position_embd.weight");
  add_blocks(file, "v", kBlocks, start, folder);
  // What transformers writes beside them, and no LLaVA reads.
  folder.tensors[start + "post_layernorm.weight"] = {{64}, std::vector<float>(64, 1.0F), false};
  folder.tensors[start + "post_layernorm.bias"] = {{64}, std::vector<float>(64, 0.0F), false};
  folder.tensors[start + "head.probe"] = {{1, 1, 64}, std::vector<float>(64, 0.0F), false};
}

/// One behind the other along the first dimension.
FolderTensor stacked(const std::vector<FolderTensor>& parts) {
  FolderTensor out = parts.front();
  for (std::size_t i = 1; i < parts.size(); ++i) {
    out.shape[0] += parts[i].shape[0];
    out.values.insert(out.values.end(), parts[i].values.begin(), parts[i].values.end());
  }
  return out;
}

/// Kernels [n, 3, 14, 14] of two frames as one [n, 3, 2, 14, 14].
FolderTensor of_frames(const FolderTensor& first, const FolderTensor& second) {
  constexpr int64_t kPlane = int64_t{14} * 14;
  FolderTensor out{{first.shape[0], 3, 2, 14, 14}, {}, false};
  for (int64_t at = 0; at < std::ssize(first.values); at += kPlane) {
    for (const FolderTensor* frame : {&first, &second}) {
      out.values.insert(out.values.end(), frame->values.begin() + at, frame->values.begin() + at + kPlane);
    }
  }
  return out;
}

void add_qwen2_vl_text(const GgufFile& file, const std::string& start, CheckpointFolder& folder,
                       const std::string& head = "lm_head", int n_layer = kLayers) {
  add_text(file, start, head, folder, n_layer);
  for (int i = 0; i < n_layer; ++i) {
    for (const char part : {'q', 'k', 'v'}) {  // in halves as they are
      for (const char* kind : {"weight", "bias"}) {
        folder.tensors[fmt::format("{}layers.{}.self_attn.{}_proj.{}", start, i, part, kind)] =
            from_gguf(file, fmt::format("blk.{}.attn_{}.{}", i, part, kind));
      }
    }
  }
}

/// Qwen2-VL's, or Qwen2.5-VL's, whose norms have no bias.
void add_qwen2_vl_tower(const GgufFile& file, const std::string& start, CheckpointFolder& folder) {
  const bool gated = file.find("v.blk.0.ffn_gate.weight") != nullptr;
  const auto add_norm = [&](const std::string& ours, const std::string& theirs) {
    folder.tensors[theirs + ".weight"] = from_gguf(file, ours + ".weight");
    if (!gated) folder.tensors[theirs + ".bias"] = from_gguf(file, ours + ".bias");
  };
  folder.tensors[start + "patch_embed.proj.weight"] =
      of_frames(from_gguf(file, "v.patch_embd.weight"), from_gguf(file, "v.patch_embd.weight.1"));
  add_norm("v.post_ln", start + "merger.ln_q");
  add_pair(file, "mm.0", start + "merger.mlp.0", folder);
  add_pair(file, "mm.2", start + "merger.mlp.2", folder);
  for (int i = 0; i < kBlocks; ++i) {
    const std::string ours = fmt::format("v.blk.{}.", i);
    const std::string theirs = fmt::format("{}blocks.{}.", start, i);
    add_norm(ours + "ln1", theirs + "norm1");
    add_norm(ours + "ln2", theirs + "norm2");
    add_pair(file, ours + "attn_out", theirs + "attn.proj", folder);
    if (gated) add_pair(file, ours + "ffn_gate", theirs + "mlp.gate_proj", folder);
    add_pair(file, ours + "ffn_up", theirs + (gated ? "mlp.up_proj" : "mlp.fc1"), folder);
    add_pair(file, ours + "ffn_down", theirs + (gated ? "mlp.down_proj" : "mlp.fc2"), folder);
    for (const char* kind : {".weight", ".bias"}) {
      folder.tensors[theirs + "attn.qkv" + kind] =
          stacked({from_gguf(file, ours + "attn_q" + kind), from_gguf(file, ours + "attn_k" + kind),
                   from_gguf(file, ours + "attn_v" + kind)});
    }
  }
}

json json_file(const std::string& name) { return json::parse(read_text(testing::oracle_path("hf/" + name))); }

/// config.json of the authors' layout: the text model's keys at the top.
json original_config(const json& config) {
  json out = config["text_config"];
  out["architectures"] = {"LlavaLlamaForCausalLM"};
  out["model_type"] = "llava_llama";
  out["mm_projector_type"] = "mlp2x_gelu";
  out["mm_vision_select_layer"] = -2;
  out["mm_vision_select_feature"] = "patch";
  out["mm_vision_tower"] = "openai/clip-vit-large-patch14-336";
  return out;
}

std::string stored(const FolderTensor& tensor, const std::string& type) {
  std::string out;
  const auto put = [&](const auto& value) {
    out.append(reinterpret_cast<const char*>(&value), sizeof value);
  };
  for (const float value : tensor.values) {
    if (tensor.i64) {
      put(static_cast<int64_t>(value));
    } else if (type == "F16") {
      put(ggml_fp32_to_fp16(value));
    } else if (type == "BF16") {
      put(ggml_fp32_to_bf16(value));
    } else if (type == "F64") {
      put(static_cast<double>(value));
    } else {
      put(value);
    }
  }
  return out;
}

void write_safetensors(const std::string& path, const std::string& type,
                       const std::map<std::string, const FolderTensor*>& tensors) {
  json header = {{"__metadata__", {{"format", "pt"}}}};
  std::string data;
  for (const auto& [name, tensor] : tensors) {
    const std::string bytes = stored(*tensor, type);
    header[name] = {{"dtype", tensor->i64 ? "I64" : type},
                    {"shape", tensor->shape},
                    {"data_offsets", {data.size(), data.size() + bytes.size()}}};
    data += bytes;
  }
  const std::string text = header.dump();
  const uint64_t n = text.size();
  std::string file(reinterpret_cast<const char*>(&n), sizeof n);
  write_text(path, file + text + data);
}

/// Text model and projector, and in transformers' layouts the tower.
void add_llava(const GgufFile& text, const GgufFile& mmproj, Layout layout, CheckpointFolder& folder) {
  if (layout == Layout::Original) {
    add_text(text, "model.", "lm_head", folder);
    add_pair(mmproj, "mm.0", "model.mm_projector.0", folder);
    add_pair(mmproj, "mm.2", "model.mm_projector.2", folder);
    return;
  }
  const bool is_new = layout == Layout::New;
  const std::string start = is_new ? "model." : "";
  add_text(text, is_new ? "model.language_model." : "language_model.model.",
           is_new ? "lm_head" : "language_model.lm_head", folder);
  add_tower(mmproj, start + "vision_tower.vision_model.", folder);
  add_pair(mmproj, "mm.0", start + "multi_modal_projector.linear_1", folder);
  add_pair(mmproj, "mm.2", start + "multi_modal_projector.linear_2", folder);
}

}  // namespace

void write_text(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

void expect_same_tensors(const std::string& actual_path, const std::string& expected_path) {
  const GgufFile actual(actual_path), expected(expected_path);
  EXPECT_EQ(actual.tensors().size(), expected.tensors().size());
  for (const engine::GgufTensor& tensor : expected.tensors()) {
    const engine::GgufTensor* found = actual.find(tensor.name);
    ASSERT_NE(found, nullptr) << tensor.name;
    EXPECT_EQ(found->type, tensor.type) << tensor.name;
    EXPECT_EQ(found->ne, tensor.ne) << tensor.name;
    EXPECT_TRUE(std::ranges::equal(actual.bytes(*found), expected.bytes(tensor))) << tensor.name;
  }
}

std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void CheckpointFolder::write(const std::string& type, int n_files) const {
  fs::remove_all(path);
  fs::create_directories(path);
  for (const auto& [name, content] : json) write_text(path + "/" + name, content.dump());
  if (!tokenizer_model.empty()) write_text(path + "/tokenizer.model", tokenizer_model);
  std::vector<std::map<std::string, const FolderTensor*>> parts(static_cast<std::size_t>(n_files));
  std::size_t i = 0;
  for (const auto& [name, tensor] : tensors) parts[i++ % parts.size()][name] = &tensor;
  if (n_files == 1) {
    write_safetensors(path + "/model.safetensors", type, parts[0]);
    return;
  }
  nlohmann::json index = {{"metadata", {{"total_size", 0}}}};
  for (std::size_t part = 0; part < parts.size(); ++part) {
    const std::string name = fmt::format("model-{:05}-of-{:05}.safetensors", part + 1, n_files);
    write_safetensors(path + "/" + name, type, parts[part]);
    for (const auto& [tensor, unused] : parts[part]) index["weight_map"][tensor] = name;
  }
  write_text(path + "/model.safetensors.index.json", index.dump());
}

CheckpointFolder llava_folder(const std::string& name, Layout layout) {
  const GgufFile text(testing::oracle_path("text.gguf"));
  const GgufFile mmproj(testing::oracle_path("mmproj-all.gguf"));
  CheckpointFolder folder;
  folder.path = testing::scratch_folder() + "/" + name;
  for (const char* file : kJsonFiles) folder.json[file] = json_file(file);
  folder.tokenizer_model = read_text(testing::oracle_path("hf/tokenizer.model"));
  add_llava(text, mmproj, layout, folder);
  if (layout == Layout::Original) {
    folder.json["config.json"] = original_config(folder.json["config.json"]);
    folder.json.erase("preprocessor_config.json");
    return folder;
  }
  return folder;
}

CheckpointFolder llava_next_folder(const std::string& name, Layout layout) {
  const GgufFile text(testing::next_path("text.gguf"));
  const GgufFile mmproj(testing::next_path("mmproj.gguf"));
  CheckpointFolder folder;
  folder.path = testing::scratch_folder() + "/" + name;
  folder.json["added_tokens.json"] = json_file("added_tokens.json");
  folder.json["tokenizer_config.json"] = json_file("tokenizer_config.json");
  for (const char* file : {"config.json", "generation_config.json", "preprocessor_config.json"}) {
    folder.json[file] = json::parse(read_text(testing::next_path(std::string("hf/") + file)));
  }
  folder.tokenizer_model = read_text(testing::oracle_path("hf/tokenizer.model"));
  add_llava(text, mmproj, layout, folder);
  if (layout == Layout::Original) {
    folder.tensors["model.image_newline"] = from_gguf(mmproj, "v.image_newline");
    json config = original_config(folder.json["config.json"]);
    config["image_aspect_ratio"] = "anyres";
    config["mm_patch_merge_type"] = "spatial_unpad";
    config["image_grid_pinpoints"] = {{112, 56}, {56, 112}, {112, 112}, {56, 168}, {168, 56}};
    folder.json["config.json"] = config;
    folder.json.erase("preprocessor_config.json");
    return folder;
  }
  folder.tensors[layout == Layout::New ? "model.image_newline" : "image_newline"] =
      from_gguf(mmproj, "v.image_newline");
  return folder;
}

CheckpointFolder qwen2_vl_folder(const std::string& name, Layout layout) {
  CheckpointFolder folder;
  folder.path = testing::scratch_folder() + "/" + name;
  for (const char* file : {"config.json", "generation_config.json", "preprocessor_config.json",
                           "tokenizer.json", "tokenizer_config.json"}) {
    folder.json[file] = json::parse(read_text(testing::qwen_path(std::string("hf/") + file)));
  }
  const bool is_new = layout == Layout::New;
  add_qwen2_vl_text(GgufFile(testing::qwen_path("text.gguf")), is_new ? "model.language_model." : "model.",
                    folder);
  add_qwen2_vl_tower(GgufFile(testing::qwen_path("mmproj.gguf")), is_new ? "model.visual." : "visual.",
                     folder);
  if (is_new) return folder;
  json& config = folder.json["config.json"];
  json text = config["text_config"];
  const json rope = text["rope_parameters"];
  config.erase("text_config");
  text.erase("rope_parameters");
  text.erase("model_type");
  config.update(text);
  config["rope_theta"] = rope["rope_theta"];
  config["rope_scaling"] = {{"type", "mrope"}, {"mrope_section", rope["mrope_section"]}};
  json& pixels = folder.json["preprocessor_config.json"];
  pixels["min_pixels"] = pixels["size"]["shortest_edge"];
  pixels["max_pixels"] = pixels["size"]["longest_edge"];
  pixels.erase("size");
  return folder;
}

CheckpointFolder onevision_folder(const std::string& name, const std::string& text, const std::string& mmproj,
                                  Layout layout) {
  const engine::SynthShape& shape = engine::synth_shape("tiny-onevision");
  CheckpointFolder folder;
  folder.path = testing::scratch_folder() + "/" + name;
  for (const char* file : {"generation_config.json", "tokenizer.json", "tokenizer_config.json"}) {
    folder.json[file] = json::parse(read_text(testing::qwen_path(std::string("hf/") + file)));
  }
  json& config = folder.json["config.json"];
  config = json::parse(R"({
    "architectures": ["LlavaOnevisionForConditionalGeneration"], "model_type": "llava_onevision",
    "ignore_index": -100, "image_token_index": 500, "video_token_index": 501, "projector_hidden_act": "gelu",
    "text_config": {"architectures": ["Qwen2ForCausalLM"], "bos_token_id": 1, "eos_token_id": 2,
                    "hidden_size": 256, "intermediate_size": 512, "max_position_embeddings": 512,
                    "max_window_layers": 24, "model_type": "qwen2", "num_attention_heads": 8,
                    "num_hidden_layers": 4, "num_key_value_heads": 4, "rms_norm_eps": 1e-05,
                    "rope_theta": 10000.0, "sliding_window": 32, "vocab_size": 512},
    "tie_word_embeddings": false, "use_image_newline_parameter": true, "vision_aspect_ratio": "anyres_max_2",
    "vision_config": {"hidden_size": 64, "image_size": 60, "intermediate_size": 128,
                      "model_type": "siglip_vision_model", "num_attention_heads": 4, "num_hidden_layers": 4,
                      "patch_size": 14, "vision_use_head": false},
    "vision_feature_layer": -1, "vision_feature_select_strategy": "full"})");
  for (const engine::PixelSize& size : shape.resolutions) {
    config["image_grid_pinpoints"].push_back({size.height, size.width});
  }
  folder.json["preprocessor_config.json"] = {{"do_pad", true},
                                             {"image_mean", {0.5, 0.5, 0.5}},
                                             {"image_std", {0.5, 0.5, 0.5}},
                                             {"resample", 3},
                                             {"image_processor_type", "LlavaOnevisionImageProcessor"},
                                             {"size", {{"height", 60}, {"width", 60}}}};
  const bool is_new = layout == Layout::New;
  const std::string start = is_new ? "model." : "";
  const GgufFile text_file(text), mmproj_file(mmproj);
  add_qwen2_vl_text(text_file, is_new ? "model.language_model." : "language_model.model.", folder,
                    is_new ? "lm_head" : "language_model.lm_head", shape.n_layer);
  add_siglip_tower(mmproj_file, start + "vision_tower.vision_model.", folder);
  add_pair(mmproj_file, "mm.0", start + "multi_modal_projector.linear_1", folder);
  add_pair(mmproj_file, "mm.2", start + "multi_modal_projector.linear_2", folder);
  folder.tensors[start + "image_newline"] = from_gguf(mmproj_file, "v.image_newline");
  if (is_new) {
    json& text_config = config["text_config"];
    text_config["rope_parameters"] = {{"rope_theta", 10000.0}, {"rope_type", "default"}};
    text_config.erase("rope_theta");
  }
  return folder;
}

CheckpointFolder qwen2_5_vl_folder(const std::string& name, Layout layout) {
  CheckpointFolder folder = qwen2_vl_folder(name, layout);
  const std::string start = layout == Layout::New ? "model.visual." : "visual.";
  std::erase_if(folder.tensors, [&](const auto& tensor) { return tensor.first.starts_with(start); });
  add_qwen2_vl_tower(GgufFile(testing::windowed_path("mmproj.gguf")), start, folder);
  json& config = folder.json["config.json"];
  config["architectures"] = {"Qwen2_5_VLForConditionalGeneration"};
  config["model_type"] = "qwen2_5_vl";
  if (layout == Layout::New) config["text_config"]["model_type"] = "qwen2_5_vl_text";
  config["vision_config"] = {{"model_type", "qwen2_5_vl"},
                             {"depth", 4},
                             {"fullatt_block_indexes", {1, 3}},
                             {"hidden_act", "silu"},
                             {"hidden_size", 64},
                             {"in_chans", 3},
                             {"intermediate_size", 88},
                             {"num_heads", 4},
                             {"out_hidden_size", 96},
                             {"patch_size", 14},
                             {"spatial_merge_size", 2},
                             {"spatial_patch_size", 14},
                             {"temporal_patch_size", 2},
                             {"tokens_per_second", 2},
                             {"window_size", 112}};
  return folder;
}

CheckpointFolder clip_folder(const std::string& name, const std::string& mmproj) {
  CheckpointFolder folder;
  folder.path = testing::scratch_folder() + "/" + name;
  folder.json["preprocessor_config.json"] = json_file("preprocessor_config.json");
  nlohmann::json& config = folder.json["config.json"];
  config = {{"model_type", "clip"}, {"architectures", {"CLIPModel"}}};
  config["vision_config"] = json_file("config.json")["vision_config"];
  add_tower(GgufFile(testing::oracle_path("mmproj-all.gguf")), "vision_model.", folder);
  if (mmproj.empty()) return folder;

  const GgufFile file(mmproj);
  const engine::SynthShape& tiny = engine::synth_shape("tiny");
  config["projection_dim"] = tiny.clip_joint;
  config["text_config"] = {{"hidden_size", tiny.clip_text_embd},
                           {"intermediate_size", tiny.clip_text_ff},
                           {"num_hidden_layers", tiny.clip_text_layers},
                           {"num_attention_heads", tiny.clip_text_head},
                           {"max_position_embeddings", tiny.clip_text_ctx}};
  const auto tokens = file.texts("tokenizer.ggml.tokens");
  for (std::size_t id = 0; id < tokens.size(); ++id) folder.json["vocab.json"][tokens[id]] = id;
  const std::string start = "text_model.";
  folder.tensors[start + "embeddings.token_embedding.weight"] = from_gguf(file, "t.token_embd.weight");
  folder.tensors[start + "embeddings.position_embedding.weight"] = from_gguf(file, "t.position_embd.weight");
  add_blocks(file, "t", tiny.clip_text_layers, start, folder);
  add_pair(file, "t.post_ln", start + "final_layer_norm", folder);
  add_pair(file, "v.post_ln", "vision_model.post_layernorm", folder);
  folder.tensors["text_projection.weight"] = from_gguf(file, "text_projection.weight");
  folder.tensors["visual_projection.weight"] = from_gguf(file, "visual_projection.weight");
  folder.tensors["logit_scale"] = {{}, {4.6F}, false};
  return folder;
}

}  // namespace winnow::test
