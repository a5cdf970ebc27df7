#include "winnow/convert/vocabulary.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <optional>
#include <string_view>
#include <system_error>
#include <unordered_map>

#include "winnow/base/error.h"
#include "winnow/base/log.h"
#include "winnow/convert/checkpoint.h"
#include "winnow/convert/sentencepiece.h"
#include "winnow/engine/mapped_file.h"
#include "winnow/record/jsonl.h"

namespace winnow::convert {
namespace {

using engine::SpmVocab;
using engine::TokenType;
using record::Json;
using record::JsonRow;

constexpr const char* kWhere = "convert.vocabulary";
constexpr const char* kTokenizerConfig = "tokenizer_config.json";
constexpr float kPadScore = -10000.0F, kAddedScore = -1000.0F;  // convert_hf_to_gguf.py's

/// An optional JSON file of the folder; an empty object when it is not there.
Json read_optional(const std::string& folder, const std::string& name) {
  const std::string path = file_in(folder, name);
  std::error_code ignored;
  return std::filesystem::exists(path, ignored) ? record::read_json(path) : Json::object();
}

std::string text_of_file(const std::string& path) {
  const engine::MappedFile file(path);
  return {file.bytes().begin(), file.bytes().end()};
}

SentencePieceModel read_model(const std::string& folder, int32_t n_vocab) {
  const std::string path = file_in(folder, "tokenizer.model");
  std::error_code ignored;
  WINNOW_CHECK(
      std::filesystem::exists(path, ignored), NotFound, kWhere,
      "{}: no such file; where only tokenizer.json was saved, take it from the model that was trained on",
      path);
  const engine::MappedFile file(path);
  SentencePieceModel model = parse_sentencepiece(file.bytes(), path);
  WINNOW_CHECK(model.byte_pairs, Unsupported, kWhere, "{}: a unigram model, expected one of byte pairs (BPE)",
               path);
  WINNOW_CHECK(std::ssize(model.pieces) <= n_vocab, Corrupt, kWhere,
               "{}: {} pieces, the model's embedding has {} rows", path, model.pieces.size(), n_vocab);
  return model;
}

/// True where an added token may stand: its id has a row of the embedding.
bool has_row(const SpmVocab& vocab, int64_t id, const std::string& token, const std::string& place) {
  WINNOW_CHECK(id >= 0, Corrupt, kWhere, "{}: id of token '{}', got {}, expected 0 or more", place, token,
               id);
  if (id < std::ssize(vocab.tokens)) return true;
  log(LogLevel::Warning, "{}: token '{}' has id {}, the model has {} tokens; it is left out", place, token,
      id, vocab.tokens.size());
  return false;
}

void put(SpmVocab& vocab, int64_t id, const std::string& token, TokenType type) {
  const auto i = static_cast<std::size_t>(id);
  vocab.tokens[i] = token;
  vocab.scores[i] = kAddedScore;
  vocab.types[i] = type;
}

void apply_added_tokens(const std::string& folder, SpmVocab& vocab) {
  const std::string path = file_in(folder, "added_tokens.json");
  const Json file = read_optional(folder, "added_tokens.json");
  const JsonRow row(file, path);
  for (const auto& entry : file.items()) {
    const int64_t id = row.integer(entry.key());
    if (has_row(vocab, id, entry.key(), path)) put(vocab, id, entry.key(), TokenType::UserDefined);
  }
}

/// SentencePiece spells a space as U+2581; user-defined tokens are matched in the text as it is.
std::string with_spaces(std::string_view text) {
  constexpr std::string_view kMark = "\xe2\x96\x81";
  std::string out;
  while (!text.empty()) {
    const bool mark = text.starts_with(kMark);
    out += mark ? ' ' : text.front();
    text.remove_prefix(mark ? kMark.size() : 1);
  }
  return out;
}

void apply_decoder(const JsonRow& config, SpmVocab& vocab) {
  if (!config.has("added_tokens_decoder")) return;
  const JsonRow decoder = config.row("added_tokens_decoder");
  for (const auto& entry : decoder.value().items()) {
    const std::string& key = entry.key();
    int64_t id = -1;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    WINNOW_CHECK(error == std::errc{} && end == key.data() + key.size(), Corrupt, kWhere,
                 "{}: '{}' is no token id", decoder.place(), key);
    const JsonRow token = decoder.row(key);
    const std::string text = token.text("content");
    if (!has_row(vocab, id, text, decoder.place())) continue;
    const bool special = (token.has("special") && token.boolean("special")) || looks_special(text);
    put(vocab, id, special ? text : with_spaces(text), special ? TokenType::Control : TokenType::UserDefined);
  }
}

/// Tokenizers find tokens by their text; the engine refuses a file that has one twice.
void check_distinct(const SpmVocab& vocab, const std::string& folder) {
  std::unordered_map<std::string_view, std::size_t> ids;
  for (std::size_t id = 0; id < vocab.tokens.size(); ++id) {
    const auto [first, is_new] = ids.emplace(vocab.tokens[id], id);
    WINNOW_CHECK(is_new, Corrupt, kWhere, "{}: its tokenizer files make '{}' both token {} and token {}",
                 folder, vocab.tokens[id], first->second, id);
  }
}

/// A special token's text: a string, or an object that says more about it.
std::optional<std::string> special_text(const JsonRow& row, const std::string& key) {
  if (!row.has(key)) return std::nullopt;
  return row.at(key).is_object() ? row.row(key).text("content") : row.text(key);
}

/// Files in which special tokens have names or ids, the first that has one wins.
struct SpecialTokens {
  std::vector<JsonRow> names;
  std::vector<JsonRow> ids;

