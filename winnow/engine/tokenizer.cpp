#include "winnow/engine/tokenizer.h"

#include <llama.h>

#include "winnow/base/error.h"
#include "winnow/engine/backend.h"
#include "winnow/engine/ggml_log.h"

namespace winnow::engine {
namespace {

constexpr const char* kWhere = "engine.tokenizer";

}  // namespace

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
  int32_t n =
      llama_tokenize(vocab, text.data(), size, ids.data(), static_cast<int32_t>(ids.size()), add_bos, true);
  if (n < 0) {
    ids.resize(static_cast<std::size_t>(-n));
    n = llama_tokenize(vocab, text.data(), size, ids.data(), -n, add_bos, true);
  }
  WINNOW_CHECK(n >= 0, InvalidArgument, kWhere, "text of {} bytes cannot be tokenised", size);
  ids.resize(static_cast<std::size_t>(n));
  return ids;
}

std::string Tokenizer::piece(int32_t token) const {
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
