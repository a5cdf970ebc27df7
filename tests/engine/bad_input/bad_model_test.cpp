// A valid pair of small files, damaged in one place at a time: Model::load must throw an Error that names the
// file, or load. It must never abort, and what it throws is never Internal.

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <set>

#include "tests/engine/bad_input/gguf_parts.h"
#include "winnow/base/error.h"
#include "winnow/engine/model.h"
#include "winnow/engine/synth.h"

namespace winnow::test {
namespace {

using engine::Model;

engine::SynthShape small_shape() {
  engine::SynthShape shape;
  shape.name = "small";
  shape.n_embd = shape.n_ff = shape.tower_embd = 32;
  shape.tower_ff = 64;
  shape.n_layer = 1;
  shape.n_head = shape.tower_head = 2;
  shape.n_head_kv = 2;
  shape.n_vocab = 360;
  shape.n_ctx = 64;
  shape.tower_layers = 2;
  shape.image_px = 8;
  shape.patch_px = 4;
  return shape;
}

/// The pair as written, and the parts that a test damages.
class BadModel : public testing::TestWithParam<const char*> {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::filesystem::temp_directory_path() / fmt::format("winnow-bad-model-{}", ::getpid());
    files_ = engine::synth_model(small_shape(), GGML_TYPE_F32, 1, folder_.string());
    engine::SynthShape towered = small_shape();
    towered.name = "towered";
    towered.text_tower = true;
    towered.clip_text_embd = 16;
    towered.clip_text_ff = 24;
    towered.clip_text_layers = 1;
    towered.clip_text_head = 2;
    towered.clip_text_ctx = 8;
    towered.clip_joint = 12;
    towered_ = engine::synth_model(towered, GGML_TYPE_F32, 1, folder_.string()).mmproj;
    engine::SynthShape windowed = small_shape();
    windowed.name = "windowed";
    windowed.qwen2_vl = windowed.all_blocks = true;
    windowed.tower_cls = false;
    windowed.merge = 2;
    windowed.window_px = 8;
    windowed.full_every = 2;
    windowed_ = engine::synth_model(windowed, GGML_TYPE_F32, 1, folder_.string());
  }
  static void TearDownTestSuite() { std::filesystem::remove_all(folder_); }

  bool is_text() const { return std::string_view(GetParam()) == "text"; }
  bool is_windowed() const { return std::string_view(GetParam()) == "windowed"; }
  std::string original() const {
    if (std::string_view(GetParam()) == "towered") return towered_;
    if (is_windowed()) return windowed_.mmproj;
    return is_text() ? files_.text : files_.mmproj;
  }
  GgufParts parts() const { return read_parts(original()); }

  /// Empty: it loads. Otherwise the message of the Error; fails on one that is Internal or does not say
  /// where.
  std::string outcome(const std::vector<uint8_t>& bytes) const {
    const std::string damaged = (folder_ / "damaged.gguf").string();
    write_bytes(damaged, bytes);
    engine::ModelOptions options;
    options.text_path = is_text() ? damaged : is_windowed() ? windowed_.text : files_.text;
    options.mmproj_path = is_text() ? files_.mmproj : damaged;
    try {
      Model::load(options);
      return "";
    } catch (const Error& error) {
      EXPECT_NE(error.code(), ErrorCode::Internal) << error.what();
      EXPECT_NE(std::string(error.what()).find(damaged), std::string::npos) << error.what();
      return error.what();
    }
  }
  std::string outcome(const GgufParts& parts) const { return outcome(file_bytes(parts)); }