  int32_t id(const std::vector<std::string>& tokens, const std::string& what, int32_t fallback) const {
    for (const JsonRow& row : names) {
      const auto text = special_text(row, what + "_token");
      if (!text) continue;
      const auto found = std::find(tokens.begin(), tokens.end(), *text);
      WINNOW_CHECK(found != tokens.end(), Corrupt, kWhere, "{}: {}_token, got '{}', which is no token",
                   row.place(), what, *text);
      return static_cast<int32_t>(found - tokens.begin());
    }
    const std::string key = what + "_token_id";
    for (const JsonRow& row : ids) {
      if (!row.has(key) || !row.at(key).is_number())
        continue;  // generation_config may list several end tokens
      const int64_t id = row.integer(key);
      if (id >= 0 && id < std::ssize(tokens)) return static_cast<int32_t>(id);
    }
    return fallback < std::ssize(tokens) ? fallback : -1;
  }
};

}  // namespace

bool looks_special(const std::string& token) {
  return token == "<pad>" || token == "<mask>" || (token.starts_with("<|") && token.ends_with("|>")) ||
         (token.starts_with("<unused") && token.ends_with(">"));
}

SpecialIds read_special_ids(const std::string& folder, const std::vector<std::string>& tokens,
                            const SpecialIds& fallback) {
  const Json tokenizer = read_optional(folder, kTokenizerConfig);
  const Json map = read_optional(folder, "special_tokens_map.json");
  const Json config = read_optional(folder, "config.json");
  const Json generation = read_optional(folder, "generation_config.json");
  const JsonRow whole(config, file_in(folder, "config.json"));
  SpecialTokens special;
  special.names.emplace_back(tokenizer, file_in(folder, kTokenizerConfig));
  special.names.emplace_back(map, file_in(folder, "special_tokens_map.json"));
  if (whole.has("text_config")) special.ids.push_back(whole.row("text_config"));
  special.ids.push_back(whole);
  special.ids.emplace_back(generation, file_in(folder, "generation_config.json"));
  return {special.id(tokens, "bos", fallback.bos), special.id(tokens, "eos", fallback.eos),
          special.id(tokens, "unk", fallback.unk), special.id(tokens, "pad", fallback.pad)};
}

SpmVocab read_vocabulary(const std::string& folder, int32_t n_vocab) {
  const SentencePieceModel model = read_model(folder, n_vocab);
  const Json file = read_optional(folder, kTokenizerConfig);
  const JsonRow tokenizer(file, file_in(folder, kTokenizerConfig));
  SpmVocab vocab;
  for (const SentencePiece& piece : model.pieces) {
    vocab.add(piece.text, piece.score, static_cast<TokenType>(piece.type));
  }
  for (int32_t id = static_cast<int32_t>(model.pieces.size()); id < n_vocab; ++id) {
    vocab.add(fmt::format("[PAD{}]", id), kPadScore, TokenType::Unused);
  }
  apply_added_tokens(folder, vocab);
  apply_decoder(tokenizer, vocab);
  check_distinct(vocab, folder);
  const SpecialIds ids = read_special_ids(folder, vocab.tokens, {model.bos, model.eos, model.unk, -1});
  vocab.bos = ids.bos;
  vocab.eos = ids.eos;
  vocab.unk = ids.unk;
  vocab.pad = ids.pad;
  if (tokenizer.has("add_bos_token")) vocab.add_bos = tokenizer.boolean("add_bos_token");
  if (tokenizer.has("add_eos_token")) vocab.add_eos = tokenizer.boolean("add_eos_token");
  vocab.space_prefix =
      tokenizer.has("add_prefix_space") ? tokenizer.boolean("add_prefix_space") : model.space_prefix;
  return vocab;
}

std::string read_chat_template(const std::string& folder) {
  const std::string jinja = file_in(folder, "chat_template.jinja");
  std::error_code ignored;
  if (std::filesystem::exists(jinja, ignored)) return text_of_file(jinja);
  for (const char* name : {"chat_template.json", kTokenizerConfig}) {
    const Json file = read_optional(folder, name);
    const JsonRow row(file, file_in(folder, name));
    if (row.has("chat_template") && row.at("chat_template").is_string()) return row.text("chat_template");
  }
  return "";
}

std::vector<std::string> read_clip_vocabulary(const std::string& folder) {
  const std::string path = file_in(folder, "vocab.json");
  const Json file = record::read_json(path);
  const JsonRow row(file, path);
  std::vector<std::string> tokens(file.size());
  for (const auto& entry : file.items()) {
    const int64_t id = row.integer(entry.key());
    WINNOW_CHECK(id >= 0 && id < std::ssize(tokens) && tokens[static_cast<std::size_t>(id)].empty(), Corrupt,
                 kWhere, "{}: id of '{}', got {}, expected each of 0 to {} once", path, entry.key(), id,
                 tokens.size() - 1);
    tokens[static_cast<std::size_t>(id)] = entry.key();
  }
  return tokens;
}

}  // namespace winnow::convert
