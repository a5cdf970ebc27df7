// CLIP's tokenizer: what it does to text, worked out by hand from the rules (lower case, words, byte pairs,
// lowest rank first), and the vocabularies that it refuses.

#include "winnow/engine/vision/clip_tokenizer.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/engine_models.h"
#include "winnow/base/error.h"
#include "winnow/engine/gguf_writer.h"
#include "winnow/engine/synth_vocab.h"

namespace winnow::engine {
namespace {

using Words = std::vector<std::string>;
using Strings = std::vector<std::string>;

/// The 512 bytes of any CLIP vocabulary, then `merged`, then the special tokens.
Strings vocabulary(const Strings& merged) {
  Strings tokens = synth_clip_vocab();
  tokens.resize(512);
  tokens.insert(tokens.end(), merged.begin(), merged.end());
  tokens.insert(tokens.end(), {"<|startoftext|>", "<|endoftext|>"});
  return tokens;
}

std::string vocabulary_file(const Strings& tokens, const Strings& merges = {}) {
  static int count = 0;
  return testing::keys_file(fmt::format("clip-vocab-{}.gguf", count++), [&](GgufWriter& writer) {
    if (!tokens.empty()) writer.set_str_array("tokenizer.ggml.tokens", tokens);
    if (!merges.empty()) writer.set_str_array("tokenizer.ggml.merges", merges);
  });
}

/// Tokens as text, without begin and end.
Strings pieces(const Strings& tokens, const std::string& text, const Strings& merges = {}) {
  const GgufFile file(vocabulary_file(tokens, merges));
  const ClipTokenizer tokenizer(file);
  const std::vector<int32_t> ids = tokenizer.tokenize(text);
  EXPECT_EQ(ids.front(), tokenizer.start_token());
  EXPECT_EQ(ids.back(), tokenizer.end_token());
  Strings out;
  for (std::size_t i = 1; i + 1 < ids.size(); ++i) out.push_back(tokens.at(static_cast<std::size_t>(ids[i])));
  return out;
}

TEST(ClipWords, LowerCaseLettersDigitsEndingsAndTheRest) {
  EXPECT_EQ(clip_words("What IS  this?\n"), (Words{"what", "is", "this", "?"}));
  EXPECT_EQ(clip_words("don't we'll I'm"), (Words{"don", "'t", "we", "'ll", "i", "'m"}));
  EXPECT_EQ(clip_words("2024 cats"), (Words{"2", "0", "2", "4", "cats"}));
  EXPECT_EQ(clip_words("a--b!?...c"), (Words{"a", "--", "b", "!?...", "c"}));
  EXPECT_EQ(clip_words("''s"), (Words{"''", "s"})) << "an ending counts only where a word begins";
  EXPECT_EQ(clip_words("it'sx"), (Words{"it", "'s", "x"}));
  EXPECT_EQ(clip_words(" \t"), Words{});
  EXPECT_EQ(clip_words("<|ENDOFTEXT|> x"), (Words{"<|endoftext|>", "x"}));
}

TEST(ClipWords, Unicode) {
  EXPECT_EQ(clip_words("\xc3\x84pfel"), Words{"\xc3\xa4pfel"}) << "A umlaut";
  EXPECT_EQ(clip_words("A\xcc\x88pfel"), Words{"\xc3\xa4pfel"}) << "the same of two code points: form C";
  EXPECT_EQ(clip_words("\xe5\x9b\xbe\xe7\x89\x87\xef\xbc\x9f"),
            (Words{"\xe5\x9b\xbe\xe7\x89\x87", "\xef\xbc\x9f"}))
      << "two ideographs are one word, the wide question mark another";
  EXPECT_EQ(clip_words("a\xc2\xa0"
                       "b\xe3\x80\x80"
                       "c"),
            (Words{"a", "b", "c"}))
      << "wide spaces";
  EXPECT_EQ(clip_words("x\xc2\xb2"), (Words{"x", "\xc2\xb2"})) << "superscript two is a number";
  EXPECT_EQ(clip_words("\xc4\xb0"), (Words{"i", "\xcc\x87"})) << "dotted I becomes i and a mark";
  EXPECT_THROW(clip_words("\xff\xfe"), Error);
}

TEST(ClipTokenizer, MergesTheLowestRankFirst) {
  // l o w e r</w>: "lo" (0) first, then "er</w>" (2) since "we" (3) has a higher rank, then "low" (4).
  const Strings tokens = vocabulary({"lo", "ow", "er</w>", "we", "low", "lower</w>"});
  EXPECT_EQ(pieces(tokens, "lower"), Strings{"lower</w>"});
  EXPECT_EQ(pieces(tokens, "low"), (Strings{"lo", "w</w>"})) << "low without word end is no word";
  EXPECT_EQ(pieces(tokens, "lowerer"), (Strings{"lo", "we", "r", "er</w>"}))
      << "er merges at the end only; we (3) goes before low (4)";
  EXPECT_EQ(pieces(tokens, "owe"), (Strings{"ow", "e</w>"}));
}

TEST(ClipTokenizer, TakesTheLeftmostOfEqualPairs) {
  const Strings tokens = vocabulary({"aa", "aa</w>"});
  EXPECT_EQ(pieces(tokens, "aaaa"), (Strings{"aa", "aa</w>"}));
  EXPECT_EQ(pieces(tokens, "aaa"), (Strings{"aa", "a</w>"}));
}

TEST(ClipTokenizer, MergesOfTheFileGoBeforeTheVocabulary) {
  const Strings tokens = vocabulary({"ab", "bc</w>"});
  EXPECT_EQ(pieces(tokens, "abc"), (Strings{"ab", "c</w>"}));
  EXPECT_EQ(pieces(tokens, "abc", {"b c</w>", "a b"}), (Strings{"a", "bc</w>"}));
  EXPECT_EQ(pieces(tokens, "abd", {"b c</w>"}), (Strings{"a", "b", "d</w>"})) << "ab is a token, not a merge";
}

TEST(ClipTokenizer, SpellsBytesAsGpt2Does) {
  const Strings tokens = vocabulary({});
  EXPECT_EQ(pieces(tokens, "\xc3\xa9"), (Strings{"\xc3\x83", "\xc2\xa9</w>"})) << "bytes C3 A9 as Latin-1";
  // U+2028's neighbour U+2022 (bullet) is E2 80 A2: E2 and A2 print in Latin-1; 80 is the 33rd + 1 that does
  // not (00 to 20, 7F before it): U+0100 + 34 = U+0122.
  EXPECT_EQ(pieces(tokens, "\xe2\x80\xa2"), (Strings{"\xc3\xa2", "\xc4\xa2", "\xc2\xa2</w>"}));
  EXPECT_EQ(pieces(tokens, ""), Strings{});
  EXPECT_EQ(pieces(tokens, "<|endoftext|>"), Strings{"<|endoftext|>"});
}

TEST(ClipTokenizer, RefusesOtherVocabularies) {
  const auto refusal = [](const Strings& tokens, const Strings& merges = {}) -> std::string {
    const std::string path = vocabulary_file(tokens, merges);
    try {
      const GgufFile file(path);
      const ClipTokenizer tokenizer(file);
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(path), std::string::npos);
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(refusal(vocabulary({"ab"}), {"a b"}), "");
  EXPECT_NE(refusal({}).find("tokenizer.ggml.tokens"), std::string::npos);
  for (const std::string gone : {"a", "a</w>", "<|startoftext|>", "<|endoftext|>"}) {
    Strings tokens = vocabulary({});
    std::erase(tokens, gone);
    EXPECT_NE(refusal(tokens).find(fmt::format("got 513 tokens without '{}'", gone)), std::string::npos);
  }
  for (const std::string merge : {"ab", "a ", " b", "a c"}) {
    EXPECT_NE(refusal(vocabulary({"ab"}), {merge}).find(fmt::format("got '{}'", merge)), std::string::npos);
  }
}

}  // namespace
}  // namespace winnow::engine
