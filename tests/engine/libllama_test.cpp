// The decoder against libllama on the same file and the same embeddings.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/engine_models.h"
#include "tests/support/libllama_logits.h"
#include "winnow/engine/gguf_writer.h"
#include "winnow/engine/weight_types.h"

namespace winnow::engine {
namespace {

using testing::argmax;
using testing::libllama_logits;
using testing::synth_files;
using testing::worst_error;

constexpr int32_t kTokens = 40;
constexpr int32_t kVocab = 512;

std::vector<float> winnow_logits(const Model& model, const std::vector<int32_t>& ids,
                                 const std::string& kv_type, FlashAttention flash) {
  SessionOptions options = testing::threads(1);
  options.kv_type = kv_type;
  options.flash = flash;
  Session session(std::shared_ptr<const Model>(&model, [](const Model*) {}), options);
  return session.prefill({{ids, -1}}, {}, {}, 0, true).logits;
}

struct Compared {
  double error = INFINITY;
  int32_t n_argmax_equal = 0;
};

/// peer_kv_type, peer_flash: of libllama; by default as Winnow's.
Compared compare(const SynthFiles& files, bool f32, const std::string& kv_type, bool flash,
                 const std::string& peer_kv_type = "", std::optional<bool> peer_flash = {}) {
  const auto model = testing::load_model(files, f32);
  const std::vector<int32_t> ids = testing::text_ids(4, kTokens);
  const auto actual = winnow_logits(*model, ids, kv_type, flash ? FlashAttention::On : FlashAttention::Off);
  const auto embeddings = embed_tokens(model->llama(), model->text_file(), ids);
  const std::string& peer_kv = peer_kv_type.empty() ? kv_type : peer_kv_type;
  const auto type = peer_kv == "f32" ? GGML_TYPE_F32 : peer_kv == "q8_0" ? GGML_TYPE_Q8_0 : GGML_TYPE_F16;
  const auto expected = libllama_logits(files.text, embeddings, type, peer_flash.value_or(flash));
  Compared out;
  if (expected.size() != kTokens * kVocab || actual.size() != expected.size()) return out;
  out.error = worst_error(actual, expected);
  for (std::size_t at = 0; at < actual.size(); at += kVocab) {
    out.n_argmax_equal +=
        argmax(std::span(actual).subspan(at, kVocab)) == argmax(std::span(expected).subspan(at, kVocab));
  }
  return out;
}

SynthShape shape(const std::string& name) {
  SynthShape s = synth_shape("tiny");
  s.name = name;
  return s;
}

void expect_equal_in_f32(const SynthShape& s) {
  const Compared result = compare(synth_files(s), true, "f32", false);
  EXPECT_LE(result.error, 1e-4) << s.name << " (the requirement is 1e-3)";
  EXPECT_EQ(result.n_argmax_equal, kTokens) << s.name;
}

TEST(Libllama, GroupedQueryAttention) { expect_equal_in_f32(shape("gqa")); }

TEST(Libllama, MultiHeadAttention) {
  SynthShape s = shape("mha");
  s.n_head_kv = s.n_head;
  expect_equal_in_f32(s);
  s.name = "mqa";
  s.n_head_kv = 1;
  expect_equal_in_f32(s);
}

/// Files of the architecture qwen2: biases, and halves of each head that rotate.
TEST(Libllama, Qwen2) {
  SynthShape s = synth_shape("tiny-onevision");
  expect_equal_in_f32(s);
  s.name = "tied-qwen2";
  s.tied_output = true;
  s.rope_freq_base = 1e6F;
  expect_equal_in_f32(s);
}

TEST(Libllama, TiedOutput) {
  SynthShape s = shape("tied");
  s.tied_output = true;
  expect_equal_in_f32(s);
}

TEST(Libllama, RopeScaling) {
  SynthShape s = shape("linear");
  s.rope_scaling = "linear";
  s.rope_factor = 2.5F;
  s.rope_freq_base = 50000.0F;
  expect_equal_in_f32(s);
  s = shape("yarn");
  s.rope_scaling = "yarn";
  s.rope_factor = 4.0F;
  s.rope_original_ctx = 128;
  expect_equal_in_f32(s);
}

/// A copy of a file with one more tensor, or with keys changed by `edit`.
template <class F>
std::string edited_copy(const std::string& path, const std::string& name, F edit) {
  const GgufFile file(path);
  const std::string copy = testing::scratch_folder() + "/" + name + ".gguf";
  GgufWriter writer(copy);
  std::vector<std::pair<std::string, std::vector<float>>> more;
  for (const char* key :
       {"llama.block_count", "llama.context_length", "llama.embedding_length", "llama.feed_forward_length",
        "llama.attention.head_count", "llama.attention.head_count_kv", "llama.rope.dimension_count",
        "llama.vocab_size"}) {
    if (file.has(key)) writer.set_u32(key, static_cast<uint32_t>(file.integer(key, 0, 1 << 30)));
  }
  for (const char* key : {"general.architecture", "tokenizer.ggml.model", "tokenizer.ggml.pre"}) {
    if (file.has(key)) writer.set_str(key, file.text(key));
  }
  for (const char* key : {"llama.attention.layer_norm_rms_epsilon", "llama.rope.freq_base"}) {
    writer.set_f32(key, static_cast<float>(file.real(key)));
  }
  for (const char* key : {"tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id"}) {
    writer.set_u32(key, static_cast<uint32_t>(file.integer(key, 0, 1 << 30)));
  }
  writer.set_str_array("tokenizer.ggml.tokens", file.texts("tokenizer.ggml.tokens"));
  const auto numbers = file.numbers("tokenizer.ggml.scores");
  writer.set_f32_array("tokenizer.ggml.scores", std::vector<float>(numbers.begin(), numbers.end()));
  const auto types = file.numbers("tokenizer.ggml.token_type");
  writer.set_i32_array("tokenizer.ggml.token_type", std::vector<int32_t>(types.begin(), types.end()));
  edit(writer, more);
  for (const GgufTensor& t : file.tensors()) writer.add_tensor(t.name, t.type, t.ne);
  for (const auto& [tensor, values] : more) {
    const int64_t ne[] = {static_cast<int64_t>(values.size())};
    writer.add_tensor(tensor, GGML_TYPE_F32, ne);
  }
  writer.begin();
  for (const GgufTensor& t : file.tensors()) writer.write(t.name, file.bytes(t));
  for (const auto& [tensor, values] : more) {
    const auto* bytes = reinterpret_cast<const uint8_t*>(values.data());
    writer.write(tensor, {bytes, values.size() * sizeof(float)});
  }
  writer.finish();
  return copy;
}

TEST(Libllama, RopeFactorsOfTheFileAreUsed) {
  SynthFiles files = synth_files(shape("gqa"));
  const std::string plain = files.text;
  files.text = edited_copy(plain, "rope_freqs", [](GgufWriter&, auto& more) {
    std::vector<float> factors;
    for (int i = 0; i < 16; ++i) factors.push_back(1.0F + 0.5F * static_cast<float>(i));
    more.emplace_back("rope_freqs.weight", factors);
  });
  const Compared result = compare(files, true, "f32", false);
  EXPECT_LE(result.error, 1e-4);
  const auto with = testing::load_model(files);
  const auto without = testing::load_model({plain, files.mmproj});
  const auto ids = testing::text_ids(4, kTokens);
  EXPECT_NE(winnow_logits(*with, ids, "f32", FlashAttention::Off),
            winnow_logits(*without, ids, "f32", FlashAttention::Off));
}

// Bounds where the two round at different places. With the same settings on both sides the logits are the
// same bit for bit on x86-64 (the same kernels on the same numbers); the constants are for one side fused and
// the other not, or a cache of another type, and leave room for other machines' kernels.
// Measured: f16 cache with one side fused 5.4e-4, f16 against f32 cache 2.8e-4, q8_0 against f16
// cache 7.9e-3, one side fused with bf16 weights 3.8e-3, q8_0 1.3e-2, 4 to 6 bits 2.0e-2 (activations are
// rounded to 8 bits).
constexpr double kHalfBound = 3e-3;
constexpr double kQuantisedBound = 5e-2;

TEST(Libllama, HalfPrecisionCache) {
  const SynthFiles files = synth_files(shape("gqa"));
  for (const bool flash : {false, true}) {
    for (const bool peer_flash : {false, true}) {
      const Compared result = compare(files, false, "f16", flash, "f16", peer_flash);
      EXPECT_LE(result.error, kHalfBound) << flash << peer_flash;
      EXPECT_GE(result.n_argmax_equal, kTokens - 1) << flash << peer_flash;
    }
  }
  const Compared against_f32 = compare(files, false, "f16", false, "f32", false);
  EXPECT_LE(against_f32.error, kHalfBound);
  EXPECT_GT(against_f32.error, 1e-6) << "a comparison that sees nothing is worth nothing";
}

TEST(Libllama, QuantisedCache) {
  const SynthFiles files = synth_files(shape("gqa"));
  for (const char* peer : {"q8_0", "f16"}) {
    const Compared result = compare(files, false, "q8_0", true, peer);
    EXPECT_LE(result.error, kQuantisedBound);
    EXPECT_GE(result.n_argmax_equal, kTokens * 9 / 10);
  }
}

class LibllamaTypes : public ::testing::TestWithParam<std::string> {};

TEST_P(LibllamaTypes, WeightsOfTheTypeGiveCloseLogits) {
  const SynthFiles files = synth_files(shape("types"), parse_weight_type(GetParam()));
  for (const bool peer_flash : {true, false}) {
    const Compared result = compare(files, false, "f16", true, "f16", peer_flash);
    EXPECT_LE(result.error, kQuantisedBound);
    EXPECT_GE(result.n_argmax_equal, kTokens * 9 / 10);
  }
}

INSTANTIATE_TEST_SUITE_P(EveryType, LibllamaTypes, ::testing::ValuesIn(weight_type_names()),
                         [](const auto& param) { return param.param; });

}  // namespace
}  // namespace winnow::engine
