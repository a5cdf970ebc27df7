#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "winnow/engine/gguf.h"

struct llama_model;

namespace winnow::engine {

/// Checks the tokenizer.ggml.* keys before libllama reads them: it looks up what they name without asking.
/// Throws NotFound, Corrupt, Unsupported (a tokenizer other than SentencePiece and byte pairs).
void check_tokenizer(const GgufFile& file);

/// The text model's vocabulary: a vocabulary-only load by libllama. Thread-safe after construction.
class Tokenizer {
 public:
  /// Throws Corrupt / Unsupported when libllama refuses the file.
  explicit Tokenizer(const std::string& gguf_path);

  /// Token ids of a text. Special tokens written out in the text ("</s>") are recognised. add_bos: the begin
  /// token first, if the model wants one.
  std::vector<int32_t> tokenize(std::string_view text, bool add_bos) const;
  /// Text of one token as it continues an answer; special tokens are empty.
  std::string piece(int32_t token) const;
  bool is_end(int32_t token) const;
  /// The end-of-sequence token that closes an answer.
  int32_t end_token() const;
  int32_t n_tokens() const;
  /// A chat of user / assistant turns through a template of libllama's list, or the chat template stored in
  /// the GGUF. Empty if libllama does not know the template.
  std::string apply_chat_template(const std::string& chat_template,
                                  const std::vector<std::pair<std::string, std::string>>& turns) const;

 private:
  struct FreeModel {
    void operator()(llama_model* model) const;
  };
  std::unique_ptr<llama_model, FreeModel> model_;
};

}  // namespace winnow::engine
