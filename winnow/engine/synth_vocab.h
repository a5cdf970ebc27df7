#pragma once

// Vocabulary of random-weight models.

#include <cstdint>
#include <string>
#include <vector>

#include "winnow/engine/config_keys.h"

namespace winnow::engine {

/// n_vocab tokens in the order of Llama's own vocabulary: specials, bytes, then pieces with falling scores.
/// Throws InvalidArgument below 354 (specials, bytes, characters) and above 900,000.
SpmVocab synth_vocab(int32_t n_vocab);

/// A small vocabulary of the form of CLIP's: the 256 bytes in GPT-2's spelling, the same with "</w>", merges
/// that spell some question words from the left, "<|startoftext|>", "<|endoftext|>".
std::vector<std::string> synth_clip_vocab();

}  // namespace winnow::engine
