#pragma once

#include <ggml.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "winnow/engine/mapped_file.h"

struct gguf_context;

namespace winnow::engine {

/// One tensor as stored. ne is ggml's order (fastest first): a row-major [rows, cols] matrix has ne = {cols,
/// rows, 1, 1}.
struct GgufTensor {
  std::string name;
  ggml_type type = GGML_TYPE_F32;
  std::array<int64_t, 4> ne{1, 1, 1, 1};
  std::size_t offset = 0;  ///< from the start of the file
  std::size_t bytes = 0;

  int64_t n_elements() const { return ne[0] * ne[1] * ne[2] * ne[3]; }
  /// "[4096, 32000]" in row-major order without trailing ones: [rows, cols].
  std::string shape() const;
};

/// A GGUF file: metadata with checked types, and tensors whose bytes all lie inside the file. Every message
/// names the file.
class GgufFile {
 public:
  /// Throws NotFound, Io, Corrupt (magic, version, truncated, tensors outside the file).
  explicit GgufFile(const std::string& path);
  ~GgufFile();
  GgufFile(const GgufFile&) = delete;
  GgufFile& operator=(const GgufFile&) = delete;

  const std::string& path() const { return path_; }
  const MappedFile& file() const { return map_; }
  const gguf_context* meta() const { return meta_.get(); }

  bool has(std::string_view key) const;
  /// Throw NotFound if the key is missing, Corrupt if it has another type or is out of range.
  int64_t integer(std::string_view key, int64_t min, int64_t max) const;
  double real(std::string_view key) const;
  bool boolean(std::string_view key) const;
  std::string text(std::string_view key) const;
  std::vector<double> numbers(std::string_view key) const;
  std::vector<std::string> texts(std::string_view key) const;
  /// The same with a value for a missing key.
  int64_t integer_or(std::string_view key, int64_t min, int64_t max, int64_t fallback) const;
  double real_or(std::string_view key, double fallback) const;
  bool boolean_or(std::string_view key, bool fallback) const;
  std::string text_or(std::string_view key, const std::string& fallback) const;
  /// Value as text for people ("arr[32000]" for long arrays, one line for long texts).
  std::string describe(int64_t key_idx) const;

  const std::vector<GgufTensor>& tensors() const { return tensors_; }
  const GgufTensor* find(std::string_view name) const;
  std::span<const uint8_t> bytes(const GgufTensor& tensor) const;

 private:
  int64_t key_idx(std::string_view key) const;  // throws NotFound
  void read_tensors();

  struct FreeMeta {
    void operator()(gguf_context* meta) const;
  };
  std::string path_;
  MappedFile map_;
  std::unique_ptr<gguf_context, FreeMeta> meta_;
  std::vector<GgufTensor> tensors_;
};

}  // namespace winnow::engine
