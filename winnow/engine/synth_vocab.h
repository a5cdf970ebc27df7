#pragma once

// Vocabulary of random-weight models.

#include <cstdint>
#include <string>
#include <vector>

namespace winnow::engine {

/// Arrays of the tokenizer.ggml.* keys, one entry per token.
struct SynthVocab {
  std::vector<std::string> tokens;
  std::vector<float> scores;
  std::vector<int32_t> types;  ///< llama_token_type
  int32_t unk = 0, bos = 1, eos = 2;
};

/// n_vocab tokens in the order of Llama's own vocabulary: specials, bytes, then pieces with falling scores.
/// Throws InvalidArgument below 354 (specials, bytes, characters) and above 900,000.
SynthVocab synth_vocab(int32_t n_vocab);

/// A small vocabulary of the form of CLIP's: the 256 bytes in GPT-2's spelling, the same with "</w>", merges
/// that spell some question words from the left, "<|startoftext|>", "<|endoftext|>".
std::vector<std::string> synth_clip_vocab();

}  // namespace winnow::engine
