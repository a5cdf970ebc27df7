#include "winnow/convert/tensor_conversion.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <future>
#include <thread>
#include <utility>

#include "winnow/base/error.h"
#include "winnow/base/progress.h"

namespace winnow::convert {
namespace {

constexpr const char* kWhere = "convert.tensor";
constexpr int64_t kBlockValues = int64_t{1} << 20;  // of float32, for each thread

/// Rows [first, first + n) in the GGUF's order and type.
std::vector<uint8_t> convert_rows(const TensorConversion& c, int64_t first, int64_t n) {
  std::vector<float> values(static_cast<std::size_t>(n * c.n_cols));
  if (c.rotary_rows == 0 && c.block_rows == 0) {
    c.source->read(c.source_row(first) * c.n_cols, n * c.n_cols, values.data());
  } else {
    for (int64_t i = 0; i < n; ++i) {
      c.source->read(c.source_row(first + i) * c.n_cols, c.n_cols, values.data() + i * c.n_cols);
    }
  }
  if (c.type == GGML_TYPE_F16) {
    constexpr float kLargest = 65504.0F;
    const auto outside =
        std::find_if(values.begin(), values.end(), [](float v) { return std::abs(v) > kLargest; });
    WINNOW_CHECK(outside == values.end(), InvalidArgument, kWhere, "{} holds {}, f16 ends at {}: choose f32",
                 c.source->place(), *outside, kLargest);
  }
  std::vector<uint8_t> stored(ggml_row_size(c.type, c.n_cols) * static_cast<std::size_t>(n));
  ggml_quantize_chunk(c.type, values.data(), stored.data(), 0, n, c.n_cols, nullptr);
  return stored;
}

/// Streams a tensor: a block of rows for each processor at a time, written in order.
void write_tensor(const TensorConversion& c, engine::GgufWriter& writer, Progress& progress) {
  const int64_t block = std::max<int64_t>(1, kBlockValues / c.n_cols);
  const int64_t n_threads = std::max<int64_t>(1, std::thread::hardware_concurrency());
  for (int64_t start = 0; start < c.n_rows; start += n_threads * block) {
    const int64_t end = std::min(c.n_rows, start + n_threads * block);
    std::vector<std::future<std::vector<uint8_t>>> blocks;
    for (int64_t first = start; first < end; first += block) {
      const int64_t n = std::min(block, end - first);
      blocks.push_back(std::async(std::launch::async, [&c, first, n] { return convert_rows(c, first, n); }));
    }
    for (auto& converted : blocks) writer.write(c.name, converted.get());
    // Of rows in blocks the next frame's pages are in between: the mapping is given back with the file.
    if (c.block_rows == 0) c.source->release((c.first_row + start) * c.n_cols, (end - start) * c.n_cols);
    progress.step((end - start) * c.n_cols);
  }
}

}  // namespace

int64_t TensorConversion::source_row(int64_t row) const {
  if (block_rows > 0) return first_row + row / block_rows * block_step + row % block_rows;
  if (rotary_rows == 0) return first_row + row;
  const int64_t within = row % rotary_rows;
  return row - within + within % 2 * (rotary_rows / 2) + within / 2;
}

std::string shape_text(const std::vector<int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

namespace {

/// Shape of the tensor that holds the part.
std::vector<int64_t> whole_shape(const SourcePart& part, std::vector<int64_t> shape) {
  if (part.of_frames) {
    shape.insert(shape.begin() + 2, part.count);
  } else {
    shape.front() *= part.count;
  }
  return shape;
}

void take_part(const SourcePart& part, TensorConversion& c) {
  if (part.of_frames) {
    c.block_rows = c.shape[2];
    c.block_step = part.count * c.block_rows;
    c.first_row = part.index * c.block_rows;
  } else {
    c.first_row = part.index * c.n_rows;
  }
}

}  // namespace

std::vector<TensorConversion> convert_table(const std::vector<engine::TensorSpec>& table,
                                            const Checkpoint& checkpoint, const TensorLayout& layout,
                                            ggml_type type) {
  std::vector<TensorConversion> tensors;
  for (const engine::TensorSpec& spec : table) {
    const std::string name = checkpoint_name(layout, spec.name);
    const CheckpointTensor* source = name.empty() ? nullptr : checkpoint.find(name);
    if (source == nullptr && spec.optional) continue;
    const SourcePart part = source_part(layout, spec.name);
    const std::vector<int64_t>& shape = spec.shape;
    const std::vector<int64_t> whole = whole_shape(part, shape);
    WINNOW_CHECK(source != nullptr, NotFound, kWhere, "{}: tensor '{}' is missing, expected shape {}",
                 checkpoint.folder(), name, shape_text(whole));
    WINNOW_CHECK(source->stored.shape == whole, Corrupt, kWhere,
                 "{}: got shape {}, expected {} (config.json)", source->place(),
                 shape_text(source->stored.shape), shape_text(whole));
    WINNOW_CHECK(source->holds_floats(), Unsupported, kWhere, "{}: type {}, expected F32, F16, BF16 or F64",
                 source->place(), source->stored.type);
    const bool matrix = shape.size() > 1 && spec.name.find("position_embd") == std::string::npos;
    TensorConversion conversion{.name = spec.name, .source = source, .type = matrix ? type : GGML_TYPE_F32};
    conversion.n_cols = shape.back();
    for (std::size_t d = 0; d + 1 < shape.size(); ++d) conversion.n_rows *= shape[d];
    conversion.shape = shape;
    take_part(part, conversion);
    tensors.push_back(std::move(conversion));
  }
  return tensors;
}

void write_tensors(const char* what, const std::vector<TensorConversion>& tensors,
                   engine::GgufWriter& writer) {
  writer.begin();
  int64_t n_values = 0;
  for (const TensorConversion& c : tensors) n_values += c.n_rows * c.n_cols;
  Progress progress(what, n_values);
  for (const TensorConversion& c : tensors) write_tensor(c, writer, progress);
}

}  // namespace winnow::convert
