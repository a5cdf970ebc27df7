#pragma once

// CLIP's tokenizer (byte pairs over lower-cased words), as transformers' CLIPTokenizerFast splits text.
// libllama has no such vocabulary.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "winnow/engine/gguf.h"

namespace winnow::engine {

/// Immutable. tokenizer.ggml.tokens is the vocabulary in order of ids: bytes in GPT-2's printable spelling,
/// alone and with "</w>" behind them, what merging made of them, "<|startoftext|>" and "<|endoftext|>".
///
/// Merges come from tokenizer.ggml.merges ("a b", earlier first; GPT-2's key) or, without it, from the
/// vocabulary: two neighbours merge when their concatenation is a token, lowest id first. In a vocabulary
/// that lists merges in the order in which training found them, as CLIP's does, that is the same: what a
/// token's letters have become when only earlier merges were applied is the very pair that made the token.
class ClipTokenizer {
 public:
  /// Throws NotFound (no vocabulary), Corrupt (a byte or special token is missing, a merge that makes no
  /// token).
  explicit ClipTokenizer(const GgufFile& file);

  /// Ids with begin and end token. The special tokens written out in the text are recognised. Throws
  /// InvalidArgument for text that is no UTF-8.
  std::vector<int32_t> tokenize(std::string_view text) const;
  int32_t n_tokens() const { return n_tokens_; }
  int32_t start_token() const { return start_; }
  int32_t end_token() const { return end_; }

 private:
  void read_merges(const GgufFile& file);
  int32_t rank(const std::string& left, const std::string& right) const;
  void add_word(std::string_view word, std::vector<int32_t>& ids) const;

  int32_t n_tokens_ = 0;
  int32_t start_ = 0;
  int32_t end_ = 0;
  std::array<std::string, 256> spelling_;           ///< of each byte
  std::unordered_map<std::string, int32_t> ids_;    ///< by token
  std::unordered_map<std::string, int32_t> ranks_;  ///< by "left right"; empty: by the vocabulary
};

/// The words of a text in CLIP's sense: Unicode normal form C, lower case, then runs of letters, single
/// digits, English endings ('s, 't, 're ...) and runs of anything else but spaces. Throws as tokenize().
std::vector<std::string> clip_words(std::string_view text);

}  // namespace winnow::engine
