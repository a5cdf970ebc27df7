#pragma once

// Matrix convention of the whole project: row-major, shape written [rows, cols], element (r, c) at
// data[r * cols + c]. ggml writes the same shape reversed (ne = [cols, rows]); engine/graph.h says so once.

#include <cstddef>
#include <cstdint>
#include <span>

namespace winnow {

/// A read-only row-major float32 matrix that somebody else owns. Default: absent (data == nullptr).
struct MatrixView {
  const float* data = nullptr;
  int64_t rows = 0;
  int64_t cols = 0;

  bool present() const { return data != nullptr; }
  int64_t size() const { return rows * cols; }
  std::span<const float> row(int64_t r) const { return {data + r * cols, static_cast<std::size_t>(cols)}; }
  std::span<const float> all() const { return {data, static_cast<std::size_t>(size())}; }
  float operator()(int64_t r, int64_t c) const { return data[r * cols + c]; }
};

}  // namespace winnow
