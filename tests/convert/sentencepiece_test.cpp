// The reader of tokenizer.model on a real file and on messages written by hand.

#include "winnow/convert/sentencepiece.h"

#include <gtest/gtest.h>

#include "tests/convert/checkpoint_folder.h"
#include "tests/support/engine_models.h"
#include "tests/support/expect_error.h"

namespace winnow::convert {
namespace {

using test::expect_error;
using Bytes = std::vector<uint8_t>;

SentencePieceModel parse(const Bytes& bytes) { return parse_sentencepiece(bytes, "x"); }

Bytes real_file() {
  const std::string text = test::read_text(testing::oracle_path("hf/tokenizer.model"));
  return {text.begin(), text.end()};
}

// {piece "a", score 1.5, type 4}
const Bytes kPiece = {0x0A, 10, 0x0A, 1, 'a', 0x15, 0, 0, 0xC0, 0x3F, 0x18, 4};

Bytes with(const Bytes& more) {
  Bytes bytes = kPiece;
  bytes.insert(bytes.end(), more.begin(), more.end());
  return bytes;
}

TEST(SentencePiece, RealFile) {
  const SentencePieceModel model = parse(real_file());
  ASSERT_EQ(model.pieces.size(), 490U);
  EXPECT_TRUE(model.byte_pairs);
  EXPECT_TRUE(model.space_prefix);
  EXPECT_EQ(model.unk, 0);
  EXPECT_EQ(model.bos, 1);
  EXPECT_EQ(model.eos, 2);
  EXPECT_EQ(model.pad, -1) << "written as ten bytes";
  EXPECT_EQ(model.pieces[0].text, "<unk>");
  EXPECT_EQ(model.pieces[0].type, 2);
  EXPECT_EQ(model.pieces[258].text, "<0xFF>");
  EXPECT_EQ(model.pieces[258].type, 6);
  EXPECT_EQ(model.pieces[261].text,
            "\xe2\x96\x81"
            "a");
  EXPECT_EQ(model.pieces[261].score, -2.0F);
  EXPECT_EQ(model.pieces[261].type, 1) << "the default, which is not written";
}

TEST(SentencePiece, FieldsWrittenByHand) {
  const SentencePieceModel model = parse(with({
      0x12, 5,    0x18, 2,    0xC8, 0x02, 7,        // trainer: BPE, field 41 (begin) 7
      0x1A, 2,    0x18, 0,                          // normaliser: no space in front
      0x21, 1,    2,    3,    4,    5,    6, 7, 8,  // fields of later versions, of every wire type
      0x28, 0xFF, 0x01, 0x35, 1,    2,    3, 4, 0x3A, 2, 'h', 'i',
  }));
  ASSERT_EQ(model.pieces.size(), 1U);
  EXPECT_EQ(model.pieces[0].text, "a");
  EXPECT_EQ(model.pieces[0].score, 1.5F);
  EXPECT_EQ(model.pieces[0].type, 4);
  EXPECT_TRUE(model.byte_pairs);
  EXPECT_EQ(model.bos, 7);
  EXPECT_EQ(model.eos, 2);
  EXPECT_FALSE(model.space_prefix);
}

TEST(SentencePiece, UnigramIsTheFormatsDefault) { EXPECT_FALSE(parse(kPiece).byte_pairs); }

TEST(SentencePiece, BadMessages) {
  const auto corrupt = [](const std::string& text, const Bytes& bytes) {
    expect_error(ErrorCode::Corrupt, text, [&] { parse(bytes); });
  };
  corrupt("no pieces", {});
  corrupt("no pieces", {0x12, 2, 0x18, 2});
  corrupt("wire type 3", {0x0B});
  corrupt("cut short, 1 bytes are left of 10", {0x0A, 10, 0});
  corrupt("cut short", {0x0A});
  corrupt("cut short", {0x0D, 1, 2});
  corrupt("more than 64 bits", Bytes(11, 0xFF));
  corrupt("type of piece 'a', got 7", {0x0A, 5, 0x0A, 1, 'a', 0x18, 7});
  corrupt("score of piece 'a'", {0x0A, 8, 0x0A, 1, 'a', 0x15, 0, 0, 0xC0, 0x7F});
  corrupt("cut short", {0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01});
}

TEST(SentencePiece, EveryPrefixIsReadOrRefused) {
  const Bytes whole = real_file();
  int n_refused = 0;
  for (std::size_t n = 0; n < whole.size(); ++n) {
    try {
      EXPECT_LE(parse({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(n)}).pieces.size(), 490U);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::Corrupt);
      ++n_refused;
    }
  }
  EXPECT_GT(n_refused, 6000);
}

}  // namespace
}  // namespace winnow::convert
