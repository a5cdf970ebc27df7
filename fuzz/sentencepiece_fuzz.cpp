// Any bytes are either a SentencePiece model or an Error; nothing else may happen.

#include "winnow/base/error.h"
#include "winnow/convert/sentencepiece.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    winnow::convert::parse_sentencepiece(std::span(data, size), "input");
  } catch (const winnow::Error&) {
  }
  return 0;
}
