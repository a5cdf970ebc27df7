#include "winnow/engine/synth.h"

#include <gguf.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <numeric>

#include "tests/support/reference_llava.h"
#include "winnow/base/error.h"
#include "winnow/engine/synth_vocab.h"
#include "winnow/engine/weight_types.h"

namespace winnow::engine {
namespace {

namespace fs = std::filesystem;
using GgufPtr = std::unique_ptr<gguf_context, void (*)(gguf_context*)>;

class SynthTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(::testing::TempDir()) /
              (std::string("synth_") + ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  std::string folder(const std::string& name) const { return (folder_ / name).string(); }

  fs::path folder_;
};

std::string bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

GgufPtr open_gguf(const std::string& path) {
  return {gguf_init_from_file(path.c_str(), {.no_alloc = true, .ctx = nullptr}), gguf_free};
}

ggml_type type_of(const GgufPtr& file, const char* name) {
  const int64_t i = gguf_find_tensor(file.get(), name);
  return i < 0 ? GGML_TYPE_COUNT : gguf_get_tensor_type(file.get(), i);
}

TEST_F(SynthTest, SameSeedGivesTheSameBytes) {
  const SynthFiles a = synth_model(synth_shape("tiny"), GGML_TYPE_Q4_K, 7, folder("a"));
  const SynthFiles b = synth_model(synth_shape("tiny"), GGML_TYPE_Q4_K, 7, folder("b"));
  const SynthFiles c = synth_model(synth_shape("tiny"), GGML_TYPE_Q4_K, 8, folder("c"));
  EXPECT_EQ(fs::path(a.text).filename(), "tiny-text-q4_K.gguf");
  EXPECT_EQ(fs::path(a.mmproj).filename(), "tiny-mmproj-f16.gguf");
  EXPECT_GT(bytes_of(a.text).size(), 100'000U);
  EXPECT_TRUE(bytes_of(a.text) == bytes_of(b.text));
  EXPECT_TRUE(bytes_of(a.mmproj) == bytes_of(b.mmproj));
  EXPECT_FALSE(bytes_of(a.text) == bytes_of(c.text));
  EXPECT_FALSE(bytes_of(a.mmproj) == bytes_of(c.mmproj));
}

TEST_F(SynthTest, EveryTypeStoresMatricesAsLlamaCppDoes) {
  for (const std::string& name : weight_type_names()) {
    const ggml_type type = parse_weight_type(name);
    const SynthFiles files = synth_model(synth_shape("tiny"), type, 1, folder(name));
    const GgufPtr text = open_gguf(files.text);
    const GgufPtr mmproj = open_gguf(files.mmproj);
    ASSERT_TRUE(text && mmproj) << name;
    const bool mixed = ggml_is_quantized(type) && type != GGML_TYPE_Q8_0;
    EXPECT_EQ(type_of(text, "blk.3.ffn_down.weight"), type) << name;
    EXPECT_EQ(type_of(text, "token_embd.weight"), type) << name;
    EXPECT_EQ(type_of(text, "output.weight"), mixed ? GGML_TYPE_Q6_K : type) << name;
    EXPECT_EQ(type_of(text, "blk.0.attn_norm.weight"), GGML_TYPE_F32) << name;
    EXPECT_EQ(type_of(mmproj, "v.blk.2.attn_q.weight"), type == GGML_TYPE_F32 ? type : GGML_TYPE_F16) << name;
    EXPECT_EQ(type_of(mmproj, "v.position_embd.weight"), GGML_TYPE_F32) << name;
  }
}

TEST_F(SynthTest, OptionsChangeTheFiles) {
  SynthShape shape = synth_shape("tiny");
  shape.tied_output = true;
  shape.all_blocks = true;
  shape.use_gelu = true;
  shape.n_head_kv = 1;
  shape.rope_scaling = "yarn";
  shape.rope_factor = 4.0F;
  shape.rope_original_ctx = 128;
  const SynthFiles files = synth_model(shape, GGML_TYPE_F32, 1, folder("a"));
  const GgufPtr text = open_gguf(files.text);
  const GgufPtr mmproj = open_gguf(files.mmproj);
  ASSERT_TRUE(text && mmproj);
  EXPECT_EQ(gguf_find_tensor(text.get(), "output.weight"), -1);
  const int64_t k = gguf_find_tensor(text.get(), "blk.0.attn_k.weight");
  ASSERT_GE(k, 0);
  EXPECT_EQ(gguf_get_tensor_ne(text.get(), k)[0], 256);
  EXPECT_EQ(gguf_get_tensor_ne(text.get(), k)[1], 32);
  EXPECT_STREQ(gguf_get_val_str(text.get(), gguf_find_key(text.get(), "llama.rope.scaling.type")), "yarn");
  EXPECT_EQ(gguf_get_val_f32(text.get(), gguf_find_key(text.get(), "llama.rope.scaling.factor")), 4.0F);
  EXPECT_EQ(gguf_get_val_u32(mmproj.get(), gguf_find_key(mmproj.get(), "clip.vision.block_count")), 4U);
  EXPECT_GE(gguf_find_tensor(mmproj.get(), "v.blk.3.ln1.weight"), 0);
  EXPECT_TRUE(gguf_get_val_bool(mmproj.get(), gguf_find_key(mmproj.get(), "clip.use_gelu")));
}

std::vector<float> noise_pixels(int32_t size_px) {
  std::vector<float> pixels(static_cast<std::size_t>(3 * size_px * size_px));
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = std::sin(0.37F * static_cast<float>(i % 9973));
  return pixels;
}

/// The random model must behave like one: finite, of order 1, attention far from flat, and the same in every
/// packing.
TEST_F(SynthTest, ActivationsAreOfOrderOneAndAttentionIsNotFlat) {
  SynthShape shape = synth_shape("tiny");
  const SynthFiles legacy = synth_model(shape, GGML_TYPE_F32, 3, folder("legacy"));
  shape.all_blocks = true;
  const SynthFiles complete = synth_model(shape, GGML_TYPE_F32, 3, folder("complete"));
  const testing::ReferenceLlava model(legacy.text, legacy.mmproj);
  const testing::RefFeatures features = model.encode(noise_pixels(shape.image_px), shape.tower_layers);
  EXPECT_EQ(testing::ReferenceLlava(complete.text, complete.mmproj)
                .encode(noise_pixels(shape.image_px), shape.tower_layers)
                .projected.values,
            features.projected.values);

  const std::vector<int32_t> ids = {1,  300, 301, -1, -1, -1, -1, -1, -1,  -1, -1,
                                    -1, -1,  -1,  -1, -1, -1, -1, -1, 310, 320};
  std::vector<int32_t> positions(ids.size());
  std::iota(positions.begin(), positions.end(), 0);
  const testing::RefForward out = model.forward(model.embed(ids, -1, features.projected), positions);
  const auto rms = [](const testing::RefMatrix& m) {
    double sum = 0.0;
    for (const double v : m.values) sum += v * v;
    return std::sqrt(sum / static_cast<double>(m.values.size()));
  };
  EXPECT_GT(rms(features.projected), 0.1);
  EXPECT_LT(rms(features.projected), 10.0);
  EXPECT_GT(rms(out.logits), 1.0);
  EXPECT_LT(rms(out.logits), 10.0);
  for (const auto& layer : out.attention) {
    double peak = 0.0;
    for (const testing::RefMatrix& probs : layer) {
      const auto row = probs.row(probs.rows - 1);
      peak += *std::max_element(row.begin(), row.end()) / static_cast<double>(layer.size());
    }
    EXPECT_GT(peak, 3.0 / static_cast<double>(ids.size())) << "flat attention";
    EXPECT_LT(peak, 0.95) << "attention on one token";
  }
}

TEST(SynthVocab, HasTheSizeAskedForAndNoTokenTwice) {
  for (const int32_t n : {354, 512, 32000, 32064, 128'000}) {
    SpmVocab vocab = synth_vocab(n);
    ASSERT_EQ(vocab.tokens.size(), static_cast<std::size_t>(n));
    EXPECT_EQ(vocab.scores.size(), vocab.tokens.size());
    EXPECT_EQ(vocab.types.size(), vocab.tokens.size());
    std::sort(vocab.tokens.begin(), vocab.tokens.end());
    EXPECT_EQ(std::adjacent_find(vocab.tokens.begin(), vocab.tokens.end()), vocab.tokens.end());
  }
  EXPECT_THROW(synth_vocab(353), Error);
  EXPECT_THROW(synth_vocab(900'001), Error);
}

TEST(SynthShapes, NamesTypesAndErrors) {
  EXPECT_EQ(synth_shape("llava-1.5-13b").n_ff, 13824);
  EXPECT_THROW(synth_shape("llava-2"), Error);
  EXPECT_EQ(parse_weight_type("Q4_K"), GGML_TYPE_Q4_K);
  EXPECT_EQ(parse_weight_type("q4_k"), GGML_TYPE_Q4_K);
  EXPECT_THROW(parse_weight_type("q3"), Error);
  EXPECT_EQ(synth_shape_names().size(), 13U);
  EXPECT_EQ(synth_shape("llava-next-7b").resolutions.size(), 5U);
  EXPECT_EQ(synth_shape("llava-next-mistral-7b").n_head_kv, 8);
  EXPECT_TRUE(synth_shape("llava-1.5-7b").resolutions.empty());
}

TEST_F(SynthTest, BadShapesAreRefusedBeforeAnythingIsWritten) {
  const auto refused = [&](auto change, ggml_type type = GGML_TYPE_F32) {
    SynthShape shape = synth_shape("tiny");
    change(shape);
    try {
      synth_model(shape, type, 1, folder("a"));
    } catch (const Error& error) {
      return error.code() == ErrorCode::InvalidArgument && !fs::exists(folder("a"));
    }
    return false;
  };
  EXPECT_TRUE(refused([](SynthShape& s) { s.n_embd = 0; }));
  EXPECT_TRUE(refused([](SynthShape& s) { s.n_head = 7; }));
  EXPECT_TRUE(refused([](SynthShape& s) { s.n_head_kv = 3; }));
  EXPECT_TRUE(refused([](SynthShape& s) { s.tower_head = 5; }));
  EXPECT_TRUE(refused([](SynthShape& s) { s.patch_px = 13; }));
  EXPECT_TRUE(refused([](SynthShape& s) { s.merge = 0; }));
  EXPECT_TRUE(refused([](SynthShape& s) { s.merge = 3; }));
  EXPECT_TRUE(refused([](SynthShape& s) { s.pool = 3; }));
  EXPECT_TRUE(refused([](SynthShape& s) { s.merge = s.pool = 2; }));
  EXPECT_TRUE(refused([](SynthShape& s) { s.tower_layers = 1; }));
  EXPECT_TRUE(refused([](SynthShape& s) { s.n_vocab = 100; }));
  EXPECT_TRUE(refused([](SynthShape& s) { s.rope_scaling = "cubic"; }));
  EXPECT_TRUE(refused([](SynthShape& s) { s.name = "a/b"; }));
  EXPECT_TRUE(refused([](SynthShape& s) { s.n_ff = 320; }, GGML_TYPE_Q4_K));
  EXPECT_TRUE(refused([](SynthShape&) {}, GGML_TYPE_IQ2_XXS));
}

TEST_F(SynthTest, UnwritableFolderNamesIt) {
  fs::create_directories(folder_);
  std::ofstream(folder("file")) << "x";
  try {
    synth_model(synth_shape("tiny"), GGML_TYPE_F32, 1, folder("file"));
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::Io);
    EXPECT_NE(std::string(error.what()).find(folder("file")), std::string::npos);
  }
}

}  // namespace
}  // namespace winnow::engine
