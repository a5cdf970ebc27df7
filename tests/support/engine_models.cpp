#include "tests/support/engine_models.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <utility>

#include "winnow/base/rng.h"
#include "winnow/engine/step_signals.h"

namespace winnow::testing {
namespace fs = std::filesystem;
namespace {

struct ScratchFolder {
  ScratchFolder()
      : path((fs::path(::testing::TempDir()) / ("winnow_engine_" + std::to_string(getpid()))).string()) {
    fs::create_directories(path);
  }
  ~ScratchFolder() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
  std::string path;
};

template <class T>
double worst(std::span<const float> actual, std::span<const T> expected) {
  if (actual.size() != expected.size()) return INFINITY;
  double scale = 1.0;
  double error = 0.0;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    const auto b = static_cast<double>(expected[i]);
    const double difference = std::abs(static_cast<double>(actual[i]) - b);
    if (!std::isfinite(difference)) return INFINITY;
    scale = std::max(scale, std::abs(b));
    error = std::max(error, difference);
  }
  return error / scale;
}

}  // namespace

std::string oracle_path(const std::string& name) { return WINNOW_TEST_DATA "/llava15/" + name; }

const record::TensorFile& oracle_results() {
  static const record::TensorFile file = record::read_safetensors(oracle_path("exact.safetensors"));
  return file;
}

std::shared_ptr<const engine::Model> oracle_model(bool f32) {
  static std::map<bool, std::shared_ptr<const engine::Model>> loaded;
  auto& model = loaded[f32];
  if (model == nullptr)
    model = load_model({oracle_path("text.gguf"), oracle_path("mmproj-legacy.gguf")}, f32);
  return model;
}

std::shared_ptr<const engine::Model> complete_oracle_model(bool f32) {
  static std::map<bool, std::shared_ptr<const engine::Model>> loaded;
  auto& model = loaded[f32];
  if (model == nullptr) model = load_model({oracle_path("text.gguf"), oracle_path("mmproj-all.gguf")}, f32);
  return model;
}

const ReferenceLlava& oracle_reference() {
  static const ReferenceLlava reference(oracle_path("text.gguf"), oracle_path("mmproj-legacy.gguf"));
  return reference;
}

engine::Prompt oracle_prompt() {
  return engine::prompt_from_ids(oracle_results().at("input_ids").i32, kOracleImageToken, kOracleVisual, 1);
}

std::string next_path(const std::string& name) { return WINNOW_TEST_DATA "/llava_next/" + name; }

const record::TensorFile& next_results() {
  static const record::TensorFile file = record::read_safetensors(next_path("results.safetensors"));
  return file;
}

std::shared_ptr<const engine::Model> next_model(bool f32) {
  static std::map<bool, std::shared_ptr<const engine::Model>> loaded;
  auto& model = loaded[f32];
  if (model == nullptr) model = load_model({next_path("text.gguf"), next_path("mmproj.gguf")}, f32);
  return model;
}

engine::Image next_picture() { return engine::load_image(next_path("image.png")); }

engine::Prompt next_prompt() {
  return engine::prompt_from_ids(next_results().at("input_ids").i32, kOracleImageToken, {52});
}

std::string qwen_path(const std::string& name) { return WINNOW_TEST_DATA "/qwen2_vl/" + name; }

const record::TensorFile& qwen_results(bool resized) {
  static const record::TensorFile exact = record::read_safetensors(qwen_path("exact.safetensors"));
  static const record::TensorFile resize = record::read_safetensors(qwen_path("resize.safetensors"));
  return resized ? resize : exact;
}

std::shared_ptr<const engine::Model> qwen_model(bool f32) {
  static std::map<bool, std::shared_ptr<const engine::Model>> loaded;
  auto& model = loaded[f32];
  if (model == nullptr) model = load_model({qwen_path("text.gguf"), qwen_path("mmproj.gguf")}, f32);
  return model;
}

engine::Image qwen_picture(bool resized) {
  return engine::load_image(qwen_path(resized ? "resize.png" : "exact.png"));
}

engine::Prompt qwen_prompt(bool resized) {
  return engine::prompt_from_ids(qwen_results(resized).at("input_ids").i32, kOracleImageToken,
                                 {resized ? 28 : 24});
}

engine::SynthShape windowed_shape() {
  engine::SynthShape shape = engine::synth_shape("tiny");
  shape.name = "windowed";
  shape.n_embd = 96;  // of tests/data/qwen2_vl
  shape.n_ff = 192;
  shape.n_head = 6;
  shape.n_head_kv = 2;
  shape.tower_ff = 88;
  shape.tower_eps = 1e-6F;
  shape.merge = 2;
  shape.qwen2_vl = true;
  shape.window_px = 112;
  shape.full_every = 2;
  shape.tower_cls = false;
  shape.all_blocks = true;
  return shape;
}

std::string windowed_path(const std::string& name) {
  return name == "text.gguf" ? qwen_path(name) : synth_files(windowed_shape()).mmproj;
}

std::shared_ptr<const engine::Model> windowed_model(bool f32) {
  static std::map<bool, std::shared_ptr<const engine::Model>> loaded;
  auto& model = loaded[f32];
  if (model == nullptr) model = load_model({windowed_path("text.gguf"), windowed_path("mmproj.gguf")}, f32);
  return model;
}

const std::string& scratch_folder() {
  static const ScratchFolder folder;
  return folder.path;
}

