#pragma once

#include <ggml.h>

#include <string>
#include <vector>

namespace winnow::testing {

/// libllama's logits of every token [n, n_vocab] for embeddings [n, n_embd] at positions 0, 1, 2 ...; empty
/// when it refuses the file.
std::vector<float> libllama_logits(const std::string& path, const std::vector<float>& embeddings,
                                   ggml_type kv_type, bool flash);

}  // namespace winnow::testing
