#include "winnow/convert/convert.h"

#include <fmt/format.h>

#include <filesystem>
#include <optional>
#include <set>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

#include "winnow/base/error.h"
#include "winnow/convert/bpe_vocabulary.h"
#include "winnow/convert/checkpoint.h"
#include "winnow/convert/checkpoint_config.h"
#include "winnow/convert/tensor_conversion.h"
#include "winnow/convert/tensor_names.h"
#include "winnow/convert/vocabulary.h"
#include "winnow/engine/config_keys.h"
#include "winnow/engine/gguf_writer.h"
#include "winnow/engine/weight_types.h"

namespace winnow::convert {
namespace {

namespace fs = std::filesystem;
using engine::GgufWriter;
using engine::TensorSpec;
using Tensors = std::vector<TensorConversion>;

constexpr const char* kWhere = "convert.convert_checkpoint";

engine::MlpConfig projector_config(const CheckpointConfig& config) {
  const engine::ClipConfig& tower = config.tower;
  if (!config.is_qwen2_vl()) return {{tower.grid()}, tower.n_embd, config.text.n_embd, config.text.n_embd};
  const engine::PatchMerge merge{tower.grid(), tower.group_side, false, true};
  const int64_t width = merge.width(tower.n_embd);
  return {merge, width, static_cast<int32_t>(width), config.text.n_embd, tower.eps, tower.rms_norm};
}

Tensors text_tensors(const CheckpointConfig& config, const Checkpoint& checkpoint, const TensorLayout& layout,
                     ggml_type type) {
  const engine::LlamaConfig& text = config.text;
  std::vector<TensorSpec> table = engine::llama_tensors(text);
  if (!text.tied) table.insert(table.begin(), {"token_embd.weight", {text.n_vocab, text.n_embd}});
  Tensors tensors = convert_table(table, checkpoint, layout, type);
  for (TensorConversion& tensor : tensors) {
    const bool head = tensor.name == (text.tied ? "token_embd.weight" : "output.weight");
    if (head) tensor.type = engine::output_weight_type(type, text.n_embd);
    const bool rotated = tensor.name.find(".attn_q.") != std::string::npos ||
                         tensor.name.find(".attn_k.") != std::string::npos;
    if (!rotated || config.is_qwen2()) continue;
    tensor.rotary_rows = text.d_head;
    const bool bias = tensor.source->stored.shape.size() == 1;
    if (bias) std::swap(tensor.n_rows, tensor.n_cols);
  }
  return tensors;
}

Tensors mmproj_tensors(const CheckpointConfig& config, const Checkpoint& checkpoint, const Checkpoint& tower,
                       const TensorLayout& layout, ggml_type type) {
  Tensors tensors = convert_table(engine::clip_tensors(config.tower), tower, layout, type);
  const auto mlp = convert_table(engine::mlp_tensors(projector_config(config)), checkpoint, layout, type);
  tensors.insert(tensors.end(), mlp.begin(), mlp.end());
  const auto newline =
      convert_table(engine::tiling_tensors(config.tiling, config.text.n_embd), checkpoint, layout, type);
  tensors.insert(tensors.end(), newline.begin(), newline.end());
  return tensors;
}

/// CLIP's text tower and both ways into the joint space: what engine::ClipJoint reads.
struct TextTower {
  explicit TextTower(const std::string& folder)
      : config(read_clip_text_folder(folder)), tokens(read_clip_vocabulary(folder)), checkpoint(folder) {}

  Tensors tensors(const engine::ClipConfig& tower, ggml_type type) const {
    TensorLayout layout;
    layout.tower = "vision_model.";
    std::vector<TensorSpec> table = engine::clip_text_tensors(config);
    table.push_back(engine::clip_token_embedding(config, static_cast<int32_t>(tokens.size())));
    table.push_back({"v.post_ln.weight", {tower.n_embd}});
    table.push_back({"v.post_ln.bias", {tower.n_embd}});
    table.push_back({"visual_projection.weight", {config.n_joint, tower.n_embd}});
    WINNOW_CHECK(config.use_gelu == tower.use_gelu, Unsupported, kWhere,
                 "{}: another activation than the tower's, an mmproj file has one key for both",
                 checkpoint.folder());
    return convert_table(table, checkpoint, layout, type);
  }

