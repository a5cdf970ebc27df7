// libllama reads the random models: its loader and tokenizer are stricter judges of the files than our own
// reader.

#include <ggml-backend.h>
#include <gtest/gtest.h>
#include <llama.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/reference_llava.h"
#include "winnow/engine/synth.h"
#include "winnow/engine/weight_types.h"

namespace winnow::engine {
namespace {

namespace fs = std::filesystem;
using ModelPtr = std::unique_ptr<llama_model, void (*)(llama_model*)>;
using ContextPtr = std::unique_ptr<llama_context, void (*)(llama_context*)>;

ModelPtr load(const std::string& path, bool vocab_only) {
  static const bool loaded = [] {
    llama_log_set([](ggml_log_level, const char*, void*) {}, nullptr);
    const std::string folder = WINNOW_GGML_BACKEND_DIR;
    folder.empty() ? ggml_backend_load_all() : ggml_backend_load_all_from_path(folder.c_str());
    return true;
  }();
  (void)loaded;
  llama_model_params params = llama_model_default_params();
  params.vocab_only = vocab_only;
  params.n_gpu_layers = 0;
  return {llama_model_load_from_file(path.c_str(), params), llama_model_free};
}

std::vector<llama_token> tokenize(const llama_vocab* vocab, const std::string& text, bool specials) {
  std::vector<llama_token> tokens(text.size() + 8);
  const int32_t n = llama_tokenize(vocab, text.c_str(), static_cast<int32_t>(text.size()), tokens.data(),
                                   static_cast<int32_t>(tokens.size()), specials, specials);
  tokens.resize(static_cast<std::size_t>(std::max(n, 0)));
  return tokens;
}

std::string detokenize(const llama_vocab* vocab, const std::vector<llama_token>& tokens) {
  std::string text(tokens.size() * 16, ' ');
  const int32_t n = llama_detokenize(vocab, tokens.data(), static_cast<int32_t>(tokens.size()), text.data(),
                                     static_cast<int32_t>(text.size()), true, false);
  text.resize(static_cast<std::size_t>(std::max(n, 0)));
  return text;
}

/// Logits of the last token, or nothing when libllama refuses the file.
std::vector<float> decode(const std::string& path, std::vector<llama_token> ids) {
  const ModelPtr model = load(path, false);
  if (model == nullptr) return {};
  llama_context_params params = llama_context_default_params();
  params.n_ctx = 128;
  params.n_threads = params.n_threads_batch = 1;
  params.type_k = params.type_v = GGML_TYPE_F32;
  params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
  const ContextPtr context(llama_init_from_model(model.get(), params), llama_free);
  if (context == nullptr) return {};
  if (llama_decode(context.get(), llama_batch_get_one(ids.data(), static_cast<int32_t>(ids.size()))) != 0)
    return {};
  const float* logits = llama_get_logits_ith(context.get(), -1);
  return {logits, logits + llama_vocab_n_tokens(llama_model_get_vocab(model.get()))};
}

class SynthLlamaTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(::testing::TempDir()) /
              (std::string("synth_llama_") + ::testing::UnitTest::GetInstance()->current_test_info()->name());
  }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path folder_;
};

TEST_F(SynthLlamaTest, TokenizerTakesAnyText) {
  for (const int32_t n_vocab : {512, 32000}) {
    SynthShape shape = synth_shape("tiny");
    shape.n_vocab = n_vocab;
    const ModelPtr model = load(synth_model(shape, GGML_TYPE_Q4_0, 1, folder_).text, true);
    ASSERT_NE(model, nullptr);
    const llama_vocab* vocab = llama_model_get_vocab(model.get());
    EXPECT_EQ(llama_vocab_n_tokens(vocab), n_vocab);
    EXPECT_EQ(llama_vocab_bos(vocab), 1);
    EXPECT_EQ(llama_vocab_eos(vocab), 2);
    EXPECT_TRUE(llama_vocab_is_eog(vocab, 2));
    for (const std::string text : {"USER: What is in the picture?\nASSISTANT:",
                                   "Gr\xc3\xbc\xc3\x9f"
                                   "e \xe4\xbd\xa0\xe5\xa5\xbd \xf0\x9f\x90\x88",
                                   "a  b\t<c> 3.14 \\ \"q\" ~"}) {
      const std::vector<llama_token> tokens = tokenize(vocab, text, true);
      ASSERT_FALSE(tokens.empty());
      EXPECT_EQ(tokens[0], 1) << "begins with <s>";
      EXPECT_EQ(std::count(tokens.begin(), tokens.end(), 0), 0) << "no <unk> in " << text;
      EXPECT_EQ(detokenize(vocab, {tokens.begin() + 1, tokens.end()}), text);
    }
    EXPECT_EQ(tokenize(vocab, "</s>", true).back(), 2) << "special tokens are parsed";
    EXPECT_LT(tokenize(vocab, "the other", false).size(), 9U) << "letters join";
  }
}

TEST_F(SynthLlamaTest, LlamaDecodesAsTheReferenceDoes) {
  const std::vector<llama_token> ids = {1, 300, 301, 400, 500, 350, 277, 33};
  std::vector<int32_t> positions;
  for (std::size_t i = 0; i < ids.size(); ++i) positions.push_back(static_cast<int32_t>(i));
  for (const bool odd : {false, true}) {
    SynthShape shape = synth_shape("tiny");
    if (odd) {
      shape.tied_output = true;
      shape.n_head_kv = 1;
      shape.rope_scaling = "linear";
      shape.rope_factor = 2.0F;
    }
    const std::string path = synth_model(shape, GGML_TYPE_F32, 5, folder_).text;
    const std::vector<float> logits = decode(path, ids);
    ASSERT_EQ(logits.size(), static_cast<std::size_t>(shape.n_vocab));
    const testing::ReferenceLlava reference(path, "");
    const auto expected = reference.forward(reference.embed(ids, -1, {}), positions).logits;
    double worst = 0.0;
    for (std::size_t i = 0; i < logits.size(); ++i) {
      const auto difference =
          std::abs(static_cast<double>(logits[i]) - expected.at(expected.rows - 1, static_cast<int64_t>(i)));
      ASSERT_TRUE(std::isfinite(difference));
      worst = std::max(worst, difference);
    }
    EXPECT_LE(worst, 1e-3) << (odd ? "tied, one key head, linear rope" : "plain");
  }
}

TEST_F(SynthLlamaTest, EveryTypeLoadsAndGivesFiniteLogits) {
  for (const std::string& name : weight_type_names()) {
    const std::string path = synth_model(synth_shape("tiny"), parse_weight_type(name), 5, folder_).text;
    const std::vector<float> logits = decode(path, {1, 300, 301, 400});
    ASSERT_EQ(logits.size(), 512U) << name;
    for (const float value : logits) ASSERT_TRUE(std::isfinite(value)) << name;
  }
}

TEST_F(SynthLlamaTest, YarnFilesLoad) {
  SynthShape shape = synth_shape("tiny");
  shape.rope_scaling = "yarn";
  shape.rope_factor = 4.0F;
  shape.rope_original_ctx = 128;
  EXPECT_EQ(decode(synth_model(shape, GGML_TYPE_F32, 5, folder_).text, {1, 300, 301}).size(), 512U);
}

}  // namespace
}  // namespace winnow::engine
