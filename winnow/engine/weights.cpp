#include "winnow/engine/weights.h"

#include <ggml.h>

#include <cstring>
#include <optional>

#include "winnow/base/error.h"
#include "winnow/base/progress.h"
#include "winnow/engine/ggml_log.h"

namespace winnow::engine {
namespace {

constexpr const char* kWhere = "engine.weights";

std::string shape_text(const std::vector<int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

bool has_shape(const GgufTensor& tensor, const std::vector<int64_t>& shape) {
  std::size_t n_dims = 4;
  for (std::size_t d = 0; d < n_dims; ++d) {
    const int64_t expected = d < shape.size() ? shape[shape.size() - 1 - d] : 1;
    if (tensor.ne[d] != expected) return false;
  }
  return true;
}

bool convertible(ggml_type type) {
  return type == GGML_TYPE_F32 || ggml_get_type_traits(type)->to_float != nullptr;
}

/// Does the device multiply a weight of this shape when it is kept in this buffer type? (As llama.cpp asks.)
bool can_multiply(ggml_backend_dev_t device, ggml_backend_buffer_type_t buft, ggml_type type, int64_t n_in,
                  int64_t n_out) {
  ContextPtr ctx = make_context(4);
  ggml_tensor* weight = ggml_new_tensor_2d(ctx.get(), type, n_in, n_out);
  ggml_tensor* input = ggml_new_tensor_2d(ctx.get(), GGML_TYPE_F32, n_in, 512);
  ggml_tensor* product = ggml_mul_mat(ctx.get(), weight, input);
  BufferPtr empty(ggml_backend_buft_alloc_buffer(buft, 0));
  weight->buffer = empty.get();
  const bool ok = ggml_backend_dev_supports_op(device, product);
  weight->buffer = nullptr;
  return ok;
}

/// A trial of ggml 0.27 on a machine with AMX (one run) read q6_K single rows several times slower from AMX
/// buffers than from plain ones. Not measured since: docs/performance.md has no AMX machine.
bool slow_for_rows(ggml_backend_buffer_type_t buft, ggml_type type) {
  return type == GGML_TYPE_Q6_K && std::string_view(ggml_backend_buft_name(buft)) == "AMX";
}

/// The buffer type for a matrix: the first of the device's special ones that can multiply it, else its plain
/// one.
ggml_backend_buffer_type_t choose_buffer_type(ggml_backend_dev_t device, ggml_type type, int64_t n_in,
                                              int64_t n_out, WeightUse use) {
  auto* extra = reinterpret_cast<ggml_backend_dev_get_extra_bufts_t>(ggml_backend_reg_get_proc_address(
      ggml_backend_dev_backend_reg(device), "ggml_backend_dev_get_extra_bufts"));
  if (extra != nullptr && use != WeightUse::Small) {
    for (ggml_backend_buffer_type_t* buft = extra(device); buft != nullptr && *buft != nullptr; ++buft) {
      if (use == WeightUse::OutputHead && slow_for_rows(*buft, type)) continue;
      if (can_multiply(device, *buft, type, n_in, n_out)) return *buft;
    }
  }
  return ggml_backend_dev_buffer_type(device);
}

ggml_type wanted_type(const GgufTensor& tensor, WeightUse use, const WeightOptions& options) {
  if (use == WeightUse::Small || options.f32) return GGML_TYPE_F32;
  const bool plain =
      tensor.type == GGML_TYPE_F32 || tensor.type == GGML_TYPE_F16 || tensor.type == GGML_TYPE_BF16;
  const bool fits =
      options.matrix_type != GGML_TYPE_COUNT && tensor.ne[0] % ggml_blck_size(options.matrix_type) == 0;
  return plain && fits ? options.matrix_type : tensor.type;
}

}  // namespace

struct Weights::Item {
  const GgufTensor* source;
  ggml_type type;
  ggml_backend_buffer_type_t buft;  ///< nullptr: stays in the mapped file
};

void rows_to_f32(const uint8_t* data, ggml_type from, int64_t n_rows, int64_t n_per_row, float* out) {
  const auto n = static_cast<std::size_t>(n_rows * n_per_row);
  if (from == GGML_TYPE_F32) {
    std::memcpy(out, data, n * sizeof(float));
    return;
  }
  WINNOW_CHECK(convertible(from), Unsupported, kWhere, "type {} cannot be converted to f32",
               ggml_type_name(from));
  ggml_get_type_traits(from)->to_float(data, out, static_cast<int64_t>(n));
}

std::vector<uint8_t> convert_rows(const uint8_t* data, ggml_type from, int64_t n_rows, int64_t n_per_row,
                                  ggml_type to) {
  const std::size_t to_row = ggml_row_size(to, n_per_row);
  std::vector<uint8_t> out(to_row * static_cast<std::size_t>(n_rows));
  if (from == to) {
    std::memcpy(out.data(), data, out.size());
    return out;
  }
  if (to == GGML_TYPE_F32) {
    rows_to_f32(data, from, n_rows, n_per_row, reinterpret_cast<float*>(out.data()));
    return out;
  }
  const std::size_t from_row = ggml_row_size(from, n_per_row);
  std::vector<float> row(static_cast<std::size_t>(n_per_row));
  for (int64_t r = 0; r < n_rows; ++r) {
    rows_to_f32(data + static_cast<std::size_t>(r) * from_row, from, 1, n_per_row, row.data());
    ggml_quantize_chunk(to, row.data(), out.data() + static_cast<std::size_t>(r) * to_row, 0, 1, n_per_row,
                        nullptr);
  }
  return out;
}

void check_tensors(const GgufFile& file, const std::vector<TensorSpec>& table) {
  for (const TensorSpec& spec : table) {
    const GgufTensor* tensor = file.find(spec.name);
    if (tensor == nullptr && spec.optional) continue;
    WINNOW_CHECK(tensor != nullptr, NotFound, kWhere, "{}: tensor '{}' is missing, expected shape {}",
                 file.path(), spec.name, shape_text(spec.shape));
    WINNOW_CHECK(has_shape(*tensor, spec.shape), Corrupt, kWhere,
                 "{}: tensor '{}': got shape {}, expected {}", file.path(), spec.name, tensor->shape(),
                 shape_text(spec.shape));
    WINNOW_CHECK(convertible(tensor->type), Unsupported, kWhere,
                 "{}: tensor '{}' has type {}, expected a float or quantised type", file.path(), spec.name,
                 ggml_type_name(tensor->type));
  }
}

Weights::Weights(const GgufFile& file, const std::vector<TensorSpec>& table, ggml_backend_dev_t device,
                 const WeightOptions& options, std::string_view progress_name) {
  check_tensors(file, table);
  std::vector<Item> items;
  int64_t total = 0;
  for (const TensorSpec& spec : table) {
    const GgufTensor* source = file.find(spec.name);
    if (source == nullptr) continue;
    const ggml_type type = wanted_type(*source, spec.use, options);
    ggml_backend_buffer_type_t buft =
        choose_buffer_type(device, type, source->ne[0], source->ne[1], spec.use);
    const bool map = is_cpu(device) && type == source->type && buft == ggml_backend_dev_buffer_type(device) &&
                     source->offset % 32 == 0;
    items.push_back({source, type, map ? nullptr : buft});
    total += static_cast<int64_t>(source->bytes);
  }
  allocate(items);

  const auto base = file.file().bytes();
  BufferPtr mapped(ggml_backend_cpu_buffer_from_ptr(const_cast<uint8_t*>(base.data()), base.size()));
  Progress progress(progress_name, total);
  for (const Item& item : items) {
    ggml_tensor* tensor = tensors_.find(item.source->name)->second;
    const auto bytes = file.bytes(*item.source);
    if (item.buft == nullptr) {
      ggml_backend_tensor_alloc(mapped.get(), tensor, const_cast<uint8_t*>(bytes.data()));
    } else if (item.type == item.source->type) {
      ggml_backend_tensor_set(tensor, bytes.data(), 0, bytes.size());
      file.file().release(item.source->offset, item.source->bytes);
    } else {
      const int64_t n_rows = item.source->n_elements() / item.source->ne[0];
      const auto data = convert_rows(bytes.data(), item.source->type, n_rows, item.source->ne[0], item.type);
      ggml_backend_tensor_set(tensor, data.data(), 0, data.size());
      file.file().release(item.source->offset, item.source->bytes);
    }
    progress.step(static_cast<int64_t>(bytes.size()));
  }
  buffers_.push_back(std::move(mapped));
}

void Weights::allocate(const std::vector<Item>& items) {
  std::map<ggml_backend_buffer_type_t, ggml_context*> by_type;
  for (const Item& item : items) {
    ggml_context*& ctx = by_type[item.buft];
    if (ctx == nullptr) {
      contexts_.push_back(make_context(items.size()));
      ctx = contexts_.back().get();
    }
    ggml_tensor* tensor = ggml_new_tensor(ctx, item.type, 4, item.source->ne.data());
    ggml_set_name(tensor, item.source->name.c_str());
    tensors_[item.source->name] = tensor;
    const auto bytes = static_cast<int64_t>(ggml_nbytes(tensor));
    bytes_ += bytes;
    bytes_by_type_[item.buft == nullptr ? "mmap" : ggml_backend_buft_name(item.buft)] += bytes;
  }
  for (const auto& [buft, ctx] : by_type) {
    if (buft == nullptr) continue;
    BufferPtr buffer(ggml_backend_alloc_ctx_tensors_from_buft(ctx, buft));
    WINNOW_CHECK(buffer != nullptr, OutOfMemory, kWhere, "not enough memory for the weights on {}: {}",
                 ggml_backend_buft_name(buft), last_ggml_error());
    ggml_backend_buffer_set_usage(buffer.get(), GGML_BACKEND_BUFFER_USAGE_WEIGHTS);
    buffers_.push_back(std::move(buffer));
  }
}

ggml_tensor* Weights::at(std::string_view name) const {
  const auto it = tensors_.find(name);
  return it == tensors_.end() ? nullptr : it->second;
}

std::string Weights::placement() const {
  std::string out;
  for (const auto& [type, bytes] : bytes_by_type_) {
    out += fmt::format("{}{} {:.1f} MB", out.empty() ? "" : ", ", type, static_cast<double>(bytes) / 1e6);
  }
  return out;
}

}  // namespace winnow::engine
