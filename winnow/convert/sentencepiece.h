#pragma once

// tokenizer.model: a SentencePiece model (Kudo and Richardson 2018, arXiv 1808.06226), a protocol buffer
// whose messages sentencepiece_model.proto describes.
//
// Read without libprotobuf: of some 70 fields a conversion needs ten, the wire format is five rules
// (https://protobuf.dev/programming-guides/encoding), and a generated parser would bring a compiler into the
// build and a library of 3 MB into the program; libsentencepiece brings a tokenizer that nothing would use.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace winnow::convert {

/// One entry of the vocabulary; its place in the list is its id.
struct SentencePiece {
  std::string text;
  float score = 0.0F;
  int32_t type =
      1;  ///< 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte, as llama_token_type
};

struct SentencePieceModel {
  std::vector<SentencePiece> pieces;
  bool byte_pairs = false;  ///< model_type BPE; the format's default is a unigram model
  int32_t unk = 0, bos = 1, eos = 2, pad = -1;
  bool space_prefix = true;  ///< add_dummy_prefix
};

/// `place` is for messages. Throws Corrupt (a message cut short, a wire type of no use, no pieces, a type
/// that is none).
SentencePieceModel parse_sentencepiece(std::span<const uint8_t> bytes, const std::string& place);

}  // namespace winnow::convert
