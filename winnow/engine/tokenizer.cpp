#include "winnow/engine/tokenizer.h"

#include <gguf.h>
#include <llama.h>

#include <stdexcept>
#include <unordered_set>

#include "winnow/base/error.h"
#include "winnow/engine/backend.h"
#include "winnow/engine/ggml_log.h"

namespace winnow::engine {
namespace {

constexpr const char* kWhere = "engine.tokenizer";

void check_length(const GgufFile& file, const char* key, std::size_t n_tokens) {
  if (!file.has(key)) return;
  const std::size_t n = file.numbers(key).size();
  WINNOW_CHECK(n == n_tokens, Corrupt, kWhere,
               "{}: key '{}', got {} values, expected one for each of {} tokens", file.path(), key, n,
               n_tokens);
}

/// The unigram tokenizer's normaliser: libllama follows its offsets up to a terminating zero.
void check_charsmap(const GgufFile& file) {
  constexpr const char* kKey = "tokenizer.ggml.precompiled_charsmap";
  if (!file.has(kKey)) return;
  const int64_t idx = gguf_find_key(file.meta(), kKey);
  const bool array = gguf_get_kv_type(file.meta(), idx) == GGUF_TYPE_ARRAY;
  const gguf_type item = array ? gguf_get_arr_type(file.meta(), idx) : GGUF_TYPE_COUNT;
  const bool bytes = item == GGUF_TYPE_UINT8 || item == GGUF_TYPE_INT8;
  const std::vector<double> map = bytes ? file.numbers(kKey) : std::vector<double>();
  WINNOW_CHECK(map.size() > sizeof(uint32_t) && map.back() == 0.0, Corrupt, kWhere,
               "{}: key '{}', expected an array of bytes that ends with 0", file.path(), kKey);
}

}  // namespace

void check_tokenizer(const GgufFile& file) {
  const std::string model = file.text("tokenizer.ggml.model");
  WINNOW_CHECK(
      model == "llama" || model == "gpt2" || model == "t5", Unsupported, kWhere,
      "{}: tokenizer, got '{}', expected 'llama' (SentencePiece), 'gpt2' (byte pairs) or 't5' (unigram)",
      file.path(), model);
  const std::vector<std::string> tokens = file.texts("tokenizer.ggml.tokens");
  WINNOW_CHECK(!tokens.empty(), Corrupt, kWhere, "{}: the tokenizer has no tokens", file.path());
  std::unordered_set<std::string_view> seen;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const bool twice = !tokens[i].empty() && !seen.insert(tokens[i]).second;
    WINNOW_CHECK(!twice, Corrupt, kWhere, "{}: token {} '{}' occurs twice", file.path(), i, tokens[i]);
  }
  check_length(file, "tokenizer.ggml.scores", tokens.size());
  check_length(file, "tokenizer.ggml.token_type", tokens.size());
  check_charsmap(file);
  for (const char* id : {"bos", "eos", "unknown"}) {
    file.integer_or(fmt::format("tokenizer.ggml.{}_token_id", id), 0, static_cast<int64_t>(tokens.size()) - 1,
                    0);
  }
  for (const char* flag : {"bos_token", "eos_token", "space_prefix"}) {
    file.boolean_or(fmt::format("tokenizer.ggml.add_{}", flag), false);
  }
}

void Tokenizer::FreeModel::operator()(llama_model* model) const { llama_model_free(model); }

Tokenizer::Tokenizer(const std::string& gguf_path) {
  load_backends();
  clear_last_ggml_error();
  llama_model_params params = llama_model_default_params();
  params.vocab_only = true;
  params.n_gpu_layers = 0;
  model_.reset(llama_model_load_from_file(gguf_path.c_str(), params));
  WINNOW_CHECK(model_ != nullptr, Corrupt, kWhere, "{}: the tokenizer cannot be loaded: {}", gguf_path,
               last_ggml_error());
}

std::vector<int32_t> Tokenizer::tokenize(std::string_view text, bool add_bos) const {
  const llama_vocab* vocab = llama_model_get_vocab(model_.get());
  const auto size = static_cast<int32_t>(text.size());
  std::vector<int32_t> ids(text.size() + 2);
  int32_t n = 0;
  try {
    n = llama_tokenize(vocab, text.data(), size, ids.data(), static_cast<int32_t>(ids.size()), add_bos, true);
    if (n < 0) {
      ids.resize(static_cast<std::size_t>(-n));
      n = llama_tokenize(vocab, text.data(), size, ids.data(), -n, add_bos, true);
    }
  } catch (const std::exception&) {
    fail(ErrorCode::Corrupt, kWhere, "the model's vocabulary has no tokens for the text '{}'", text);
  }
  WINNOW_CHECK(n >= 0, InvalidArgument, kWhere, "text of {} bytes cannot be tokenised", size);
  ids.resize(static_cast<std::size_t>(n));
  return ids;
}

std::string Tokenizer::piece(int32_t token) const {
  if (token < 0 || token >= n_tokens()) return "";  // rows that pad the embedding are no tokens
  const llama_vocab* vocab = llama_model_get_vocab(model_.get());
  std::string out(64, '\0');
  int32_t n = llama_token_to_piece(vocab, token, out.data(), static_cast<int32_t>(out.size()), 0, false);
  if (n < 0) {
    out.resize(static_cast<std::size_t>(-n));
    n = llama_token_to_piece(vocab, token, out.data(), -n, 0, false);
  }
  out.resize(static_cast<std::size_t>(n < 0 ? 0 : n));
  return out;
}

bool Tokenizer::is_end(int32_t token) const {
  return llama_vocab_is_eog(llama_model_get_vocab(model_.get()), token);
}

int32_t Tokenizer::end_token() const { return llama_vocab_eos(llama_model_get_vocab(model_.get())); }

int32_t Tokenizer::n_tokens() const { return llama_vocab_n_tokens(llama_model_get_vocab(model_.get())); }

std::string Tokenizer::apply_chat_template(
    const std::string& chat_template, const std::vector<std::pair<std::string, std::string>>& turns) const {
  std::vector<llama_chat_message> chat;
  std::size_t size = 1024;
  for (const auto& [role, content] : turns) {
    chat.push_back({role.c_str(), content.c_str()});
    size += 2 * content.size();
  }
  std::string out(size, '\0');
  int32_t n = llama_chat_apply_template(chat_template.c_str(), chat.data(), chat.size(), true, out.data(),
                                        static_cast<int32_t>(out.size()));
  if (n > static_cast<int32_t>(out.size())) {
    out.resize(static_cast<std::size_t>(n));
    n = llama_chat_apply_template(chat_template.c_str(), chat.data(), chat.size(), true, out.data(), n);
  }
  out.resize(static_cast<std::size_t>(n < 0 ? 0 : n));
  return out;
}

}  // namespace winnow::engine
