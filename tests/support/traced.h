#pragma once

// What a session shows of a forward pass, for comparison with reference results.

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/engine_models.h"

namespace winnow::testing {

struct Traced {
  std::map<std::string, std::vector<float>> tensors;
  std::map<std::string, std::vector<int64_t>> shapes;

  /// Takes every tensor that a session shows; valid as long as this.
  engine::Observer observer() {
    return [this](std::string_view name, std::span<const int64_t> shape, std::span<const float> values) {
      tensors[std::string(name)].assign(values.begin(), values.end());
      shapes[std::string(name)].assign(shape.begin(), shape.end());
    };
  }
};

/// The first n greedy tokens behind a prefill whose last row of logits is that of the last token.
inline std::vector<int32_t> greedy_tokens(engine::Session& session, const engine::PrefillResult& prefill,
                                          std::size_t n) {
  const auto n_vocab = static_cast<std::ptrdiff_t>(session.model().llama().n_vocab);
  std::vector<float> logits(prefill.logits.end() - n_vocab, prefill.logits.end());
  std::vector<int32_t> tokens;
  while (tokens.size() < n) {
    tokens.push_back(argmax(logits));
    logits = session.decode(tokens.back());
  }
  return tokens;
}

}  // namespace winnow::testing