  engine::ClipTextConfig config;
  std::vector<std::string> tokens;
  Checkpoint checkpoint;
};

/// Weights that nobody reads would be a model that is another one than it says.
void check_all_used(const Checkpoint& checkpoint, const TensorLayout& layout, const Tensors& text,
                    const Tensors& mmproj) {
  std::set<std::string> used;
  for (const Tensors* tensors : {&text, &mmproj}) {
    for (const TensorConversion& tensor : *tensors) used.insert(tensor.source->name);
  }
  for (const auto& [name, tensor] : checkpoint.tensors()) {
    WINNOW_CHECK(used.contains(name) || is_unused(layout, name), Unsupported, kWhere,
                 "{} of shape {} has no place in a model of this config.json", tensor.place(),
                 shape_text(tensor.stored.shape));
  }
}

/// LLaVA's prompt is vicuna's with a system sentence, which no chat template of these checkpoints has, or
/// Mistral's, and of Qwen2 ChatML; another template is its author's choice.
void set_prompt_keys(const std::string& folder, const CheckpointConfig& config, GgufWriter& writer) {
  const std::string chat = read_chat_template(folder);
  if (!chat.empty()) writer.set_str("tokenizer.chat_template", chat);
  using Form = std::pair<const char*, const char*>;  // what its chat template holds, our name of it
  const auto [sign, name] = config.is_qwen2_vl()    ? Form{"<|im_start|>", "qwen2_vl"}
                            : config.is_onevision() ? Form{"<|im_start|>", "llava_onevision"}
                            : config.is_mistral     ? Form{"[INST]", "mistral_instruct"}
                                                    : Form{"ASSISTANT:", "vicuna_v1"};
  if (chat.empty() || chat.find(sign) != std::string::npos) writer.set_str("winnow.prompt_template", name);
}

using Vocab = std::variant<engine::SpmVocab, engine::BpeVocab>;

Vocab read_tokenizer(const std::string& folder, const CheckpointConfig& config) {
  if (config.is_qwen2()) return read_bpe_vocabulary(folder, config.text.n_vocab);
  return read_vocabulary(folder, config.text.n_vocab);
}

/// llama.cpp's versions differ in which block they read when no key says it.
void set_tower_keys(const CheckpointConfig& config, GgufWriter& writer) {
  engine::set_clip_keys(config.tower, projector_config(config), writer);
  if (config.is_qwen2_vl()) return;
  const int32_t feature_layer[] = {config.tower.n_layer};
  writer.set_i32_array("clip.vision.feature_layer", feature_layer);
  engine::set_tiling_keys(config.tiling, writer);
}

void add_tensors(const Tensors& tensors, GgufWriter& writer) {
  for (const TensorConversion& tensor : tensors) writer.add_tensor(tensor.name, tensor.type, tensor.ne());
}

/// The last part of a folder's path, also of "." and "dir/".
std::string name_of(const std::string& folder) {
  fs::path path = fs::absolute(folder).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  const std::string name = path.filename().string();
  return name.empty() ? "model" : name;
}

}  // namespace

ConvertedFiles convert_checkpoint(const ConvertOptions& options) {
  CheckpointConfig config = read_checkpoint_config(options.checkpoint, options.tower);
  WINNOW_CHECK(!config.is_qwen2() || options.text_tower.empty(), InvalidArgument, kWhere,
               "{}: this model has no CLIP tower, got --text-tower {}, expected none", options.checkpoint,
               options.text_tower);
  const Vocab vocab = read_tokenizer(options.checkpoint, config);
  const Checkpoint checkpoint(options.checkpoint);
  std::optional<Checkpoint> separate;
  if (!holds_tower(checkpoint) && !options.tower.empty()) separate.emplace(options.tower);
  const Checkpoint& tower = separate ? *separate : checkpoint;
  TensorLayout layout = find_layout(checkpoint, tower);
  layout.is_gated = config.tower.gated;
  config.text.tied = config.may_be_tied && checkpoint.find(layout.head + ".weight") == nullptr;
  std::optional<TextTower> text_tower;
  if (!options.text_tower.empty()) text_tower.emplace(options.text_tower);

  const engine::WeightType& text_type = engine::weight_type(options.type);
  const engine::WeightType& mmproj_type = engine::weight_type(engine::mmproj_weight_type(options.type));
  const Tensors text = text_tensors(config, checkpoint, layout, text_type.type);
  Tensors mmproj = mmproj_tensors(config, checkpoint, tower, layout, mmproj_type.type);
  check_all_used(checkpoint, layout, text, mmproj);

  const std::string name = name_of(options.checkpoint);
  const fs::path folder(options.out);
  const ConvertedFiles files{(folder / fmt::format("{}-text-{}.gguf", name, text_type.name)).string(),
                             (folder / fmt::format("{}-mmproj-{}.gguf", name, mmproj_type.name)).string()};
  GgufWriter text_writer(files.text);
  engine::set_general_keys(config.text.arch, "model", name, text_type, text_writer);
  engine::set_llama_keys(config.text, text_writer);
  std::visit([&](const auto& v) { engine::set_vocab_keys(v, text_writer); }, vocab);
  set_prompt_keys(options.checkpoint, config, text_writer);
  add_tensors(text, text_writer);
  GgufWriter mmproj_writer(files.mmproj);
  engine::set_general_keys("clip", "mmproj", name, mmproj_type, mmproj_writer);
  set_tower_keys(config, mmproj_writer);
  if (text_tower) {
    engine::set_clip_text_keys(text_tower->config, text_tower->tokens, mmproj_writer);
    const Tensors more = text_tower->tensors(config.tower, mmproj_type.type);
    mmproj.insert(mmproj.end(), more.begin(), more.end());
  }
  add_tensors(mmproj, mmproj_writer);

  std::error_code error;
  fs::create_directories(folder, error);
  WINNOW_CHECK(!error, Io, kWhere, "cannot make the folder {}: {}", options.out, error.message());
  // The small file first, so that the large one's check of the disk counts it in; then both get their names.
  write_tensors("converting the tower and projector", mmproj, mmproj_writer);
  write_tensors("converting the text model", text, text_writer);
  mmproj_writer.finish();
  text_writer.finish();
  return files;
}

}  // namespace winnow::convert