  static std::filesystem::path folder_;
  static engine::SynthFiles files_;
  static std::string towered_;          ///< an mmproj file with CLIP's text tower
  static engine::SynthFiles windowed_;  ///< a Qwen2.5-VL
};

std::filesystem::path BadModel::folder_;
engine::SynthFiles BadModel::files_;
std::string BadModel::towered_;
engine::SynthFiles BadModel::windowed_;

INSTANTIATE_TEST_SUITE_P(Files, BadModel, testing::Values("text", "mmproj", "towered", "windowed"),
                         [](const auto& which) { return std::string(which.param); });

/// Keys without which, or with another type of which, no model can be built.
const std::set<std::string> kNeeded = {"general.architecture",
                                       "llama.block_count",
                                       "llama.context_length",
                                       "llama.embedding_length",
                                       "llama.feed_forward_length",
                                       "llama.attention.head_count",
                                       "llama.attention.layer_norm_rms_epsilon",
                                       "tokenizer.ggml.model",
                                       "tokenizer.ggml.tokens",
                                       "clip.vision.image_size",
                                       "clip.vision.patch_size",
                                       "clip.vision.embedding_length",
                                       "clip.vision.feed_forward_length",
                                       "clip.vision.attention.head_count",
                                       "clip.vision.block_count",
                                       "clip.vision.attention.layer_norm_epsilon",
                                       "clip.vision.image_mean",
                                       "clip.vision.image_std",
                                       "clip.use_silu",
                                       "clip.vision.n_wa_pattern",
                                       "clip.text.context_length",
                                       "clip.text.embedding_length",
                                       "clip.text.feed_forward_length",
                                       "clip.text.projection_dim",
                                       "clip.text.block_count",
                                       "clip.text.attention.head_count",
                                       "clip.text.attention.layer_norm_epsilon"};
/// Keys that may be missing but not be of another type.
const std::set<std::string> kTyped = {"llama.attention.head_count_kv", "llama.rope.dimension_count",
                                      "llama.rope.freq_base",          "tokenizer.ggml.scores",
                                      "tokenizer.ggml.token_type",     "tokenizer.ggml.bos_token_id",
                                      "tokenizer.ggml.eos_token_id",   "tokenizer.ggml.unknown_token_id",
                                      "tokenizer.ggml.add_bos_token",  "clip.has_vision_encoder",
                                      "clip.projector_type",           "clip.use_gelu",
                                      "clip.has_text_encoder"};

TEST_P(BadModel, TheUndamagedPairLoads) {
  EXPECT_EQ(outcome(parts()), "");
  EXPECT_EQ(file_bytes(parts()).size(), std::filesystem::file_size(original()));
}

TEST_P(BadModel, AKeyIsMissing) {
  const GgufParts whole = parts();
  for (std::size_t i = 0; i < whole.keys.size(); ++i) {
    GgufParts less = whole;
    less.keys.erase(less.keys.begin() + static_cast<int64_t>(i));
    const std::string& name = whole.keys[i].name;
    const std::string message = outcome(less);
    if (is_windowed() && name == "clip.projector_type") {  // then it is taken for another tower
      EXPECT_NE(message, "");
      continue;
    }
    EXPECT_EQ(message.empty(), kNeeded.count(name) == 0) << name << ": " << message;
    if (message.empty()) continue;
    EXPECT_NE(message.find(name), std::string::npos) << message;
  }
}

TEST_P(BadModel, AKeyHasAnotherType) {
  const GgufParts whole = parts();
  std::vector<uint8_t> array = value_of<uint32_t>(kBool);
  const auto length = value_of<uint64_t>(2);
  array.insert(array.end(), length.begin(), length.end());
  array.insert(array.end(), {1, 0});
  const std::pair<uint32_t, std::vector<uint8_t>> values[] = {
      {kArray, array}, {kString, value_of_text("7")}, {kArray, value_of_texts({})}, {kF64, value_of(1e300)}};
  for (std::size_t i = 0; i < whole.keys.size(); ++i) {
    const std::string& name = whole.keys[i].name;
    for (const auto& [type, value] : values) {
      if (type == whole.keys[i].type && type == kString) continue;
      GgufParts other = whole;
      other.keys[i].type = type;
      other.keys[i].value = value;
      const std::string message = outcome(other);
      if (kNeeded.count(name) + kTyped.count(name) == 0) continue;
      EXPECT_NE(message, "") << name << " of type " << type;
    }
  }
}

TEST_P(BadModel, ATensorIsMissing) {
  const GgufParts whole = parts();
  for (std::size_t i = 0; i < whole.tensors.size(); ++i) {
    const std::string& name = whole.tensors[i].name;
    GgufParts less = whole;
    less.tensors.erase(less.tensors.begin() + static_cast<int64_t>(i));
    const std::string message = outcome(less);
    if (name == "output.weight") {
      EXPECT_EQ(message, "");  // tied to the token embedding
    } else {
      EXPECT_NE(message.find("'" + name + "' is missing"), std::string::npos) << name << ": " << message;
    }
  }
}

TEST_P(BadModel, ATensorHasAnotherShape) {
  const GgufParts whole = parts();
  for (std::size_t i = 0; i < whole.tensors.size(); ++i) {
    GgufParts longer = whole;
    GgufPart& t = longer.tensors[i];
    t.data.resize(t.data.size() / t.ne.back() * (t.ne.back() + 1));
    ++t.ne.back();
    EXPECT_NE(outcome(longer), "") << t.name;

    GgufParts deeper = whole;
    deeper.tensors[i].ne.insert(deeper.tensors[i].ne.begin(), 1);
    EXPECT_NE(outcome(deeper), "") << t.name;

    GgufParts none = whole;
    none.tensors[i].ne.back() = 0;
    none.tensors[i].data.clear();
    EXPECT_NE(outcome(none), "") << t.name;
  }
}

TEST_P(BadModel, ATensorHasAnUnusableType) {
  const GgufParts whole = parts();
  const std::pair<uint32_t, std::size_t> types[] = {
      {GGML_TYPE_I8, 1}, {GGML_TYPE_I32, 4}, {GGML_TYPE_F64, 8}};
  for (std::size_t i = 0; i < whole.tensors.size(); ++i) {
    for (const auto& [type, bytes] : types) {
      GgufParts other = whole;
      other.tensors[i].type = type;
      other.tensors[i].data.resize(whole.tensors[i].data.size() / 4 * bytes);
      const std::string message = outcome(other);
      EXPECT_NE(message.find("expected a float or quantised type"), std::string::npos)
          << whole.tensors[i].name << " of type " << type << ": " << message;
    }
  }
}

TEST_P(BadModel, TheHeaderIsDamaged) {
  const auto refused = [&](const char* what, const auto& damage) {
    GgufParts p = parts();
    damage(p);
    EXPECT_NE(outcome(p), "") << what;
  };
  const uint64_t huge = uint64_t{1} << 62;
  refused("magic", [](GgufParts& p) { p.magic = 0; });
  refused("version 1", [](GgufParts& p) { p.version = 1; });
  refused("version 4", [](GgufParts& p) { p.version = 4; });
  refused("tensor name too long", [](GgufParts& p) { p.tensors[0].name.assign(80, 'x'); });
  refused("tensor twice", [](GgufParts& p) { p.tensors.push_back(p.tensors[0]); });
  refused("key twice", [](GgufParts& p) { p.keys.push_back(p.keys[0]); });
  refused("key without a name", [](GgufParts& p) { p.keys[1].name.clear(); });
  refused("unknown key type", [](GgufParts& p) { p.keys[1].type = 99; });
  refused("unknown tensor type", [](GgufParts& p) { p.tensors[0].type = 99; });
  refused("removed tensor type", [](GgufParts& p) { p.tensors[0].type = 4; });
  refused("five dimensions", [](GgufParts& p) { p.tensors[0].ne = {1, 1, 1, 1, 32}; });
  refused("negative dimension", [](GgufParts& p) { p.tensors[0].ne[0] = ~uint64_t{0}; });
  refused("too many elements", [=](GgufParts& p) { p.tensors[0].ne = {huge, huge}; });
  refused("size that wraps around", [=](GgufParts& p) { p.tensors[0].ne = {32, huge}; });
  for (const uint32_t alignment : {0U, 3U, 1U << 31}) {
    refused("alignment", [=](GgufParts& p) {
      p.keys.push_back({"general.alignment", kU32, value_of(alignment)});
    });
  }
  refused("alignment as a text", [](GgufParts& p) {
    p.keys.push_back({"general.alignment", kString, value_of_text("32")});
  });
}

TEST_P(BadModel, TheFileIsCutOff) {
  const auto bytes = file_bytes(parts());
  for (std::size_t size = 1; size < bytes.size(); size += size < 256 ? 7 : size / 32) {
    EXPECT_NE(outcome({bytes.begin(), bytes.begin() + static_cast<int64_t>(size)}), "") << size << " bytes";
  }
}

/// One key with a value of its own type.
struct Change {
  const char* key;
  uint32_t type;
  std::vector<uint8_t> value;
};

Change number(const char* key, uint32_t value) { return {key, kU32, value_of(value)}; }
Change real(const char* key, float value) { return {key, kF32, value_of(value)}; }

class BadText : public BadModel {};
class BadTower : public BadModel {};
INSTANTIATE_TEST_SUITE_P(Files, BadText, testing::Values("text"));
INSTANTIATE_TEST_SUITE_P(Files, BadTower, testing::Values("mmproj"));

GgufParts changed(GgufParts parts, const Change& change) {
  const auto same = [&](const GgufKey& k) { return k.name == change.key; };
  parts.keys.erase(std::remove_if(parts.keys.begin(), parts.keys.end(), same), parts.keys.end());
  parts.keys.push_back({change.key, change.type, change.value});
  return parts;
}

TEST_P(BadText, NumbersOutOfRange) {
  const float inf = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const Change changes[] = {
      number("llama.block_count", 0),
      number("llama.block_count", 2),
      number("llama.block_count", 0xffffffff),
      number("llama.embedding_length", 0),
      number("llama.embedding_length", 0xffffffff),
      number("llama.embedding_length", 64),
      number("llama.feed_forward_length", 0),
      number("llama.context_length", 0),
      number("llama.context_length", 0xffffffff),
      number("llama.attention.head_count", 0),
      number("llama.attention.head_count", 3),
      number("llama.attention.head_count", 33),
      number("llama.attention.head_count_kv", 0),
      number("llama.attention.head_count_kv", 3),
      number("llama.attention.key_length", 7),
      number("llama.attention.value_length", 8),
      number("llama.expert_count", 8),
      number("llama.rope.dimension_count", 0),
      number("llama.rope.dimension_count", 5),
      number("llama.rope.dimension_count", 64),
      real("llama.attention.layer_norm_rms_epsilon", nan),
      real("llama.attention.layer_norm_rms_epsilon", -1e-5F),
      real("llama.attention.layer_norm_rms_epsilon", 0.0F),
      real("llama.attention.layer_norm_rms_epsilon", inf),
      real("llama.rope.freq_base", 0.0F),
      real("llama.rope.freq_base", nan),
      {"llama.rope.freq_base", kF64, value_of(1e300)},
      {"llama.rope.scaling.type", kString, value_of_text("longrope")},
      {"llama.rope.scaling.factor", kF32, value_of(0.0F)},
  };
  for (const Change& change : changes) EXPECT_NE(outcome(changed(parts(), change)), "") << change.key;
}

TEST_P(BadText, Tokenizers) {
  const auto refused = [&](const Change& change, const char* expected) {
    const std::string message = outcome(changed(parts(), change));
    EXPECT_NE(message.find(expected), std::string::npos) << change.key << ": " << message;
  };
  const auto floats = [](uint64_t n) {
    std::vector<uint8_t> out = value_of<uint32_t>(kF32);
    const auto length = value_of(n);
    out.insert(out.end(), length.begin(), length.end());
    out.resize(out.size() + 4 * n);
    return out;
  };
  std::vector<std::string> more;
  for (int i = 0; i < 400; ++i) more.push_back(fmt::format("<{}>", i));
  for (const char* model : {"", "none", "bert", "rwkv", "made-up"}) {
    refused({"tokenizer.ggml.model", kString, value_of_text(model)}, "tokenizer, got");
  }
  refused({"tokenizer.ggml.tokens", kArray, value_of_texts({})}, "no tokens");
  refused({"tokenizer.ggml.tokens", kArray, value_of_texts({"a", "b", "a"})}, "occurs twice");
  refused({"tokenizer.ggml.tokens", kArray, value_of_texts({"a", "b"})}, "expected one for each of 2 tokens");
  refused({"tokenizer.ggml.scores", kArray, floats(3)}, "expected one for each of 360 tokens");
  refused({"tokenizer.ggml.scores", kArray, floats(361)}, "expected one for each of 360 tokens");
  refused({"tokenizer.ggml.token_type", kArray, floats(360)}, "tokenizer");
  refused(number("tokenizer.ggml.bos_token_id", 360), "expected 0 to 359");
  refused(number("tokenizer.ggml.eos_token_id", 0xffffffff), "expected 0 to 359");
  refused(number("tokenizer.ggml.unknown_token_id", 1000), "expected 0 to 359");
  refused({"tokenizer.ggml.precompiled_charsmap", kString, value_of_text("x")}, "precompiled_charsmap");

  // More tokens than the embedding has rows.
  GgufParts large = changed(parts(), {"tokenizer.ggml.tokens", kArray, value_of_texts(more)});
  for (const char* key : {"tokenizer.ggml.scores", "tokenizer.ggml.token_type"}) {
    large = changed(std::move(large), {key, kArray, floats(400)});
  }
  std::erase_if(large.keys, [](const GgufKey& k) { return k.name == "tokenizer.ggml.token_type"; });
  EXPECT_NE(outcome(large).find("the tokenizer has 400 tokens, the embedding 360 rows"), std::string::npos)
      << outcome(large);

  // Byte pairs without merges.
  EXPECT_NE(outcome(changed(parts(), {"tokenizer.ggml.model", kString, value_of_text("gpt2")})), "");
}

TEST_P(BadTower, NumbersOutOfRange) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const auto three = [](float a, float b, float c) {
    std::vector<uint8_t> out = value_of<uint32_t>(kF32);
    const auto length = value_of<uint64_t>(3);
    out.insert(out.end(), length.begin(), length.end());
    for (const float v : {a, b, c}) {
      const auto bytes = value_of(v);
      out.insert(out.end(), bytes.begin(), bytes.end());
    }
    return out;
  };
  const Change changes[] = {
      number("clip.vision.image_size", 0),
      number("clip.vision.image_size", 12),
      number("clip.vision.image_size", 0xffffffff),
      number("clip.vision.patch_size", 0),
      number("clip.vision.patch_size", 9),
      number("clip.vision.embedding_length", 0),
      number("clip.vision.embedding_length", 64),
      number("clip.vision.feed_forward_length", 0),
      number("clip.vision.attention.head_count", 0),
      number("clip.vision.attention.head_count", 3),
      number("clip.vision.block_count", 0),
      number("clip.vision.block_count", 3),
      number("clip.vision.block_count", 0xffffffff),
      number("clip.vision.feature_layer", 9),
      number("clip.vision.spatial_merge_size", 0),
      number("clip.vision.spatial_merge_size", 3),
      number("clip.vision.spatial_merge_size", 0xffffffff),
      {"clip.vision.spatial_merge_size", kF32, value_of(2.0F)},
      {"clip.vision.spatial_merge_size", kString, value_of_text("2")},
      number("winnow.projector.pool_size", 0),
      number("winnow.projector.pool_size", 3),
      number("winnow.projector.pool_size", 0xffffffff),
      {"winnow.projector.pool_size", kF32, value_of(2.0F)},
      {"clip.vision.feature_layer", kF32, value_of(nan)},
      {"clip.vision.feature_layer", kF64, value_of(1e300)},
      real("clip.vision.attention.layer_norm_epsilon", nan),
      real("clip.vision.attention.layer_norm_epsilon", -1.0F),
      {"clip.vision.image_mean", kArray, three(0.5F, nan, 0.5F)},
      {"clip.vision.image_std", kArray, three(0.5F, 0.0F, 0.5F)},
      {"clip.vision.image_std", kArray, three(0.5F, nan, 0.5F)},
      {"clip.vision.image_std", kF32, value_of(0.5F)},
      {"clip.projector_type", kString, value_of_text("ldp")},
      {"clip.has_vision_encoder", kBool, {0}},
      {"clip.use_silu", kBool, {1}},
  };
  for (const Change& change : changes) EXPECT_NE(outcome(changed(parts(), change)), "") << change.key;
}

