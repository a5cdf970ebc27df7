// Any bytes are either a set of tensors or an Error; nothing else may happen.

#include "winnow/base/error.h"
#include "winnow/record/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    winnow::record::parse_safetensors(std::span(data, size), "input");
  } catch (const winnow::Error&) {
  }
  return 0;
}
