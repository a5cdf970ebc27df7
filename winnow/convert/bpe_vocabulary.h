#pragma once

#include <string>

#include "winnow/engine/config_keys.h"

namespace winnow::convert {

/// The vocabulary of n_vocab entries in a checkpoint's tokenizer.json, of byte-level byte pairs with Qwen2's
/// way of splitting text, as llama.cpp's convert_hf_to_gguf.py writes it: added tokens are control tokens
/// where they are special, else user-defined, and rows without a token are "[PADn]". Special ids as
/// read_special_ids(). Throws NotFound (no tokenizer.json), Corrupt (a damaged file, an id that is taken or
/// has no row), Unsupported (another model or another way of splitting).
engine::BpeVocab read_bpe_vocabulary(const std::string& folder, int32_t n_vocab);

}  // namespace winnow::convert
