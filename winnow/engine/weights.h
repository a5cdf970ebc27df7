#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "winnow/engine/backend.h"
#include "winnow/engine/gguf.h"

namespace winnow::engine {

/// What a tensor is used for; decides where it is kept.
enum class WeightUse {
  Matrix,      ///< left side of a matrix product: fastest buffer type the device offers
  OutputHead,  ///< the same, but only ever multiplied with single rows
  Small,       ///< biases, norms, embeddings of positions: float32 on the device
};

/// One row of a model part's tensor table: the name and the shape the configuration implies, checked at load.
struct TensorSpec {
  std::string name;
  std::vector<int64_t> shape;  ///< row-major
  WeightUse use = WeightUse::Small;
  bool optional = false;
};

struct WeightOptions {
  bool f32 = false;                         ///< every matrix as float32 (exact comparison, slow)
  ggml_type matrix_type = GGML_TYPE_COUNT;  ///< not COUNT: requantise f32 / f16 / bf16 matrices to this type
};

/// The tensors of one model part, on their device. Immutable after construction, so sessions share it.
class Weights {
 public:
  /// Checks every tensor of the table (present, shape, type) before anything is loaded, then loads. The file
  /// must outlive this object. Throws NotFound, Corrupt, Unsupported, OutOfMemory.
  Weights(const GgufFile& file, const std::vector<TensorSpec>& table, ggml_backend_dev_t device,
          const WeightOptions& options, std::string_view progress_name);

  /// The tensor, or nullptr for an optional one that the file lacks.
  ggml_tensor* at(std::string_view name) const;
  int64_t bytes() const { return bytes_; }
  /// Buffer types in use with their bytes: "CPU_REPACK 3.5 GB, mmap 0.1 GB".
  std::string placement() const;

 private:
  struct Group;
  struct Item;
  void allocate(const std::vector<Item>& items);

  std::map<std::string, ggml_tensor*, std::less<>> tensors_;
  std::vector<ContextPtr> contexts_;
  std::vector<BufferPtr> buffers_;
  std::map<std::string, int64_t> bytes_by_type_;
  int64_t bytes_ = 0;
};

/// Rows of a stored tensor as another type (through float32). n_rows * n_per_row elements.
/// Throws Unsupported for types ggml cannot convert.
std::vector<uint8_t> convert_rows(const uint8_t* data, ggml_type from, int64_t n_rows, int64_t n_per_row,
                                  ggml_type to);
/// Rows to float32, written to out [n_rows, n_per_row].
void rows_to_f32(const uint8_t* data, ggml_type from, int64_t n_rows, int64_t n_per_row, float* out);

/// Checks presence and shape of a table's tensors without loading anything. Throws NotFound, Corrupt,
/// Unsupported.
void check_tensors(const GgufFile& file, const std::vector<TensorSpec>& table);

}  // namespace winnow::engine
