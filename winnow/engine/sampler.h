#pragma once

#include <cstdint>
#include <memory>
#include <span>

struct llama_sampler;

namespace winnow::engine {

struct SamplingOptions {
  double temperature = 0.0;  ///< 0: greedy
  double top_p = 1.0;        ///< (0, 1]; 1: off
  int32_t top_k = 0;         ///< 0: off
  uint32_t seed = 0;
};

/// Picks the next token: greedy, or temperature / top-k / top-p by libllama's samplers, deterministic for a
/// seed.
class Sampler {
 public:
  /// Throws InvalidArgument for options out of range.
  explicit Sampler(const SamplingOptions& options);
  /// logits [n_vocab]; greedy ties go to the lower id.
  int32_t pick(std::span<const float> logits);

 private:
  struct Free {
    void operator()(llama_sampler* chain) const;
  };
  std::unique_ptr<llama_sampler, Free> chain_;  ///< nullptr: greedy
};

}  // namespace winnow::engine
