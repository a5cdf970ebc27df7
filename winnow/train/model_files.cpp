#include "winnow/train/model_files.h"

#include <fmt/format.h>
#include <ggml.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <optional>
#include <span>
#include <vector>

#include "winnow/base/error.h"
#include "winnow/engine/config_keys.h"
#include "winnow/engine/gguf.h"
#include "winnow/engine/gguf_writer.h"
#include "winnow/engine/weight_types.h"
#include "winnow/train/vocabulary.h"

namespace winnow::train {
namespace {

constexpr const char* kWhere = "train.model_files";
constexpr std::array<float, 3> kPixelMean{64.0F / 255.0F, 64.0F / 255.0F, 64.0F / 255.0F};

bool in_mmproj(const ParameterSpec& spec) { return spec.part == Part::Tower || spec.part == Part::Projector; }

/// Weights that no file holds: the labels' heads, and the tower's last block and final norm, which only
/// [CLS]'s training reads.
bool stored(const ParameterSpec& spec, const ModelShape& s) {
  if (spec.part == Part::TowerHead) return false;
  const std::string last = fmt::format("v.blk.{}.", s.tower_layers - 1);
  return spec.name.rfind(last, 0) != 0 && spec.name.rfind("v.post_ln", 0) != 0;
}

ggml_type type_of(const ParameterSpec& spec, FileType type) {
  const bool matrix = spec.shape.size() == 2 && spec.name != "v.position_embd.weight";
  return matrix && type == FileType::F16 ? GGML_TYPE_F16 : GGML_TYPE_F32;
}

/// ggml's order of dimensions, fastest first. The patch embedding is stored as a convolution's kernel.
std::vector<int64_t> ne_of(const ParameterSpec& spec, const ModelShape& s) {
  if (spec.name == "v.patch_embd.weight") return {s.patch_px, s.patch_px, 3, s.tower_embd};
  return {spec.shape.rbegin(), spec.shape.rend()};
}

void write_tensor(engine::GgufWriter& writer, const ParameterSpec& spec, const torch::Tensor& value,
                  ggml_type type) {
  const torch::Tensor cpu = value.detach().to(torch::kCPU, torch::kFloat).contiguous();
  const auto n = cpu.numel();
  if (type == GGML_TYPE_F32) {
    writer.write(spec.name,
                 {reinterpret_cast<const uint8_t*>(cpu.data_ptr<float>()), static_cast<std::size_t>(n) * 4});
    return;
  }
  std::vector<ggml_fp16_t> half(static_cast<std::size_t>(n));
  ggml_fp32_to_fp16_row(cpu.data_ptr<float>(), half.data(), n);
  writer.write(spec.name, {reinterpret_cast<const uint8_t*>(half.data()), half.size() * sizeof(ggml_fp16_t)});
}

engine::LlamaConfig llama_config(const ModelShape& s) {
  engine::LlamaConfig c;
  c.n_layer = s.n_layer;
  c.n_embd = s.n_embd;
  c.n_ff = s.n_ff;
  c.n_head = s.n_head;
  c.n_head_kv = s.n_head;
  c.d_head = s.d_head();
  c.n_vocab = s.n_vocab;
  c.n_ctx = s.n_ctx;
  c.eps = s.rms_eps;
  c.rope.n_dims = s.d_head();
  c.rope.freq_base = s.rope_base;
  return c;
}

engine::ClipConfig clip_config(const ModelShape& s) {
  engine::ClipConfig c;
  c.image_size_px = s.image_px;
  c.patch_size_px = s.patch_px;
  c.n_embd = s.tower_embd;
  c.n_ff = s.tower_ff;
  c.n_head = s.tower_head;
  c.n_layer_stored = s.tower_layers - 1;
  c.eps = s.tower_eps;
  c.mean = kPixelMean;
  c.std = kPixelMean;
  return c;
}

void describe_text(engine::GgufWriter& writer, const ModelShape& s, const std::string& name,
                   const engine::WeightType& type) {
  engine::set_general_keys("llama", "model", name, type, writer);
  writer.set_str("general.license", "apache-2.0");
  engine::set_llama_keys(llama_config(s), writer);
  Vocabulary::describe(writer);
}

void describe_mmproj(engine::GgufWriter& writer, const ModelShape& s, const std::string& name,
                     const engine::WeightType& type) {
  engine::set_general_keys("clip", "mmproj", name, type, writer);
  writer.set_str("general.license", "apache-2.0");
  const engine::ClipConfig tower = clip_config(s);
  const engine::PatchMerge merge{tower.grid(), s.group(), s.pool > 1};
  engine::set_clip_keys(tower, {merge, s.projector_in(), s.n_embd, s.n_embd}, writer);
}

void write_file(engine::GgufWriter& writer, const ModelShape& s, const Parameters& parameters, FileType type,
                bool mmproj) {
  std::vector<ParameterSpec> specs;
  for (ParameterSpec& spec : parameter_specs(s)) {
    if (stored(spec, s) && in_mmproj(spec) == mmproj) specs.push_back(std::move(spec));
  }
  for (const ParameterSpec& spec : specs) writer.add_tensor(spec.name, type_of(spec, type), ne_of(spec, s));
  writer.begin();
  for (const ParameterSpec& spec : specs)
    write_tensor(writer, spec, parameters.at(spec.name), type_of(spec, type));
  writer.finish();
}

void read_tensor(const engine::GgufFile& file, const ParameterSpec& spec, const ModelShape& s,
                 torch::Tensor& value) {
  const engine::GgufTensor* tensor = file.find(spec.name);
  WINNOW_CHECK(tensor != nullptr, NotFound, kWhere, "{}: tensor '{}' is missing", file.path(), spec.name);
  std::vector<int64_t> ne = ne_of(spec, s);
  ne.resize(4, 1);
  WINNOW_CHECK(std::equal(ne.begin(), ne.end(), tensor->ne.begin()), Corrupt, kWhere,
               "{}: tensor '{}', got shape {}, expected {} values in another order or number", file.path(),
               spec.name, tensor->shape(), value.numel());
  const auto bytes = file.bytes(*tensor);
  float* out = value.data_ptr<float>();
  if (tensor->type == GGML_TYPE_F32) {
    std::memcpy(out, bytes.data(), bytes.size());
  } else {
    WINNOW_CHECK(tensor->type == GGML_TYPE_F16, Unsupported, kWhere,
                 "{}: tensor '{}', got type {}, expected f32 or f16", file.path(), spec.name,
                 ggml_type_name(tensor->type));
    std::vector<ggml_fp16_t> half(static_cast<std::size_t>(value.numel()));
    std::memcpy(half.data(), bytes.data(), bytes.size());
    ggml_fp16_to_fp32_row(half.data(), out, value.numel());
  }
}

}  // namespace

ModelFiles write_model(const ModelShape& shape, const Parameters& parameters, FileType type,
                       const std::string& name, const std::string& dir) {
  const engine::WeightType& weights =
      engine::weight_type(type == FileType::F32 ? GGML_TYPE_F32 : GGML_TYPE_F16);
  const std::filesystem::path folder(dir);
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  WINNOW_CHECK(!error, Io, kWhere, "cannot make the folder {}: {}", dir, error.message());
  ModelFiles files{(folder / fmt::format("{}-text-{}.gguf", name, weights.name)).string(),
                   (folder / fmt::format("{}-mmproj-{}.gguf", name, weights.name)).string()};
  engine::GgufWriter text(files.text);
  describe_text(text, shape, name, weights);
  write_file(text, shape, parameters, type, false);
  engine::GgufWriter mmproj(files.mmproj);
  describe_mmproj(mmproj, shape, name, weights);
  write_file(mmproj, shape, parameters, type, true);
  return files;
}

bool read_model(const ModelFiles& files, const ModelShape& shape, Parameters& parameters) {
  std::optional<engine::GgufFile> text;
  if (!files.text.empty()) text.emplace(files.text);
  const engine::GgufFile mmproj(files.mmproj);
  const bool same_merge = mmproj.integer_or("clip.vision.spatial_merge_size", 1, 64, 1) == shape.merge;
  for (const ParameterSpec& spec : parameter_specs(shape)) {
    if (!stored(spec, shape) || (spec.part == Part::Projector && !same_merge)) continue;
    if (in_mmproj(spec)) {
      read_tensor(mmproj, spec, shape, parameters.at(spec.name));
    } else if (text) {
      read_tensor(*text, spec, shape, parameters.at(spec.name));
    }
  }
  return same_merge;
}

}  // namespace winnow::train
