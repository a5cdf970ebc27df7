#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace winnow::record {

/// One tensor of a safetensors file, row-major; exactly one of f32 / i32 is filled.
struct Tensor {
  std::vector<int64_t> shape;
  std::vector<float> f32;
  std::vector<int32_t> i32;
};

/// The tensors of one safetensors file by name (https://github.com/huggingface/safetensors: 8-byte
/// little-endian header length, JSON header, data). Only F32 and I32 are written; F16, BF16 and F64 (to f32),
/// U8 and I64 (to i32) are converted when read.
struct TensorFile {
  std::map<std::string, Tensor> tensors;
  std::map<std::string, std::string> metadata;

  /// Throw InvalidArgument for data that does not fill the shape and for a name that is taken.
  void add_f32(const std::string& name, std::vector<int64_t> shape, std::vector<float> data);
  void add_i32(const std::string& name, std::vector<int64_t> shape, std::vector<int32_t> data);
  /// Throws NotFound.
  const Tensor& at(const std::string& name) const;
};

/// Where a tensor lies in its file.
struct StoredTensor {
  std::string type;  ///< as the header writes it: F64, F32, F16, BF16, I64, I32 or U8
  std::vector<int64_t> shape;
  std::size_t offset = 0;  ///< from the start of the file
  std::size_t bytes = 0;
};

/// What the header of a file says, checked against the file's size.
struct TensorIndex {
  std::map<std::string, StoredTensor> tensors;
  std::map<std::string, std::string> metadata;
};

/// The header in a file's bytes, for readers of files larger than the memory; `name` is for messages. Throws
/// Corrupt (header, offsets, sizes that do not fit), Unsupported (a type).
TensorIndex index_safetensors(std::span<const uint8_t> bytes, const std::string& name);
/// The tensors in a file's bytes; `name` is for messages. Throws Corrupt (header, offsets, sizes that do not
/// fit), Unsupported (a type, an I64 value beyond 32 bits).
TensorFile parse_safetensors(std::span<const uint8_t> bytes, const std::string& name);
/// The same from a file. Throws NotFound, Io as well.
TensorFile read_safetensors(const std::string& path);
/// Throws Io, InvalidArgument (a name that is not UTF-8). Written to a temporary name beside `path` and
/// renamed, so a reader never sees half a file; a device or a pipe is written directly.
void write_safetensors(const TensorFile& file, const std::string& path);

}  // namespace winnow::record
