#pragma once

// Random tensors, row by row, in the type they are stored in.

#include <ggml.h>

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "winnow/engine/gguf_writer.h"

namespace winnow::engine {

/// One tensor of a random model: every value is normal(mean, std).
struct SynthTensor {
  std::string name;
  ggml_type type = GGML_TYPE_F32;
  std::vector<int64_t> ne;  ///< innermost first
  float mean = 0.0F;
  float std = 0.0F;

  int64_t n_elements() const;
};

/// Draws tensors and writes them. Not thread-safe.
class SynthWeights {
 public:
  /// pooled: tensors with more rows than a pool holds take their rows from pools (see synth_model).
  SynthWeights(uint64_t seed, bool pooled) : seed_(seed), pooled_(pooled) {}
  /// Streams all of `tensor` to the writer. Throws Io.
  void write(const SynthTensor& tensor, GgufWriter& writer);

 private:
  using PoolKey = std::tuple<ggml_type, int64_t, float>;  // type, row length, std
  const std::vector<uint8_t>& pool(const SynthTensor& tensor);

  uint64_t seed_;
  bool pooled_;
  std::map<PoolKey, std::vector<uint8_t>> pools_;
};

}  // namespace winnow::engine
