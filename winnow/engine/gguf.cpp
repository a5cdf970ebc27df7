#include "winnow/engine/gguf.h"

#include <gguf.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>
#include <set>
#include <stdexcept>

#include "winnow/base/error.h"
#include "winnow/engine/ggml_log.h"

namespace winnow::engine {
namespace {

constexpr const char* kWhere = "engine.gguf";
constexpr uint64_t kMaxEntries = 1 << 16;  // ggml compares every name with all before it

template <class T>
T read_at(std::span<const uint8_t> bytes, std::size_t offset) {
  T value{};
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

/// Number of a scalar or of element i of an array, whatever its stored width.
std::optional<double> number_of(gguf_type type, const void* data, std::size_t i) {
  switch (type) {
    case GGUF_TYPE_UINT8: return static_cast<const uint8_t*>(data)[i];
    case GGUF_TYPE_INT8: return static_cast<const int8_t*>(data)[i];
    case GGUF_TYPE_UINT16: return static_cast<const uint16_t*>(data)[i];
    case GGUF_TYPE_INT16: return static_cast<const int16_t*>(data)[i];
    case GGUF_TYPE_UINT32: return static_cast<const uint32_t*>(data)[i];
    case GGUF_TYPE_INT32: return static_cast<const int32_t*>(data)[i];
    case GGUF_TYPE_UINT64: return static_cast<double>(static_cast<const uint64_t*>(data)[i]);
    case GGUF_TYPE_INT64: return static_cast<double>(static_cast<const int64_t*>(data)[i]);
    case GGUF_TYPE_FLOAT32: return static_cast<const float*>(data)[i];
    case GGUF_TYPE_FLOAT64: return static_cast<const double*>(data)[i];
    default: return std::nullopt;
  }
}

bool is_float(gguf_type type) { return type == GGUF_TYPE_FLOAT32 || type == GGUF_TYPE_FLOAT64; }

/// A stored text as one short line without control characters, which could reprogram a terminal.
std::string one_line(std::string_view text) {
  constexpr std::size_t kLongest = 200;
  std::string out;
  for (const char c : text.substr(0, kLongest)) {
    if (c == '\n') {
      out += "\\n";
    } else {
      out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
    }
  }
  return text.size() <= kLongest ? out : fmt::format("{}... ({} bytes)", out, text.size());
}

/// Cheap checks with a message of our own, before ggml parses the header.
void check_head(const std::string& path, std::span<const uint8_t> bytes) {
  WINNOW_CHECK(bytes.size() >= 24, Corrupt, kWhere,
               "{}: file is truncated, got {} bytes, expected a GGUF header of 24", path, bytes.size());
  WINNOW_CHECK(std::memcmp(bytes.data(), "GGUF", 4) == 0, Corrupt, kWhere,
               "{}: wrong magic, got {:02x} {:02x} {:02x} {:02x}, expected 'GGUF'", path, bytes[0], bytes[1],
               bytes[2], bytes[3]);
  const auto version = read_at<uint32_t>(bytes, 4);
  WINNOW_CHECK(version == 2 || version == 3, Unsupported, kWhere, "{}: GGUF version, got {}, expected 2 or 3",
               path, version);
  const auto n_tensors = read_at<uint64_t>(bytes, 8);
  const auto n_keys = read_at<uint64_t>(bytes, 16);
  WINNOW_CHECK(n_tensors <= bytes.size() / 24 && n_keys <= bytes.size() / 12, Corrupt, kWhere,
               "{}: file is truncated: its header names {} tensors and {} keys, more than {} bytes can hold",
               path, n_tensors, n_keys, bytes.size());
  WINNOW_CHECK(n_tensors <= kMaxEntries && n_keys <= kMaxEntries, Unsupported, kWhere,
               "{}: header names {} tensors and {} keys, expected at most {} of each", path, n_tensors,
               n_keys, kMaxEntries);
}

}  // namespace

std::string GgufTensor::shape() const {
  int n_dims = 4;
  while (n_dims > 1 && ne[n_dims - 1] == 1) --n_dims;
  std::string out = "[";
  for (int d = n_dims - 1; d >= 0; --d) out += fmt::format("{}{}", ne[d], d > 0 ? ", " : "]");
  return out;
}

void GgufFile::FreeMeta::operator()(gguf_context* meta) const { gguf_free(meta); }

GgufFile::GgufFile(const std::string& path) : path_(path), map_(path) {
  check_head(path, map_.bytes());
  capture_ggml_log();
  clear_last_ggml_error();
  try {
    meta_.reset(gguf_init_from_file(path.c_str(), {.no_alloc = true, .ctx = nullptr}));
  } catch (const std::exception& error) {
    fail(ErrorCode::Corrupt, kWhere, "{}: header cannot be read: {}", path, error.what());
  }
  WINNOW_CHECK(meta_ != nullptr, Corrupt, kWhere, "{}: header is truncated or damaged: {}", path,
               last_ggml_error());
  read_tensors();
}

GgufFile::~GgufFile() = default;

void GgufFile::read_tensors() {
  const std::size_t size = map_.bytes().size();
  const std::size_t data_start = gguf_get_data_offset(meta_.get());
  const int64_t n = gguf_get_n_tensors(meta_.get());
  std::set<std::string, std::less<>> seen;
  tensors_.reserve(static_cast<std::size_t>(n));
  for (int64_t i = 0; i < n; ++i) {
    GgufTensor t;
    t.name = gguf_get_tensor_name(meta_.get(), i);
    t.type = gguf_get_tensor_type(meta_.get(), i);
    const int64_t* ne = gguf_get_tensor_ne(meta_.get(), i);
    std::copy(ne, ne + 4, t.ne.begin());
    WINNOW_CHECK(*std::min_element(ne, ne + 4) >= 1, Corrupt, kWhere,
                 "{}: tensor '{}' has shape {}, expected dimensions from 1", path_, t.name, t.shape());
    const std::size_t offset = gguf_get_tensor_offset(meta_.get(), i);
    t.bytes = gguf_get_tensor_size(meta_.get(), i);
    WINNOW_CHECK(data_start <= size && offset <= size - data_start && t.bytes <= size - data_start - offset,
                 Corrupt, kWhere, "{}: file is truncated: tensor '{}' ends at byte {}, the file has {}",
                 path_, t.name, data_start + offset + t.bytes, size);
    t.offset = data_start + offset;
    WINNOW_CHECK(seen.insert(t.name).second, Corrupt, kWhere, "{}: tensor '{}' occurs twice", path_, t.name);
    tensors_.push_back(std::move(t));
  }
}

bool GgufFile::has(std::string_view key) const {
  return gguf_find_key(meta_.get(), std::string(key).c_str()) >= 0;
}

int64_t GgufFile::key_idx(std::string_view key) const {
  const int64_t idx = gguf_find_key(meta_.get(), std::string(key).c_str());
  WINNOW_CHECK(idx >= 0, NotFound, kWhere, "{}: metadata key '{}' is missing", path_, key);
  return idx;
}

int64_t GgufFile::integer(std::string_view key, int64_t min, int64_t max) const {
  const int64_t idx = key_idx(key);
  const gguf_type type = gguf_get_kv_type(meta_.get(), idx);
  const auto value = type == GGUF_TYPE_ARRAY || type == GGUF_TYPE_STRING
                         ? std::nullopt
                         : number_of(type, gguf_get_val_data(meta_.get(), idx), 0);
  WINNOW_CHECK(value && !is_float(type), Corrupt, kWhere, "{}: key '{}', got type {}, expected an integer",
               path_, key, gguf_type_name(type));
  WINNOW_CHECK(*value >= static_cast<double>(min) && *value <= static_cast<double>(max), Corrupt, kWhere,
               "{}: key '{}', got {}, expected {} to {}", path_, key, *value, min, max);
  return static_cast<int64_t>(*value);
}

double GgufFile::real(std::string_view key) const {
  const int64_t idx = key_idx(key);
  const gguf_type type = gguf_get_kv_type(meta_.get(), idx);
  WINNOW_CHECK(is_float(type), Corrupt, kWhere, "{}: key '{}', got type {}, expected a float", path_, key,
               gguf_type_name(type));
  const double value = *number_of(type, gguf_get_val_data(meta_.get(), idx), 0);
  WINNOW_CHECK(std::isfinite(value), Corrupt, kWhere, "{}: key '{}' is not a finite number", path_, key);
  return value;
}

bool GgufFile::boolean(std::string_view key) const {
  const int64_t idx = key_idx(key);
  const gguf_type type = gguf_get_kv_type(meta_.get(), idx);
  WINNOW_CHECK(type == GGUF_TYPE_BOOL, Corrupt, kWhere, "{}: key '{}', got type {}, expected bool", path_,
               key, gguf_type_name(type));
  return gguf_get_val_bool(meta_.get(), idx);
}

std::string GgufFile::text(std::string_view key) const {
  const int64_t idx = key_idx(key);
  const gguf_type type = gguf_get_kv_type(meta_.get(), idx);
  WINNOW_CHECK(type == GGUF_TYPE_STRING, Corrupt, kWhere, "{}: key '{}', got type {}, expected a string",
               path_, key, gguf_type_name(type));
  return gguf_get_val_str(meta_.get(), idx);
}

std::vector<double> GgufFile::numbers(std::string_view key) const {
  const int64_t idx = key_idx(key);
  const gguf_type type = gguf_get_kv_type(meta_.get(), idx);
  const gguf_type item = type == GGUF_TYPE_ARRAY ? gguf_get_arr_type(meta_.get(), idx) : type;
  const bool numeric = item != GGUF_TYPE_STRING && item != GGUF_TYPE_BOOL && item != GGUF_TYPE_ARRAY;
  WINNOW_CHECK(numeric, Corrupt, kWhere, "{}: key '{}', got type {}, expected numbers", path_, key,
               gguf_type_name(item));
  const bool array = type == GGUF_TYPE_ARRAY;
  const void* data = array ? gguf_get_arr_data(meta_.get(), idx) : gguf_get_val_data(meta_.get(), idx);
  const std::size_t n = array ? gguf_get_arr_n(meta_.get(), idx) : 1;
  std::vector<double> out(n);
  for (std::size_t i = 0; i < n; ++i) out[i] = number_of(item, data, i).value_or(0.0);
  return out;
}

std::vector<std::string> GgufFile::texts(std::string_view key) const {
  const int64_t idx = key_idx(key);
  WINNOW_CHECK(gguf_get_kv_type(meta_.get(), idx) == GGUF_TYPE_ARRAY &&
                   gguf_get_arr_type(meta_.get(), idx) == GGUF_TYPE_STRING,
               Corrupt, kWhere, "{}: key '{}', expected an array of strings", path_, key);
  std::vector<std::string> out(gguf_get_arr_n(meta_.get(), idx));
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = gguf_get_arr_str(meta_.get(), idx, i);
  return out;
}

int64_t GgufFile::integer_or(std::string_view key, int64_t min, int64_t max, int64_t fallback) const {
  return has(key) ? integer(key, min, max) : fallback;
}
double GgufFile::real_or(std::string_view key, double fallback) const {
  return has(key) ? real(key) : fallback;
}
bool GgufFile::boolean_or(std::string_view key, bool fallback) const {
  return has(key) ? boolean(key) : fallback;
}
std::string GgufFile::text_or(std::string_view key, const std::string& fallback) const {
  return has(key) ? text(key) : fallback;
}

std::string GgufFile::describe(int64_t idx) const {
  const gguf_type type = gguf_get_kv_type(meta_.get(), idx);
  if (type == GGUF_TYPE_STRING) return one_line(gguf_get_val_str(meta_.get(), idx));
  if (type == GGUF_TYPE_BOOL) return gguf_get_val_bool(meta_.get(), idx) ? "true" : "false";
  if (type != GGUF_TYPE_ARRAY) {
    return fmt::format("{:.9g}", number_of(type, gguf_get_val_data(meta_.get(), idx), 0).value_or(0.0));
  }
  const gguf_type item = gguf_get_arr_type(meta_.get(), idx);
  const std::size_t n = gguf_get_arr_n(meta_.get(), idx);
  std::string out = fmt::format("{}[{}]", gguf_type_name(item), n);
  if (n > 8 || item == GGUF_TYPE_ARRAY || item == GGUF_TYPE_BOOL) return out;
  for (std::size_t i = 0; i < n; ++i) {
    out += i == 0 ? " " : ", ";
    out += item == GGUF_TYPE_STRING
               ? one_line(gguf_get_arr_str(meta_.get(), idx, i))
               : fmt::format("{:.9g}", number_of(item, gguf_get_arr_data(meta_.get(), idx), i).value_or(0.0));
  }
  return out;
}

const GgufTensor* GgufFile::find(std::string_view name) const {
  for (const GgufTensor& t : tensors_) {
    if (t.name == name) return &t;
  }
  return nullptr;
}

std::span<const uint8_t> GgufFile::bytes(const GgufTensor& tensor) const {
  return map_.bytes().subspan(tensor.offset, tensor.bytes);
}

}  // namespace winnow::engine
