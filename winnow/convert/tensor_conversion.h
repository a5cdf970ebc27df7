#pragma once

// Tensors of a checkpoint on their way into a GGUF: checked first, then streamed.

#include <ggml.h>

#include <cstdint>
#include <string>
#include <vector>

#include "winnow/convert/checkpoint.h"
#include "winnow/convert/tensor_names.h"
#include "winnow/engine/gguf_writer.h"
#include "winnow/engine/weights.h"

namespace winnow::convert {

/// A tensor of the GGUF and where its values come from.
struct TensorConversion {
  std::string name;
  const CheckpointTensor* source = nullptr;
  ggml_type type = GGML_TYPE_F32;
  int64_t n_cols = 1;  ///< of the rows that the GGUF stores
  int64_t n_rows = 1;
  int64_t rotary_rows = 0;       ///< > 0: rows of a head, whose halves interleave
  int64_t first_row = 0;         ///< in the source, which may hold several tensors of the GGUF (SourcePart)
  int64_t block_rows = 0;        ///< > 0: rows that stand together there; 0: all
  int64_t block_step = 0;        ///< from one block to the next, in rows
  std::vector<int64_t> shape{};  ///< as the GGUF has it, row-major

  std::vector<int64_t> ne() const { return {shape.rbegin(), shape.rend()}; }
  /// Row of the source, in rows of n_cols. transformers rotates dimension i with i + d/2, GGUF's llama files
  /// 2i with 2i + 1.
  int64_t source_row(int64_t row) const;
};

/// "[4096, 1024]"
std::string shape_text(const std::vector<int64_t>& shape);

/// The tensors of an engine's table that the checkpoint has: matrices in `type`, vectors and position
/// embeddings in f32. Throws NotFound (a tensor is missing), Corrupt (another shape), Unsupported (no
/// floats).
std::vector<TensorConversion> convert_table(const std::vector<engine::TensorSpec>& table,
                                            const Checkpoint& checkpoint, const TensorLayout& layout,
                                            ggml_type type);

/// Begins the file and writes all tensors, which it must have been told of, a block of rows for each
/// processor at a time. Reports progress as `what`. Throws Corrupt (a number that is not finite),
/// InvalidArgument (one that f16 cannot hold), Io.
void write_tensors(const char* what, const std::vector<TensorConversion>& tensors,
                   engine::GgufWriter& writer);

}  // namespace winnow::convert
