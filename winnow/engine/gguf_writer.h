#pragma once

// GGUF v3 files written as a stream: all metadata first, then one tensor after the other, so that a model
// larger than the memory can be written.

#include <ggml.h>

#include <cstdint>
#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

struct gguf_context;

namespace winnow::engine {

/// Order of calls: set_* and add_tensor in any order, begin, then write for every tensor in the order of
/// add_tensor, finish. The file grows under the name `path + ".partial"` and gets its own name in finish();
/// the destructor removes an unfinished one. Calls in a wrong order, a byte too many and a byte too few throw
/// Internal. Not thread-safe.
class GgufWriter {
 public:
  explicit GgufWriter(std::string path);
  ~GgufWriter();
  GgufWriter(const GgufWriter&) = delete;
  GgufWriter& operator=(const GgufWriter&) = delete;

  /// A later value replaces an earlier one of the same key.
  void set_u32(const std::string& key, uint32_t value);
  void set_f32(const std::string& key, float value);
  void set_bool(const std::string& key, bool value);
  void set_str(const std::string& key, const std::string& value);
  void set_f32_array(const std::string& key, std::span<const float> values);
  void set_i32_array(const std::string& key, std::span<const int32_t> values);
  void set_str_array(const std::string& key, const std::vector<std::string>& values);

  /// `ne` as ggml and GGUF write it, innermost dimension first: a matrix [rows, cols] has ne = {cols, rows}.
  /// 1 to 4 of them. Throws InvalidArgument: empty, long (GGML_MAX_NAME) or repeated name, a dimension below
  /// 1, a product that does not fit 63 bits, a row that is no whole number of the type's blocks.
  void add_tensor(const std::string& name, ggml_type type, std::span<const int64_t> ne);

  /// Size of the finished file in bytes, as described so far.
  int64_t file_bytes() const;

  /// Opens the file and writes the metadata. Throws Io when the path cannot be written or the disk is too
  /// full for it all.
  void begin();
  /// Appends data to tensor `name`, which must be the first one that is not complete. Throws Io.
  void write(std::string_view name, std::span<const uint8_t> data);
  /// Closes the file and gives it its name; every tensor must be complete. Throws Io.
  void finish();

 private:
  void put(const void* data, std::size_t n_bytes);
  [[noreturn]] void io_failure(int error) const;

  struct ContextFree {
    void operator()(gguf_context* context) const;
  };
  struct FileClose {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };

  std::string path_;
  std::string partial_;
  std::unique_ptr<gguf_context, ContextFree> context_;
  std::vector<char> buffer_;  // of file_, so it is destroyed after it
  std::unique_ptr<std::FILE, FileClose> file_;
  int64_t n_tensors_ = 0;
  int64_t tensor_ = 0;       // the one being written
  std::size_t written_ = 0;  // bytes of it
};

}  // namespace winnow::engine
