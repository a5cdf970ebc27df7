// Tokenizer files -> arrays, against what llama.cpp's converter made of the same files (text.gguf).

#include "winnow/convert/vocabulary.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/convert/checkpoint_folder.h"
#include "tests/support/engine_models.h"
#include "tests/support/expect_error.h"
#include "winnow/base/log.h"

namespace winnow::convert {
namespace {

using engine::SpmVocab;
using engine::TokenType;
using nlohmann::json;
using test::CheckpointFolder;
using test::expect_error;

CheckpointFolder folder() {
  CheckpointFolder made = test::llava_folder("vocabulary");
  made.tensors.clear();
  return made;
}

SpmVocab read(const CheckpointFolder& made, int32_t n_vocab = 512) {
  made.write();
  return read_vocabulary(made.path, n_vocab);
}

TEST(Vocabulary, EqualsLlamaCppsConverter) {
  const SpmVocab vocab = read(folder());
  const engine::GgufFile file(testing::oracle_path("text.gguf"));
  EXPECT_EQ(vocab.tokens, file.texts("tokenizer.ggml.tokens"));
  const auto scores = file.numbers("tokenizer.ggml.scores");
  const auto types = file.numbers("tokenizer.ggml.token_type");
  ASSERT_EQ(vocab.scores.size(), scores.size());
  for (std::size_t i = 0; i < scores.size(); ++i) {
    EXPECT_EQ(vocab.scores[i], scores[i]) << i;
    EXPECT_EQ(static_cast<double>(vocab.types[i]), types[i]) << i;
  }
  EXPECT_EQ(vocab.bos, 1);
  EXPECT_EQ(vocab.eos, 2);
  EXPECT_EQ(vocab.unk, 0);
  EXPECT_EQ(vocab.pad, 0) << "text_config's";
  EXPECT_TRUE(vocab.add_bos);
  EXPECT_FALSE(vocab.add_eos);
  EXPECT_TRUE(vocab.space_prefix);
  EXPECT_EQ(vocab.tokens[511], "[PAD511]");
  EXPECT_EQ(vocab.types[511], TokenType::Unused);
}

TEST(Vocabulary, PublishedFormOfAddedTokens) {
  CheckpointFolder made = folder();
  json& config = made.json["tokenizer_config.json"];
  config["added_tokens_decoder"] = {
      {"1", {{"content", "<s>"}, {"special", true}}},
      {"500", {{"content", "<image>"}, {"special", true}}},
      {"501", {{"content", "<pad>"}, {"special", false}}},
      {"502", {{"content", "\xe2\x96\x81two\xe2\x96\x81words"}, {"special", false}}},
      {"600", {{"content", "<beyond>"}, {"special", true}}}};
  config["pad_token"] = "<pad>";
  config["unk_token"] = {{"content", "<unk>"}, {"lstrip", false}};
  config["add_bos_token"] = false;
  config["add_eos_token"] = true;
  config["add_prefix_space"] = false;
  made.json["config.json"]["text_config"].erase("pad_token_id");
  std::string warnings;
  set_log_sink([&](LogLevel, std::string_view text) { warnings += text; });
  const SpmVocab vocab = read(made);
  set_log_sink({});
  EXPECT_EQ(vocab.types[1], TokenType::Control);
  EXPECT_EQ(vocab.types[500], TokenType::Control) << "added_tokens.json alone says user-defined";
  EXPECT_EQ(vocab.tokens[501], "<pad>");
  EXPECT_EQ(vocab.types[501], TokenType::Control) << "by its spelling";
  EXPECT_EQ(vocab.tokens[502], " two words");
  EXPECT_EQ(vocab.types[502], TokenType::UserDefined);
  EXPECT_EQ(vocab.scores[502], -1000.0F);
  EXPECT_EQ(vocab.pad, 501);
  EXPECT_EQ(vocab.unk, 0);
  EXPECT_FALSE(vocab.add_bos);
  EXPECT_TRUE(vocab.add_eos);
  EXPECT_FALSE(vocab.space_prefix);
  EXPECT_EQ(vocab.tokens.size(), 512U);
  EXPECT_NE(warnings.find("'<beyond>' has id 600, the model has 512 tokens"), std::string::npos) << warnings;
}

TEST(Vocabulary, SpecialIdsFromEachFile) {
  CheckpointFolder made = folder();
  made.json.erase("tokenizer_config.json");
  json& config = made.json["config.json"];
  for (const char* key : {"bos_token_id", "eos_token_id", "pad_token_id"}) config["text_config"].erase(key);
  made.json["generation_config.json"] = {{"eos_token_id", {2, 3}}};
  config["pad_token_id"] = 9;
  config["bos_token_id"] = 5000;  // no token
  const SpmVocab from_config = read(made);
  EXPECT_EQ(from_config.bos, 1) << "tokenizer.model's";
  EXPECT_EQ(from_config.eos, 2) << "a list is no single token";
  EXPECT_EQ(from_config.pad, 9);
  made.json["special_tokens_map.json"] = {{"bos_token", {{"content", "<image>"}}}, {"pad_token", "</s>"}};
  const SpmVocab from_map = read(made);
  EXPECT_EQ(from_map.bos, 500);
  EXPECT_EQ(from_map.pad, 2);
  config.erase("pad_token_id");
  made.json.erase("special_tokens_map.json");
  EXPECT_EQ(read(made).pad, -1);
}

TEST(Vocabulary, BadFiles) {
  const auto refused = [](ErrorCode code, const std::string& text, auto change, int32_t n_vocab = 512) {
    CheckpointFolder made = folder();
    change(made);
    expect_error(code, text, [&] { read(made, n_vocab); });
  };
  refused(ErrorCode::NotFound, "tokenizer.model: no such file", [](auto& f) { f.tokenizer_model.clear(); });
  refused(ErrorCode::Corrupt, "tokenizer.model: cut short", [](auto& f) { f.tokenizer_model.pop_back(); });
  refused(ErrorCode::Unsupported, "unigram", [](auto& f) {
    f.tokenizer_model = {
        "\x0A\x03\x0A\x01"
        "a"};
  });
  refused(
      ErrorCode::Corrupt, "490 pieces, the model's embedding has 400 rows", [](auto&) {}, 400);
  refused(ErrorCode::Corrupt, "added_tokens.json: field '<a>', got string", [](auto& f) {
    f.json["added_tokens.json"] = {{"<a>", "x"}};
  });
  refused(ErrorCode::Corrupt, "id of token '<a>', got -1", [](auto& f) {
    f.json["added_tokens.json"] = {{"<a>", -1}};
  });
  refused(ErrorCode::Corrupt, "added_tokens_decoder: 'x1' is no token id", [](auto& f) {
    f.json["tokenizer_config.json"]["added_tokens_decoder"] = {{"x1", {{"content", "<a>"}}}};
  });
  refused(ErrorCode::Corrupt, "make '<s>' both token 1 and token 505", [](auto& f) {
    f.json["added_tokens.json"] = {{"<s>", 505}};
  });
  refused(ErrorCode::Corrupt, "eos_token, got '<nowhere>', which is no token",
          [](auto& f) { f.json["tokenizer_config.json"]["eos_token"] = "<nowhere>"; });
  refused(ErrorCode::Corrupt, "tokenizer_config.json",
          [](auto& f) { f.json["tokenizer_config.json"] = json::array(); });
}

TEST(ChatTemplate, ComesFromThreePlaces) {
  CheckpointFolder made = folder();
  made.write();
  EXPECT_EQ(read_chat_template(made.path), "");
  made.json["tokenizer_config.json"]["chat_template"] = "a";
  made.write();
  EXPECT_EQ(read_chat_template(made.path), "a");
  made.json["chat_template.json"] = {{"chat_template", "b"}};
  made.write();
  EXPECT_EQ(read_chat_template(made.path), "b");
  test::write_text(made.path + "/chat_template.jinja", "c\n");
  EXPECT_EQ(read_chat_template(made.path), "c\n");
}

TEST(ClipVocabulary, InOrderOfIds) {
  CheckpointFolder made;
  made.path = testing::scratch_folder() + "/clip_vocabulary";
  made.json["vocab.json"] = {{"b", 0}, {"a", 2}, {"c</w>", 1}};
  made.write();
  EXPECT_EQ(read_clip_vocabulary(made.path), (std::vector<std::string>{"b", "c</w>", "a"}));
  made.json["vocab.json"]["d"] = 2;
  made.write();
  expect_error(ErrorCode::Corrupt, "vocab.json: id of 'd', got 2, expected each of 0 to 3 once",
               [&] { read_clip_vocabulary(made.path); });
  expect_error(ErrorCode::NotFound, "vocab.json: no such file", [&] { read_clip_vocabulary("/nowhere"); });
}

}  // namespace
}  // namespace winnow::convert