TEST_P(BadTower, PatchMergingThatDoesNotFit) {
  const char* merge = "clip.vision.spatial_merge_size";
  const char* pool = "winnow.projector.pool_size";
  const auto refused = [&](const GgufParts& damaged, const char* expected) {
    const std::string message = outcome(damaged);
    EXPECT_NE(message.find(expected), std::string::npos) << message;
  };
  EXPECT_EQ(outcome(changed(changed(parts(), number(merge, 1)), number(pool, 1))), "");
  EXPECT_EQ(outcome(changed(parts(), number(pool, 2))), "");
  refused(changed(parts(), number(merge, 0)), "key 'clip.vision.spatial_merge_size', got 0, expected 1 to 2");
  refused(changed(parts(), number(pool, 4)), "key 'winnow.projector.pool_size', got 4, expected 1 to 2");
  refused(changed(changed(parts(), number(merge, 2)), number(pool, 2)),
          "got 2 and 2, expected at most one of them above 1");
  refused(changed(parts(), number(merge, 2)),
          "tensor 'mm.0.weight' reads 32 values, 2 x 2 merged patches of width 32 give 128");

  engine::SynthShape shape = small_shape();
  shape.name = "merged";
  shape.merge = 2;
  const GgufParts merged = read_parts(engine::synth_model(shape, GGML_TYPE_F32, 1, folder_.string()).mmproj);
  EXPECT_EQ(outcome(merged), "");
  refused(changed(merged, number(merge, 1)), "tensor 'mm.0.weight': got shape [32, 128], expected [32, 32]");
  refused(changed(changed(merged, number(merge, 1)), number(pool, 2)),
          "tensor 'mm.0.weight' reads 128 values, 2 x 2 averaged patches of width 32 give 32");

  shape = small_shape();
  shape.name = "odd";
  shape.image_px = 12;
  const GgufParts odd = read_parts(engine::synth_model(shape, GGML_TYPE_F32, 1, folder_.string()).mmproj);
  refused(changed(odd, number(merge, 2)), "got 2, expected a divisor of the 3 x 3 patches");
  refused(changed(odd, number(pool, 2)), "got 2, expected a divisor of the 3 x 3 patches");
}

TEST_P(BadTower, AnotherWidthThanTheTextModel) {
  engine::SynthShape wide = small_shape();
  wide.name = "wide";
  wide.n_embd = 64;
  const auto files = engine::synth_model(wide, GGML_TYPE_F32, 1, folder_.string());
  const std::string message = outcome(read_parts(files.mmproj));
  EXPECT_NE(message.find("these two files do not belong together"), std::string::npos) << message;
}

}  // namespace
}  // namespace winnow::test
