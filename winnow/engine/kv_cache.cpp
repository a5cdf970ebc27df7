#include "winnow/engine/kv_cache.h"

#include <algorithm>
#include <utility>

#include "winnow/base/error.h"

namespace winnow::engine {
namespace {

void copy_rows(const ggml_tensor* from, ggml_tensor* to, int32_t n_rows) {
  std::vector<uint8_t> rows(ggml_row_size(from->type, from->ne[0]) * static_cast<std::size_t>(n_rows));
  if (rows.empty()) return;
  ggml_backend_tensor_get(from, rows.data(), 0, rows.size());
  ggml_backend_tensor_set(to, rows.data(), 0, rows.size());
}

}  // namespace

KvCache::KvCache(int32_t n_layer, int64_t n_embd_kv, ggml_type type, ggml_backend_dev_t device)
    : n_embd_kv_(n_embd_kv), type_(type), device_(device), layers_(static_cast<std::size_t>(n_layer)) {}

void KvCache::reserve(int32_t il, int32_t capacity) {
  KvLayer& old = layer(il);
  if (capacity <= old.capacity) return;
  KvLayer grown;
  grown.ctx = make_context(2);
  grown.k = ggml_new_tensor_2d(grown.ctx.get(), type_, n_embd_kv_, capacity);
  grown.v = ggml_new_tensor_2d(grown.ctx.get(), type_, n_embd_kv_, capacity);
  grown.buffer.reset(
      ggml_backend_alloc_ctx_tensors_from_buft(grown.ctx.get(), ggml_backend_dev_buffer_type(device_)));
  WINNOW_CHECK(grown.buffer != nullptr, OutOfMemory, "engine.kv_cache",
               "not enough memory for {} tokens in layer {}", capacity, il);
  grown.capacity = capacity;
  grown.n = old.n;
  grown.next_id = old.next_id;
  if (old.n > 0) {
    copy_rows(old.k, grown.k, old.n);
    copy_rows(old.v, grown.v, old.n);
  }
  old = std::move(grown);
}

void KvCache::clear() {
  for (KvLayer& layer : layers_) layer = KvLayer{};
}

std::vector<KvCache::Mark> KvCache::marks() const {
  std::vector<Mark> out;
  for (const KvLayer& layer : layers_) out.push_back({layer.n, layer.next_id});
  return out;
}

void KvCache::rewind(const std::vector<Mark>& marks) {
  for (std::size_t il = 0; il < layers_.size(); ++il) {
    layers_[il].n = marks[il].n;
    layers_[il].next_id = marks[il].next_id;
  }
}

void KvCache::keep_rows(int32_t il, std::span<const int32_t> rows, bool frees_ids) {
  KvLayer& at = layer(il);
  const auto bytes = ggml_row_size(type_, n_embd_kv_);
  for (ggml_tensor* tensor : {at.k, at.v}) {
    if (tensor == nullptr || at.n == 0) continue;
    std::vector<uint8_t> all(bytes * static_cast<std::size_t>(at.n));
    ggml_backend_tensor_get(tensor, all.data(), 0, all.size());
    auto to = all.begin();
    for (const int32_t row : rows) {
      WINNOW_ASSERT(row >= 0 && row < at.n);
      to = std::copy_n(all.begin() + row * static_cast<int64_t>(bytes), bytes, to);
    }
    ggml_backend_tensor_set(tensor, all.data(), 0, bytes * rows.size());
  }
  const auto n = static_cast<int32_t>(rows.size());
  if (frees_ids) at.next_id -= at.n - n;
  at.n = n;
}

int64_t KvCache::bytes_used() const {
  int64_t rows = 0;
  for (const KvLayer& layer : layers_) rows += layer.n;
  return rows * bytes_per_token();
}

int64_t KvCache::bytes_allocated() const {
  int64_t bytes = 0;
  for (const KvLayer& layer : layers_) {
    if (layer.buffer) bytes += static_cast<int64_t>(ggml_backend_buffer_get_size(layer.buffer.get()));
  }
  return bytes;
}

}  // namespace winnow::engine
