#include "winnow/engine/synth_vocab.h"

#include <fmt/format.h>

#include <set>
#include <string_view>

#include "winnow/base/error.h"

namespace winnow::engine {
namespace {

constexpr std::string_view kSpace = "\xe2\x96\x81";  // U+2581
constexpr std::string_view kLetters = "etaoinshrdlcumwfgypbvkjxqz";
constexpr int32_t kSmallest = 3 + 256 + 1 + 94;
constexpr int32_t kLargest = 900'000;

/// The SPM tokenizer joins the pair of best score first, so longer pieces come later and score less; each is
/// its shorter prefix and one letter, hence reachable.
void add_piece(SpmVocab& vocab, std::string token) {
  vocab.add(std::move(token), -static_cast<float>(vocab.tokens.size() - 259), TokenType::Normal);
}

/// All groups of `length` letters, the last one running fastest.
void add_letter_groups(SpmVocab& vocab, std::string_view start, int length, std::size_t n_vocab) {
  const std::size_t n = kLetters.size();
  std::size_t n_groups = 1;
  for (int i = 0; i < length; ++i) n_groups *= n;
  for (std::size_t group = 0; group < n_groups && vocab.tokens.size() < n_vocab; ++group) {
    std::string letters(static_cast<std::size_t>(length), ' ');
    std::size_t rest = group;
    for (int i = length - 1; i >= 0; --i, rest /= n)
      letters[static_cast<std::size_t>(i)] = kLetters[rest % n];
    add_piece(vocab, std::string(start) + letters);
  }
}

std::string latin_or_shifted(int32_t code_point) {
  if (code_point < 0x80) return {static_cast<char>(code_point)};
  return {static_cast<char>(0xc0 | code_point >> 6), static_cast<char>(0x80 | (code_point & 0x3f))};
}

}  // namespace

std::vector<std::string> synth_clip_vocab() {
  std::vector<std::string> tokens;
  std::vector<std::string> shifted;
  for (int32_t byte = 0; byte < 256; ++byte) {
    const bool prints = (byte >= 33 && byte <= 126) || (byte >= 161 && byte != 173);
    auto& list = prints ? tokens : shifted;
    list.push_back(latin_or_shifted(prints ? byte : 256 + static_cast<int32_t>(shifted.size())));
  }
  tokens.insert(tokens.end(), shifted.begin(), shifted.end());
  for (std::size_t byte = 0; byte < 256; ++byte) tokens.push_back(fmt::format("{}</w>", tokens[byte]));
  std::set<std::string> known(tokens.begin(), tokens.end());
  for (const std::string_view word : {"the", "what", "is", "in", "this", "picture", "color", "how", "many",
                                      "red", "blue", "left", "of", "a", "are", "there"}) {
    for (std::size_t n = 2; n <= word.size(); ++n) {
      std::string token = fmt::format("{}{}", word.substr(0, n), n == word.size() ? "</w>" : "");
      if (known.insert(token).second) tokens.push_back(std::move(token));
    }
  }
  tokens.insert(tokens.end(), {"<|startoftext|>", "<|endoftext|>"});
  return tokens;
}

SpmVocab synth_vocab(int32_t n_vocab) {
  WINNOW_CHECK(n_vocab >= kSmallest && n_vocab <= kLargest, InvalidArgument, "synth.synth_vocab",
               "bad vocabulary size, got {}, expected {} to {}", n_vocab, kSmallest, kLargest);
  SpmVocab vocab;
  vocab.add("<unk>", 0.0F, TokenType::Unknown);
  vocab.add("<s>", 0.0F, TokenType::Control);
  vocab.add("</s>", 0.0F, TokenType::Control);
  vocab.unk = 0;
  vocab.bos = 1;
  vocab.eos = 2;
  for (int byte = 0; byte < 256; ++byte) vocab.add(fmt::format("<0x{:02X}>", byte), 0.0F, TokenType::Byte);
  add_piece(vocab, std::string(kSpace));
  for (char c = '!'; c <= '~'; ++c) add_piece(vocab, std::string(1, c));
  for (int length = 2; length <= 4; ++length) {
    add_letter_groups(vocab, "", length, static_cast<std::size_t>(n_vocab));
    add_letter_groups(vocab, kSpace, length, static_cast<std::size_t>(n_vocab));
  }
  WINNOW_ASSERT(vocab.tokens.size() == static_cast<std::size_t>(n_vocab));
  return vocab;
}

}  // namespace winnow::engine
