#include "winnow/convert/bpe_vocabulary.h"

#include <fmt/format.h>

#include <filesystem>
#include <system_error>

#include "winnow/base/error.h"
#include "winnow/convert/checkpoint.h"
#include "winnow/convert/vocabulary.h"
#include "winnow/record/jsonl.h"

namespace winnow::convert {
namespace {

using engine::BpeVocab;
using engine::TokenType;
using record::Json;
using record::JsonRow;

constexpr const char* kWhere = "convert.bpe_vocabulary";
/// libllama's "qwen2".
constexpr const char* kQwen2Split =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

void check_split(const JsonRow& whole) {
  const Json& value = whole.at("pre_tokenizer");
  const Json none = Json::array();
  const bool sequence = value.is_object() && value.contains("pretokenizers");
  const Json& parts = sequence ? value["pretokenizers"] : none;
  const Json::json_pointer pattern("/0/pattern/Regex");
  const std::string split = parts.is_array() && parts.contains(pattern) && parts[pattern].is_string()
                                ? parts[pattern].get<std::string>()
                                : "";
  WINNOW_CHECK(split == kQwen2Split, Unsupported, kWhere,
               "{}: text is split by '{}', expected Qwen2's expression, a byte-level model behind it",
               whole.place(), split);
}

/// Puts a token into its row.
void put(BpeVocab& vocab, const JsonRow& row, int64_t id, const std::string& token, TokenType type) {
  WINNOW_CHECK(id >= 0 && id < std::ssize(vocab.tokens), Corrupt, kWhere,
               "{}: id of token '{}', got {}, the model's embedding has {} rows", row.place(), token, id,
               vocab.tokens.size());
  const auto i = static_cast<std::size_t>(id);
  WINNOW_CHECK(vocab.types[i] == TokenType::Unused || vocab.tokens[i] == token, Corrupt, kWhere,
               "{}: id {} is both '{}' and '{}'", row.place(), id, vocab.tokens[i], token);
  vocab.tokens[i] = token;
  vocab.types[i] = type;
}

void add_merges(const JsonRow& model, BpeVocab& vocab) {
  const Json& merges = model.at("merges");
  WINNOW_CHECK(merges.is_array(), Corrupt, kWhere, "{}: merges, expected a list", model.place());
  for (const Json& merge : merges) {
    const bool pair = merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string();
    WINNOW_CHECK(pair || merge.is_string(), Corrupt, kWhere,
                 "{}: a merge, got {}, expected a pair or a text with a space", model.place(), merge.dump());
    vocab.merges.push_back(pair ? merge[0].get<std::string>() + " " + merge[1].get<std::string>()
                                : merge.get<std::string>());
  }
}

void add_added_tokens(const JsonRow& whole, BpeVocab& vocab) {
  if (!whole.has("added_tokens")) return;
  const Json& added = whole.at("added_tokens");
  WINNOW_CHECK(added.is_array(), Corrupt, kWhere, "{}: added_tokens, expected a list", whole.place());
  for (const Json& entry : added) {
    const JsonRow token(entry, whole.place());
    const std::string text = token.text("content");
    const bool special = (token.has("special") && token.boolean("special")) || looks_special(text);
    put(vocab, whole, token.integer("id"), text, special ? TokenType::Control : TokenType::UserDefined);
  }
}

}  // namespace

BpeVocab read_bpe_vocabulary(const std::string& folder, int32_t n_vocab) {
  const std::string path = file_in(folder, "tokenizer.json");
  std::error_code ignored;
  WINNOW_CHECK(std::filesystem::exists(path, ignored), NotFound, kWhere, "{}: no such file", path);
  const Json file = record::read_json(path);
  const JsonRow whole(file, path);
  const JsonRow model = whole.row("model");
  const std::string type = model.text("type");
  WINNOW_CHECK(type == "BPE", Unsupported, kWhere, "{}: model, got '{}', expected 'BPE'", path, type);
  check_split(whole);
  BpeVocab vocab;
  vocab.pre = "qwen2";
  for (int32_t id = 0; id < n_vocab; ++id) vocab.tokens.push_back(fmt::format("[PAD{}]", id));
  vocab.types.assign(vocab.tokens.size(), TokenType::Unused);
  const JsonRow tokens = model.row("vocab");
  for (const auto& entry : tokens.value().items()) {
    put(vocab, tokens, tokens.integer(entry.key()), entry.key(), TokenType::Normal);
  }
  add_added_tokens(whole, vocab);
  add_merges(model, vocab);
  const SpecialIds ids = read_special_ids(folder, vocab.tokens, {});
  vocab.bos = ids.bos;
  vocab.eos = ids.eos;
  vocab.pad = ids.pad;
  const std::string config_path = file_in(folder, "tokenizer_config.json");
  if (!std::filesystem::exists(config_path, ignored)) return vocab;
  const Json config = record::read_json(config_path);
  const JsonRow tokenizer(config, config_path);
  if (tokenizer.has("add_bos_token")) vocab.add_bos = tokenizer.boolean("add_bos_token");
  return vocab;
}

}  // namespace winnow::convert
