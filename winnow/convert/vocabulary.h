#pragma once

// The tokenizer files of a checkpoint as the arrays of a GGUF's tokenizer.

#include <string>
#include <vector>

#include "winnow/engine/config_keys.h"

namespace winnow::convert {

/// The vocabulary of n_vocab entries, as llama.cpp's convert_hf_to_gguf.py builds it: the pieces of
/// tokenizer.model, over them added_tokens.json (user-defined) and the added_tokens_decoder of
/// tokenizer_config.json (control tokens where they are special), and "[PADn]" where no token is. Ids of
/// begin, end, unknown and padding: by their names in tokenizer_config.json or special_tokens_map.json, else
/// the
/// *_token_id of config.json or generation_config.json, else (but for padding) tokenizer.model's own.
/// Throws NotFound (no tokenizer.model), Corrupt (damaged files, more pieces than n_vocab, a token twice),
/// Unsupported (a unigram model).
engine::SpmVocab read_vocabulary(const std::string& folder, int32_t n_vocab);

/// Ids of special tokens; -1: none.
struct SpecialIds {
  int32_t bos = -1, eos = -1, unk = -1, pad = -1;
};

/// Those of a folder, by their names in tokenizer_config.json or special_tokens_map.json, else the *_token_id
/// of config.json or generation_config.json, else the fallback's. Throws Corrupt for a name that is no token.
SpecialIds read_special_ids(const std::string& folder, const std::vector<std::string>& tokens,
                            const SpecialIds& fallback);

/// Spellings that published tokenizers forgot to mark as special.
bool looks_special(const std::string& token);

/// The checkpoint's chat template (chat_template.jinja, chat_template.json or tokenizer_config.json); empty
/// when it has none. Throws Corrupt, Io.
std::string read_chat_template(const std::string& folder);

/// CLIP's vocabulary in order of ids, from vocab.json. Throws NotFound, Corrupt (an id that is missing or
/// taken).
std::vector<std::string> read_clip_vocabulary(const std::string& folder);

}  // namespace winnow::convert
