#pragma once

#include <ggml.h>

#include <cstdint>
#include <span>
#include <vector>

#include "winnow/engine/backend.h"

namespace winnow::engine {

/// Keys and values of one decoder layer: exactly the tokens that the layer saw.
struct KvLayer {
  ggml_tensor* k = nullptr;  ///< ne {n_embd_kv, capacity}: one row per token, heads side by side, after RoPE
  ggml_tensor* v = nullptr;  ///< ne {n_embd_kv, capacity}
  int32_t n = 0;             ///< rows in use
  int32_t capacity = 0;
  int32_t next_id = 0;  ///< position id of the next token (differs between layers under the compact policy)
  ContextPtr ctx;
  BufferPtr buffer;
};

/// Ragged cache: every layer has its own length and its own memory, allocated when the layer is first run, so
/// that pruned layers really take less.
class KvCache {
 public:
  KvCache(int32_t n_layer, int64_t n_embd_kv, ggml_type type, ggml_backend_dev_t device);

  KvLayer& layer(int32_t il) { return layers_[static_cast<std::size_t>(il)]; }
  const KvLayer& layer(int32_t il) const { return layers_[static_cast<std::size_t>(il)]; }
  int32_t n_layer() const { return static_cast<int32_t>(layers_.size()); }
  /// Makes room for at least `capacity` rows in a layer; keeps what is there. Throws OutOfMemory.
  void reserve(int32_t il, int32_t capacity);
  void clear();
  /// How far every layer is, to come back to.
  struct Mark {
    int32_t n = 0;
    int32_t next_id = 0;
  };
  std::vector<Mark> marks() const;
  /// Forgets the rows and ids that were added since the marks were taken.
  void rewind(const std::vector<Mark>& marks);
  /// Keeps the named rows of a layer, ascending, and forgets the others. frees_ids: the next id goes down by
  /// their number; not where tokens share ids.
  void keep_rows(int32_t il, std::span<const int32_t> rows, bool frees_ids = true);
  /// Bytes of the rows in use.
  int64_t bytes_used() const;
  /// Bytes of the memory really allocated.
  int64_t bytes_allocated() const;
  /// Bytes of one token in one layer.
  int64_t bytes_per_token() const { return 2 * static_cast<int64_t>(ggml_row_size(type_, n_embd_kv_)); }

 private:
  int64_t n_embd_kv_;
  ggml_type type_;
  ggml_backend_dev_t device_;
  std::vector<KvLayer> layers_;
};

}  // namespace winnow::engine
