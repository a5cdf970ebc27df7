#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace winnow::record {

/// One tensor of a safetensors file, row-major; exactly one of f32 / i32 is filled.
struct Tensor {
  std::vector<int64_t> shape;
  std::vector<float> f32;
  std::vector<int32_t> i32;
};

/// The tensors of one safetensors file by name (https://github.com/huggingface/safetensors: 8-byte little-endian header
/// length, JSON header, data). Only F32 and I32 are written; F16, BF16, F64 and I64 are converted when read.
struct TensorFile {
  std::map<std::string, Tensor> tensors;
  std::map<std::string, std::string> metadata;

  void add_f32(const std::string& name, std::vector<int64_t> shape, std::vector<float> data);
  void add_i32(const std::string& name, std::vector<int64_t> shape, std::vector<int32_t> data);
  /// Throws NotFound.
  const Tensor& at(const std::string& name) const;
};

/// Throws Io, Corrupt (header, offsets, sizes that do not fit), Unsupported (a type).
TensorFile read_safetensors(const std::string& path);
/// Throws Io. Written to a temporary name beside `path` and renamed, so a reader never sees half a file.
void write_safetensors(const TensorFile& file, const std::string& path);

}  // namespace winnow::record
