#include "winnow/engine/synth_weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "winnow/base/rng.h"

namespace winnow::engine {
namespace {

constexpr int64_t kPoolRows = 2048;
constexpr int64_t kChunkBytes = int64_t{4} << 20;

/// FNV-1a, 64 bit: a name's own random stream.
uint64_t stream_of(std::string_view name) {
  uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : name) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3ULL;
  return hash;
}

/// n_rows random rows of the tensor, in its type.
std::vector<uint8_t> draw_rows(Rng& rng, const SynthTensor& tensor, int64_t n_rows) {
  const int64_t n_cols = tensor.ne[0];
  std::vector<float> values(static_cast<std::size_t>(n_rows * n_cols));
  for (float& value : values) value = static_cast<float>(tensor.mean + tensor.std * rng.normal());
  std::vector<uint8_t> stored(ggml_row_size(tensor.type, n_cols) * static_cast<std::size_t>(n_rows));
  ggml_quantize_chunk(tensor.type, values.data(), stored.data(), 0, n_rows, n_cols, nullptr);
  return stored;
}

}  // namespace

int64_t SynthTensor::n_elements() const {
  int64_t n = 1;
  for (const int64_t size : ne) n *= size;
  return n;
}

void SynthWeights::write(const SynthTensor& tensor, GgufWriter& writer) {
  const int64_t n_rows = tensor.n_elements() / tensor.ne[0];
  const auto row_bytes = static_cast<int64_t>(ggml_row_size(tensor.type, tensor.ne[0]));
  const int64_t chunk_rows = std::max<int64_t>(1, kChunkBytes / (tensor.ne[0] * int64_t{sizeof(float)}));
  Rng rng(seed_, stream_of(tensor.name));
  const bool from_pool = pooled_ && n_rows > kPoolRows;
  for (int64_t first = 0; first < n_rows; first += chunk_rows) {
    const int64_t n = std::min(chunk_rows, n_rows - first);
    if (!from_pool) {
      writer.write(tensor.name, draw_rows(rng, tensor, n));
      continue;
    }
    const std::vector<uint8_t>& rows = pool(tensor);
    std::vector<uint8_t> chunk(static_cast<std::size_t>(n * row_bytes));
    for (int64_t row = 0; row < n; ++row) {
      const auto source = static_cast<int64_t>(rng.below(kPoolRows));
      std::copy_n(rows.begin() + source * row_bytes, row_bytes, chunk.begin() + row * row_bytes);
    }
    writer.write(tensor.name, chunk);
  }
}

const std::vector<uint8_t>& SynthWeights::pool(const SynthTensor& tensor) {
  std::vector<uint8_t>& rows = pools_[{tensor.type, tensor.ne[0], tensor.std}];
  if (rows.empty()) {
    Rng rng(seed_, stream_of(fmt::format("pool {} {}", tensor.ne[0], tensor.std)));
    rows = draw_rows(rng, tensor, kPoolRows);
  }
  return rows;
}

}  // namespace winnow::engine
