#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "winnow/engine/gguf_writer.h"
#include "winnow/engine/tokenizer.h"

namespace winnow::train {

/// The built-in model's tokenizer: scenes' pieces behind four special tokens, a unigram model
/// (SentencePiece's other kind, T5's) because it segments whole words without a chain of merges. What
/// libllama makes of the exported keys is what training uses.
class Vocabulary {
 public:
  /// Throws Io when the folder for the temporary vocabulary file cannot be written.
  Vocabulary();

  int32_t size() const { return static_cast<int32_t>(tokens_.size()); }
  int32_t bos() const { return 1; }
  int32_t eos() const { return 2; }
  std::vector<int32_t> tokenize(std::string_view text) const { return tokenizer_->tokenize(text, false); }
  const std::vector<std::string>& tokens() const { return tokens_; }
  /// Letters and digits alone, with or without a space before them, as printed texts are spelled.
  bool is_spelled(int32_t token) const;
  /// Token -> 0..1 for the tokens that are coordinates ("0.34").
  const std::map<int32_t, float>& coordinates() const { return coordinates_; }

  /// The tokenizer's keys, the prompt template and the chat template.
  static void describe(engine::GgufWriter& writer);

 private:
  std::vector<std::string> tokens_;
  std::map<int32_t, float> coordinates_;
  std::unique_ptr<engine::Tokenizer> tokenizer_;
};

}  // namespace winnow::train
