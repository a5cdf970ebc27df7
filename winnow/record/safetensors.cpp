#include "winnow/record/safetensors.h"

#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "winnow/base/error.h"

namespace winnow::record {
namespace {

using nlohmann::json;

static_assert(std::endian::native == std::endian::little, "safetensors files are little-endian");

constexpr const char* kRead = "record.read_safetensors";
constexpr const char* kMetadataKey = "__metadata__";
constexpr size_t kLengthBytes = 8;
constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // the limit of the reference implementation

// Number of elements, or -1 where it is not a number of bytes that could exist.
int64_t element_count(const std::vector<int64_t>& shape) {
  constexpr int64_t kMaxElements = std::numeric_limits<int64_t>::max() / 8;
  int64_t count = 1;
  for (const int64_t dim : shape) {
    if (dim < 0 || (dim > 0 && count > kMaxElements / dim)) return -1;
    count *= dim;
  }
  return count;
}

float half_to_float(uint16_t half) {
  const uint32_t sign = uint32_t{half} >> 15 << 31;
  const uint32_t exponent = (half >> 10) & 31u;
  const uint32_t fraction = half & 1023u;
  if (exponent == 0) {
    const float value = static_cast<float>(fraction) * 0x1p-24f;
    return sign != 0 ? -value : value;
  }
  const uint32_t wide_exponent = exponent == 31 ? 255 : exponent + (127 - 15);
  return std::bit_cast<float>(sign | wide_exponent << 23 | fraction << 13);
}

float bfloat_to_float(uint16_t bits) { return std::bit_cast<float>(uint32_t{bits} << 16); }

template <class Stored, class Convert>
auto convert_all(std::span<const uint8_t> data, Convert convert) {
  std::vector<decltype(convert(Stored{}))> values(data.size() / sizeof(Stored));
  for (size_t i = 0; i < values.size(); ++i) {
    Stored stored;
    std::memcpy(&stored, data.data() + i * sizeof(Stored), sizeof(Stored));
    values[i] = convert(stored);
  }
  return values;
}

size_t type_bytes(const std::string& type) {
  if (type == "U8") return 1;
  if (type == "F16" || type == "BF16") return 2;
  if (type == "F32" || type == "I32") return 4;
  if (type == "F64" || type == "I64") return 8;
  return 0;
}

void fill(Tensor& tensor, const std::string& type, std::span<const uint8_t> data, const std::string& what) {
  const auto narrow = [&](int64_t value) {
    WINNOW_CHECK(std::in_range<int32_t>(value), Unsupported, kRead,
                 "{}: I64 value does not fit 32 bits, got {}", what, value);
    return static_cast<int32_t>(value);
  };
  if (type == "F32") tensor.f32 = convert_all<float>(data, [](float v) { return v; });
  if (type == "F16") tensor.f32 = convert_all<uint16_t>(data, half_to_float);
  if (type == "BF16") tensor.f32 = convert_all<uint16_t>(data, bfloat_to_float);
  if (type == "F64") tensor.f32 = convert_all<double>(data, [](double v) { return static_cast<float>(v); });
  if (type == "I32") tensor.i32 = convert_all<int32_t>(data, [](int32_t v) { return v; });
  if (type == "U8") tensor.i32 = convert_all<uint8_t>(data, [](uint8_t v) { return int32_t{v}; });
  if (type == "I64") tensor.i32 = convert_all<int64_t>(data, narrow);
}

std::string place_of(const std::string& name, const std::string& tensor) {
  return fmt::format("'{}', tensor '{}'", name, tensor);
}

// A JSON array of integers from 0 up.
std::vector<int64_t> read_counts(const json& entry, const char* key, const std::string& what) {
  const auto found = entry.find(key);
  WINNOW_CHECK(found != entry.end() && found->is_array(), Corrupt, kRead, "{}: no array '{}'", what, key);
  std::vector<int64_t> counts;
  for (const json& value : *found) {
    WINNOW_CHECK(value.is_number_unsigned() && std::in_range<int64_t>(value.get<uint64_t>()), Corrupt, kRead,
                 "{}: bad number in '{}', got {}", what, key,
                 value.dump(-1, ' ', true, json::error_handler_t::replace));
    counts.push_back(static_cast<int64_t>(value.get<uint64_t>()));
  }
  return counts;
}

StoredTensor read_entry(const json& entry, std::size_t data_start, std::size_t n_data,
                        const std::string& what) {
  WINNOW_CHECK(entry.is_object(), Corrupt, kRead, "{}: its header entry is not an object", what);
  const auto type_entry = entry.find("dtype");
  WINNOW_CHECK(type_entry != entry.end() && type_entry->is_string(), Corrupt, kRead, "{}: no text 'dtype'",
               what);
  StoredTensor stored;
  stored.type = type_entry->get<std::string>();
  const auto n_type_bytes = static_cast<int64_t>(type_bytes(stored.type));
  WINNOW_CHECK(n_type_bytes > 0, Unsupported, kRead,
               "{}: unsupported type, got '{}', expected F64, F32, F16, BF16, I64, I32 or U8", what,
               stored.type);

  stored.shape = read_counts(entry, "shape", what);
  const int64_t count = element_count(stored.shape);
  WINNOW_CHECK(count >= 0, Corrupt, kRead, "{}: shape is too large", what);
  const std::vector<int64_t> offsets = read_counts(entry, "data_offsets", what);
  WINNOW_CHECK(offsets.size() == 2 && offsets[0] <= offsets[1] && std::cmp_less_equal(offsets[1], n_data),
               Corrupt, kRead, "{}: data offsets outside the file, expected a begin and an end up to {}",
               what, n_data);
  const int64_t n_bytes = offsets[1] - offsets[0];
  WINNOW_CHECK(n_bytes == count * n_type_bytes, Corrupt, kRead,
               "{}: data size does not match its shape, got {} bytes, expected {}", what, n_bytes,
               count * n_type_bytes);
  stored.offset = data_start + static_cast<std::size_t>(offsets[0]);
  stored.bytes = static_cast<std::size_t>(n_bytes);
  return stored;
}

std::map<std::string, std::string> read_metadata(const json& entry, const std::string& name) {
  WINNOW_CHECK(entry.is_object(), Corrupt, kRead, "'{}': {} is not an object", name, kMetadataKey);
  std::map<std::string, std::string> metadata;
  for (const auto& [key, value] : entry.items()) {
    WINNOW_CHECK(value.is_string(), Corrupt, kRead, "'{}': metadata '{}' is not text", name, key);
    metadata[key] = value.get<std::string>();
  }
  return metadata;
}

// The format wants the tensors to fill the data without holes and without sharing bytes.
void check_extents(const TensorIndex& index, std::size_t data_start, std::size_t n_data,
                   const std::string& name) {
  std::vector<std::pair<std::size_t, std::size_t>> extents;
  for (const auto& [key, stored] : index.tensors) {
    extents.emplace_back(stored.offset - data_start, stored.offset - data_start + stored.bytes);
  }
  std::sort(extents.begin(), extents.end());
  std::size_t end = 0;
  for (const auto& [first, last] : extents) {
    WINNOW_CHECK(first == end, Corrupt, kRead,
                 "'{}': tensors overlap or leave a hole, got offset {}, expected {}", name, first, end);
    end = last;
  }
  WINNOW_CHECK(end == n_data, Corrupt, kRead,
               "'{}': data that belongs to no tensor, got {} bytes, expected {}", name, n_data, end);
}

template <class Value>
void check_addable(const TensorFile& file, const std::string& name, const std::vector<int64_t>& shape,
                   const std::vector<Value>& data) {
  constexpr const char* kWhere = "record.TensorFile.add";
  WINNOW_CHECK(name != kMetadataKey && !file.tensors.contains(name), InvalidArgument, kWhere,
               "tensor name '{}' is taken", name);
  const int64_t count = element_count(shape);
  WINNOW_CHECK(std::cmp_equal(count, data.size()), InvalidArgument, kWhere,
               "tensor '{}' does not fill its shape, got {} elements, expected {}", name, data.size(), count);
}

// std::map hands out both the header and the data in the order of the names.
std::string make_header(const TensorFile& file) {
  json header = json::object();
  if (!file.metadata.empty()) header[kMetadataKey] = file.metadata;
  int64_t at = 0;
  for (const auto& [name, tensor] : file.tensors) {
    const bool is_float = tensor.i32.empty();
    const auto n_bytes = static_cast<int64_t>(4 * (is_float ? tensor.f32.size() : tensor.i32.size()));
    header[name] = {
        {"dtype", is_float ? "F32" : "I32"}, {"shape", tensor.shape}, {"data_offsets", {at, at + n_bytes}}};
    at += n_bytes;
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const json::exception& error) {
    fail(ErrorCode::InvalidArgument, "record.write_safetensors", "a name or metadata is not UTF-8: {}",
         error.what());
  }
  text.resize((text.size() + 7) / 8 * 8, ' ');  // readers may map the data as it is
  return text;
}

}  // namespace

void TensorFile::add_f32(const std::string& name, std::vector<int64_t> shape, std::vector<float> data) {
  check_addable(*this, name, shape, data);
  tensors[name] = {std::move(shape), std::move(data), {}};
}

void TensorFile::add_i32(const std::string& name, std::vector<int64_t> shape, std::vector<int32_t> data) {
  check_addable(*this, name, shape, data);
  tensors[name] = {std::move(shape), {}, std::move(data)};
}

const Tensor& TensorFile::at(const std::string& name) const {
  const auto found = tensors.find(name);
  WINNOW_CHECK(found != tensors.end(), NotFound, "record.TensorFile.at", "no tensor '{}' among {}", name,
               tensors.size());
  return found->second;
}

TensorIndex index_safetensors(std::span<const uint8_t> bytes, const std::string& name) {
  WINNOW_CHECK(bytes.size() >= kLengthBytes, Corrupt, kRead,
               "'{}': too short for a header length, got {} bytes", name, bytes.size());
  uint64_t n_header = 0;
  std::memcpy(&n_header, bytes.data(), kLengthBytes);
  WINNOW_CHECK(n_header <= kMaxHeaderBytes && n_header <= bytes.size() - kLengthBytes, Corrupt, kRead,
               "'{}': header length is not possible, got {}, expected at most {}", name, n_header,
               std::min<uint64_t>(kMaxHeaderBytes, bytes.size() - kLengthBytes));
  const auto header_bytes = bytes.subspan(kLengthBytes, static_cast<size_t>(n_header));
  const std::size_t data_start = kLengthBytes + static_cast<size_t>(n_header);
  const std::size_t n_data = bytes.size() - data_start;
  const json header =
      json::parse(header_bytes.begin(), header_bytes.end(), nullptr, /*allow_exceptions=*/false);
  WINNOW_CHECK(header.is_object(), Corrupt, kRead, "'{}': the header is not a JSON object", name);

  TensorIndex index;
  for (const auto& [key, entry] : header.items()) {
    if (key == kMetadataKey) {
      index.metadata = read_metadata(entry, name);
    } else {
      index.tensors[key] = read_entry(entry, data_start, n_data, place_of(name, key));
    }
  }
  check_extents(index, data_start, n_data, name);
  return index;
}

TensorFile parse_safetensors(std::span<const uint8_t> bytes, const std::string& name) {
  TensorIndex index = index_safetensors(bytes, name);
  TensorFile file;
  file.metadata = std::move(index.metadata);
  for (auto& [key, stored] : index.tensors) {
    Tensor& tensor = file.tensors[key];
    tensor.shape = std::move(stored.shape);
    fill(tensor, stored.type, bytes.subspan(stored.offset, stored.bytes), place_of(name, key));
  }
  return file;
}

TensorFile read_safetensors(const std::string& path) {
  std::error_code status;
  WINNOW_CHECK(std::filesystem::exists(path, status), NotFound, kRead, "no such file: '{}'", path);
  WINNOW_CHECK(std::filesystem::is_regular_file(path, status), Io, kRead, "'{}' is not a regular file", path);
  std::ifstream stream(path, std::ios::binary | std::ios::ate);
  WINNOW_CHECK(stream.is_open(), Io, kRead, "cannot open '{}' for reading", path);
  std::vector<uint8_t> bytes(static_cast<size_t>(std::max<std::streamoff>(stream.tellg(), 0)));
  stream.seekg(0);
  stream.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  WINNOW_CHECK(stream.good(), Io, kRead, "reading '{}' failed", path);
  return parse_safetensors(bytes, path);
}

void write_safetensors(const TensorFile& file, const std::string& path) {
  constexpr const char* kWhere = "record.write_safetensors";
  const std::string header = make_header(file);
  const uint64_t n_header = header.size();
  // A device or a pipe is written as it is: renaming would put a file in its place.
  std::error_code ignored;
  const bool direct =
      std::filesystem::exists(path, ignored) && !std::filesystem::is_regular_file(path, ignored);
  const std::string temporary = direct ? path : fmt::format("{}.{}.tmp", path, getpid());
  bool written = false;
  {
    std::ofstream stream(temporary, std::ios::binary);
    WINNOW_CHECK(stream.is_open(), Io, kWhere, "cannot open '{}' for writing: {}", path,
                 std::strerror(errno));
    stream.write(reinterpret_cast<const char*>(&n_header), kLengthBytes);
    stream.write(header.data(), static_cast<std::streamsize>(header.size()));
    for (const auto& [name, tensor] : file.tensors) {
      const void* data = tensor.i32.empty() ? static_cast<const void*>(tensor.f32.data()) : tensor.i32.data();
      const size_t n_bytes = 4 * std::max(tensor.f32.size(), tensor.i32.size());
      stream.write(static_cast<const char*>(data), static_cast<std::streamsize>(n_bytes));
    }
    stream.close();
    written = !stream.fail();
  }
  std::error_code status;
  if (written && !direct) std::filesystem::rename(temporary, path, status);
  if (written && !status) return;
  const std::string reason = status ? status.message() : std::strerror(errno);
  if (!direct) std::filesystem::remove(temporary, ignored);
  fail(ErrorCode::Io, kWhere, "writing '{}' failed: {}", path, reason);
}

}  // namespace winnow::record
