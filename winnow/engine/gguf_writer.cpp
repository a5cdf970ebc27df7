#include "winnow/engine/gguf_writer.h"

#include <gguf.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <limits>
#include <system_error>
#include <utility>

#include "winnow/base/error.h"

namespace winnow::engine {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{4} << 20;

void check_key(const std::string& key) {
  WINNOW_CHECK(!key.empty(), InvalidArgument, "gguf_writer.set", "a metadata key is empty, expected a name");
}

/// Bytes of a tensor; also refuses what would make ggml abort.
std::size_t checked_bytes(const std::string& name, ggml_type type, std::span<const int64_t> ne) {
  constexpr const char* kWhere = "gguf_writer.add_tensor";
  WINNOW_CHECK(!name.empty() && name.size() < GGML_MAX_NAME, InvalidArgument, kWhere,
               "tensor name \"{}\" has {} characters, expected 1 to {}", name, name.size(),
               GGML_MAX_NAME - 1);
  WINNOW_CHECK(!ne.empty() && ne.size() <= GGML_MAX_DIMS, InvalidArgument, kWhere,
               "{} has {} dimensions, expected 1 to {}", name, ne.size(), GGML_MAX_DIMS);
  WINNOW_CHECK(type >= 0 && type < GGML_TYPE_COUNT && ggml_blck_size(type) > 0, InvalidArgument, kWhere,
               "{} has type number {}, expected a ggml type", name, static_cast<int>(type));
  // Half the range, so that the padding and the sum over tensors cannot overflow either.
  const int64_t largest =
      std::numeric_limits<int64_t>::max() / 2 / static_cast<int64_t>(ggml_type_size(type));
  int64_t n_elements = 1;
  for (const int64_t n : ne) {
    WINNOW_CHECK(n >= 1, InvalidArgument, kWhere, "{} has a dimension of {}, expected at least 1", name, n);
    WINNOW_CHECK(n <= largest / n_elements, InvalidArgument, kWhere, "{} is too large to be a tensor", name);
    n_elements *= n;
  }
  WINNOW_CHECK(ne[0] % ggml_blck_size(type) == 0, InvalidArgument, kWhere,
               "{} has rows of {} values, expected a multiple of {} for type {}", name, ne[0],
               ggml_blck_size(type), ggml_type_name(type));
  return ggml_row_size(type, ne[0]) * static_cast<std::size_t>(n_elements / ne[0]);
}

}  // namespace

void GgufWriter::ContextFree::operator()(gguf_context* context) const { gguf_free(context); }

GgufWriter::GgufWriter(std::string path)
    : path_(std::move(path)), partial_(path_ + ".partial"), context_(gguf_init_empty()) {
  WINNOW_CHECK(!path_.empty(), InvalidArgument, "gguf_writer", "the output path is empty");
}

GgufWriter::~GgufWriter() {
  if (file_ == nullptr) return;
  file_.reset();
  std::error_code ignored;
  std::filesystem::remove(partial_, ignored);
}

void GgufWriter::set_u32(const std::string& key, uint32_t value) {
  check_key(key);
  gguf_set_val_u32(context_.get(), key.c_str(), value);
}

void GgufWriter::set_f32(const std::string& key, float value) {
  check_key(key);
  gguf_set_val_f32(context_.get(), key.c_str(), value);
}

void GgufWriter::set_bool(const std::string& key, bool value) {
  check_key(key);
  gguf_set_val_bool(context_.get(), key.c_str(), value);
}

void GgufWriter::set_str(const std::string& key, const std::string& value) {
  check_key(key);
  gguf_set_val_str(context_.get(), key.c_str(), value.c_str());
}

void GgufWriter::set_f32_array(const std::string& key, std::span<const float> values) {
  check_key(key);
  gguf_set_arr_data(context_.get(), key.c_str(), GGUF_TYPE_FLOAT32, values.data(), values.size());
}

void GgufWriter::set_i32_array(const std::string& key, std::span<const int32_t> values) {
  check_key(key);
  gguf_set_arr_data(context_.get(), key.c_str(), GGUF_TYPE_INT32, values.data(), values.size());
}

void GgufWriter::set_str_array(const std::string& key, const std::vector<std::string>& values) {
  check_key(key);
  std::vector<const char*> pointers;
  pointers.reserve(values.size());
  for (const std::string& value : values) pointers.push_back(value.c_str());
  gguf_set_arr_str(context_.get(), key.c_str(), pointers.data(), pointers.size());
}