std::string keys_file(const std::string& name, const std::function<void(engine::GgufWriter&)>& set_keys) {
  const std::string path = scratch_folder() + "/" + name;
  engine::GgufWriter writer(path);
  set_keys(writer);
  const int64_t ne[] = {1};  // a file without tensors is none
  writer.add_tensor("t", GGML_TYPE_F32, ne);
  writer.begin();
  writer.write("t", std::vector<uint8_t>(4));
  writer.finish();
  return path;
}

engine::SynthFiles synth_files(const engine::SynthShape& shape, ggml_type type, uint64_t seed) {
  static std::map<std::string, engine::SynthFiles> written;
  const std::string key = shape.name + "_" + ggml_type_name(type) + "_" + std::to_string(seed);
  auto it = written.find(key);
  if (it == written.end()) {
    it = written.emplace(key, engine::synth_model(shape, type, seed, scratch_folder() + "/" + key)).first;
  }
  return it->second;
}

std::shared_ptr<const engine::Model> load_model(const engine::SynthFiles& files, bool f32) {
  engine::ModelOptions options;
  options.text_path = files.text;
  options.mmproj_path = files.mmproj;
  options.device = "cpu";
  options.f32 = f32;
  return engine::Model::load(options);
}

std::shared_ptr<const engine::Model> tiny_model(bool f32) {
  static std::map<bool, std::shared_ptr<const engine::Model>> loaded;
  auto& model = loaded[f32];
  if (model == nullptr) model = load_model(synth_files(engine::synth_shape("tiny")), f32);
  return model;
}

std::shared_ptr<const engine::Model> onevision_model(bool f32) {
  static std::map<bool, std::shared_ptr<const engine::Model>> loaded;
  auto& model = loaded[f32];
  if (model == nullptr) model = load_model(synth_files(engine::synth_shape("tiny-onevision")), f32);
  return model;
}

engine::SessionOptions threads(int32_t n) {
  engine::SessionOptions options;
  options.n_threads = n;
  return options;
}

engine::Image picture(uint64_t seed, int32_t width, int32_t height) {
  Rng rng(seed);
  engine::Image image{width, height, {}};
  constexpr int32_t kBlob = 14;
  const int32_t cols = width / kBlob + 1;
  std::vector<int32_t> blobs;
  for (int32_t i = 0; i < cols * (height / kBlob + 1) * 3; ++i) {
    blobs.push_back(static_cast<int32_t>(rng.below(200)));
  }
  for (int32_t y = 0; y < height; ++y) {
    for (int32_t x = 0; x < width; ++x) {
      for (int32_t c = 0; c < 3; ++c) {
        const int32_t base = blobs[static_cast<std::size_t>((y / kBlob * cols + x / kBlob) * 3 + c)];
        image.rgb.push_back(static_cast<uint8_t>(base + static_cast<int32_t>(rng.below(56))));
      }
    }
  }
  return image;
}

std::vector<int32_t> text_ids(uint64_t seed, int32_t n) {
  Rng rng(seed);
  std::vector<int32_t> ids;
  for (int32_t i = 0; i < n; ++i) ids.push_back(3 + static_cast<int32_t>(rng.below(480)));
  return ids;
}

bool can_run(const engine::Model& model, std::string_view method) {
  const prune::MethodUse use = prune::parse_method(method);
  const auto needs = use.method->needs(use.params);
  return std::all_of(needs.begin(), needs.end(),
                     [&](const prune::Need& need) { return engine::missing_signal(model, need).empty(); });
}

engine::PruneOptions prune_with(std::string_view method, std::string_view keep, int32_t layer,
                                const engine::Model& model) {
  engine::PruneOptions options;
  if (method.empty()) return options;
  options.steps.push_back(
      prune::make_step(method, keep, prune::BudgetMode::Exact, layer, model.llama().n_layer));
  return options;
}

Turn run_turn(engine::Session& session, const engine::Prompt& prompt,
              const std::vector<engine::Image>& pictures, const engine::PruneOptions& options,
              int32_t n_decode, const std::vector<int32_t>& forced) {
  std::vector<engine::EncodedImage> images;
  const auto n_images = static_cast<int32_t>(pictures.size());
  images.reserve(pictures.size());
  for (int32_t i = 0; i < n_images; ++i) {
    const engine::TowerRequest request = session.tower_request(options, n_images, i);
    images.push_back(session.encode(pictures[static_cast<std::size_t>(i)], engine::ImageFit::Crop, request));
  }
  std::vector<const engine::EncodedImage*> refs;
  for (const engine::EncodedImage& image : images) refs.push_back(&image);
  return decode_turn(session, session.prefill(prompt, refs, options, n_decode), n_decode, forced);
}

Turn decode_turn(engine::Session& session, engine::PrefillResult prefill, int32_t n_decode,
                 const std::vector<int32_t>& forced) {
  Turn run;
  run.prefill = std::move(prefill);
  run.kv_allocated = session.cache().bytes_allocated();
  const std::vector<float>* logits = &run.prefill.logits;
  const int32_t n = forced.empty() ? n_decode : static_cast<int32_t>(forced.size());
  for (int32_t i = 0; i < n; ++i) {
    run.tokens.push_back(forced.empty() ? argmax(*logits) : forced[static_cast<std::size_t>(i)]);
    run.step_logits.push_back(session.decode(run.tokens.back()));
    logits = &run.step_logits.back();
  }
  return run;
}

double worst_error(std::span<const float> actual, std::span<const float> expected) {
  return worst<float>(actual, expected);
}

double worst_error(std::span<const float> actual, std::span<const double> expected) {
  return worst<double>(actual, expected);
}

int32_t argmax(std::span<const float> values) {
  return static_cast<int32_t>(std::max_element(values.begin(), values.end()) - values.begin());
}

}  // namespace winnow::testing
