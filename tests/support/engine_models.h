#pragma once

// Small models, pictures and whole runs for the engine's tests.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/reference_llava.h"
#include "winnow/engine/gguf_writer.h"
#include "winnow/engine/model.h"
#include "winnow/engine/session.h"
#include "winnow/engine/synth.h"
#include "winnow/record/safetensors.h"

namespace winnow::testing {

// The model of tests/data/llava15: 5 decoder layers, 6 heads, 36 visual tokens from index 7 of 52 on.
inline constexpr int32_t kOracleImageToken = 500;
inline constexpr int32_t kOracleVisual = 36;
inline constexpr int32_t kOracleFirstVisual = 7;
inline constexpr int32_t kOracleTowerLayers = 4;

std::string oracle_path(const std::string& name);
/// Hugging Face's results for exact.png.
const record::TensorFile& oracle_results();
/// Loaded once per process.
std::shared_ptr<const engine::Model> oracle_model(bool f32 = true);
/// The same model with all four tower blocks stored, so that the block behind the features can be looked at.
std::shared_ptr<const engine::Model> complete_oracle_model(bool f32 = true);
const ReferenceLlava& oracle_reference();
/// The prompt of the results: text, image, text.
engine::Prompt oracle_prompt();

// The model of tests/data/llava_next: 52 visual tokens from index 7 of 68 on, 4 of them newlines.
std::string next_path(const std::string& name);
const record::TensorFile& next_results();
std::shared_ptr<const engine::Model> next_model(bool f32 = true);
engine::Image next_picture();
/// The prompt of the results.
engine::Prompt next_prompt();

// The model of tests/data/qwen2_vl: 24 visual tokens (4 x 6) from index 8 of 42 on.
std::string qwen_path(const std::string& name);
/// Results for exact.png, or for resize.png.
const record::TensorFile& qwen_results(bool resized = false);
std::shared_ptr<const engine::Model> qwen_model(bool f32 = true);
engine::Image qwen_picture(bool resized = false);
/// The prompt of the results.
engine::Prompt qwen_prompt(bool resized = false);

/// The same decoder behind a random tower of Qwen2.5-VL's kind: 4 blocks of width 64, of which the second and
/// the last attend to all and the others in windows of 8 x 8 patches. Loaded once per process.
engine::SynthShape windowed_shape();
std::string windowed_path(const std::string& name);  ///< "text.gguf" or "mmproj.gguf"
std::shared_ptr<const engine::Model> windowed_model(bool f32 = true);

/// Folder of this process for files made by tests, removed at its end.
const std::string& scratch_folder();
/// A GGUF file there with nothing but metadata: set_keys writes it. Returns the path.
std::string keys_file(const std::string& name, const std::function<void(engine::GgufWriter&)>& set_keys);
/// A random-weight pair, written once per process for each name, type and seed.
engine::SynthFiles synth_files(const engine::SynthShape& shape, ggml_type type = GGML_TYPE_F32,
                               uint64_t seed = 5);
/// synth "tiny" (grouped-query attention, 4 layers, 16 visual tokens), loaded once per process.
std::shared_ptr<const engine::Model> tiny_model(bool f32 = true);
/// synth "tiny-onevision" (16 visual tokens of each tile, 36 to 55 of a picture), loaded once per process.
std::shared_ptr<const engine::Model> onevision_model(bool f32 = true);
std::shared_ptr<const engine::Model> load_model(const engine::SynthFiles& files, bool f32 = true);

engine::SessionOptions threads(int32_t n);
/// A picture with structure at several scales, different for every seed.
engine::Image picture(uint64_t seed, int32_t width, int32_t height);
/// n text tokens that the vocabularies of all small models hold, different for every seed.
std::vector<int32_t> text_ids(uint64_t seed, int32_t n);

/// False when the model cannot give a signal that the method reads with its defaults.
bool can_run(const engine::Model& model, std::string_view method);
/// One step; an empty method gives no steps.
engine::PruneOptions prune_with(std::string_view method, std::string_view keep, int32_t layer,
                                const engine::Model& model);

/// A whole turn: pictures through the tower, prompt, then the tokens of `forced`, or greedy ones, one by one.
struct Turn {
  engine::PrefillResult prefill;
  std::vector<std::vector<float>> step_logits;  ///< after every decoded token
  std::vector<int32_t> tokens;                  ///< the decoded tokens
  int64_t kv_allocated = 0;                     ///< right after the prefill
};
Turn run_turn(engine::Session& session, const engine::Prompt& prompt,
              const std::vector<engine::Image>& pictures, const engine::PruneOptions& options,
              int32_t n_decode = 0, const std::vector<int32_t>& forced = {});
/// The same from a prefill on.
Turn decode_turn(engine::Session& session, engine::PrefillResult prefill, int32_t n_decode,
                 const std::vector<int32_t>& forced = {});

/// max |a - b| / max(1, max |b|), as Hugging Face's results are compared; infinite when the sizes differ or a
/// value is no number.
double worst_error(std::span<const float> actual, std::span<const float> expected);
double worst_error(std::span<const float> actual, std::span<const double> expected);
int32_t argmax(std::span<const float> values);

}  // namespace winnow::testing