void GgufWriter::add_tensor(const std::string& name, ggml_type type, std::span<const int64_t> ne) {
  WINNOW_ASSERT(file_ == nullptr);
  const std::size_t n_bytes = checked_bytes(name, type, ne);
  WINNOW_CHECK(gguf_find_tensor(context_.get(), name.c_str()) < 0, InvalidArgument, "gguf_writer.add_tensor",
               "tensor {} is there already, expected every name once", name);
  const int64_t total = file_bytes();
  WINNOW_CHECK(n_bytes < static_cast<std::size_t>(std::numeric_limits<int64_t>::max() - total) / 2,
               InvalidArgument, "gguf_writer.add_tensor", "the file would be too large with tensor {}", name);
  // gguf copies the description, so the ggml context that holds it can go at once.
  const ggml_init_params params{
      .mem_size = 2 * ggml_tensor_overhead(), .mem_buffer = nullptr, .no_alloc = true};
  const std::unique_ptr<ggml_context, void (*)(ggml_context*)> context(ggml_init(params), ggml_free);
  ggml_tensor* tensor = ggml_new_tensor(context.get(), type, static_cast<int>(ne.size()), ne.data());
  ggml_set_name(tensor, name.c_str());
  gguf_add_tensor(context_.get(), tensor);
  ++n_tensors_;
}

int64_t GgufWriter::file_bytes() const {
  std::size_t n_bytes = gguf_get_meta_size(context_.get());
  if (n_tensors_ > 0) {
    const std::size_t alignment = gguf_get_alignment(context_.get());
    n_bytes += gguf_get_tensor_offset(context_.get(), n_tensors_ - 1) +
               GGML_PAD(gguf_get_tensor_size(context_.get(), n_tensors_ - 1), alignment);
  }
  return static_cast<int64_t>(n_bytes);
}

void GgufWriter::begin() {
  constexpr const char* kWhere = "gguf_writer.begin";
  WINNOW_ASSERT(file_ == nullptr);
  std::error_code error;
  WINNOW_CHECK(!std::filesystem::is_directory(path_, error), Io, kWhere,
               "cannot write {}: it is a folder, expected a file name", path_);
  std::filesystem::path folder = std::filesystem::path(path_).parent_path();
  if (folder.empty()) folder = ".";
  const std::filesystem::space_info space = std::filesystem::space(folder, error);
  WINNOW_CHECK(!error, Io, kWhere, "cannot write {}: {}", path_, error.message());
  WINNOW_CHECK(static_cast<uintmax_t>(file_bytes()) <= space.available, Io, kWhere,
               "cannot write {}: {} bytes are free on that disk, expected at least {}", path_,
               space.available, file_bytes());

  file_.reset(std::fopen(partial_.c_str(), "wb"));
  if (file_ == nullptr) io_failure(errno);
  buffer_.resize(kBufferBytes);
  std::setvbuf(file_.get(), buffer_.data(), _IOFBF, buffer_.size());
  std::vector<uint8_t> meta(gguf_get_meta_size(context_.get()));
  gguf_get_meta_data(context_.get(), meta.data());
  put(meta.data(), meta.size());
}

void GgufWriter::write(std::string_view name, std::span<const uint8_t> data) {
  WINNOW_ASSERT(file_ != nullptr && tensor_ < n_tensors_);
  WINNOW_ASSERT(name == gguf_get_tensor_name(context_.get(), tensor_));
  const std::size_t n_bytes = gguf_get_tensor_size(context_.get(), tensor_);
  WINNOW_ASSERT(data.size() <= n_bytes - written_);
  put(data.data(), data.size());
  written_ += data.size();
  if (written_ < n_bytes) return;

  const std::vector<uint8_t> padding(GGML_PAD(n_bytes, gguf_get_alignment(context_.get())) - n_bytes);
  put(padding.data(), padding.size());
  ++tensor_;
  written_ = 0;
}

void GgufWriter::finish() {
  WINNOW_ASSERT(file_ != nullptr && tensor_ == n_tensors_);
  if (std::fflush(file_.get()) != 0) io_failure(errno);
  if (std::rename(partial_.c_str(), path_.c_str()) != 0) io_failure(errno);
  if (std::fclose(file_.release()) != 0) io_failure(errno);
}

void GgufWriter::put(const void* data, std::size_t n_bytes) {
  if (n_bytes == 0) return;
  if (std::fwrite(data, 1, n_bytes, file_.get()) != n_bytes) io_failure(errno);
}

void GgufWriter::io_failure(int error) const {
  fail(ErrorCode::Io, "gguf_writer.write", "cannot write {}: {}", path_, std::strerror(error));
}

}  // namespace winnow::engine
