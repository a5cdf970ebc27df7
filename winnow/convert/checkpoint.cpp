#include "winnow/convert/checkpoint.h"

#include <fmt/format.h>
#include <ggml.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <set>
#include <utility>

#include "winnow/base/error.h"
#include "winnow/record/jsonl.h"

namespace winnow::convert {
namespace {

namespace fs = std::filesystem;

constexpr const char* kWhere = "convert.checkpoint";
constexpr const char* kSingleFile = "model.safetensors";
constexpr const char* kIndexFile = "model.safetensors.index.json";

std::size_t element_bytes(const std::string& type) {
  if (type == "F64") return sizeof(double);
  return type == "F32" ? sizeof(float) : sizeof(uint16_t);
}

/// Why a folder has no safetensors file.
[[noreturn]] void fail_without_weights(const std::string& folder) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with("pytorch_model") && !name.starts_with("consolidated")) continue;
    fail(ErrorCode::Unsupported, kWhere,
         "{}: weights in PyTorch's own format ({}), expected safetensors: load and save them again with "
         "transformers' save_pretrained",
         folder, name);
  }
  fail(ErrorCode::NotFound, kWhere, "{}: neither {} nor {}", folder, kSingleFile, kIndexFile);
}

/// weight_map of an index: the file of each tensor, always one of the folder itself.
std::map<std::string, std::string> read_index(const std::string& path) {
  const record::Json index = record::read_json(path);
  const record::JsonRow map = record::JsonRow(index, path).row("weight_map");
  std::map<std::string, std::string> file_of;
  for (const auto& [tensor, file] : map.value().items()) {
    WINNOW_CHECK(file.is_string(), Corrupt, kWhere, "{}: the file of tensor '{}' is no text", path, tensor);
    const auto name = file.get<std::string>();
    WINNOW_CHECK(!name.empty() && name.find('/') == std::string::npos, Corrupt, kWhere,
                 "{}: tensor '{}' is in '{}', expected a file of the folder itself", path, tensor, name);
    file_of[tensor] = name;
  }
  WINNOW_CHECK(!file_of.empty(), Corrupt, kWhere, "{}: the index names no tensors", path);
  return file_of;
}

}  // namespace

std::string file_in(const std::string& folder, const std::string& name) {
  return (fs::path(folder) / name).string();
}

std::string CheckpointTensor::place() const { return fmt::format("{}: tensor '{}'", path, name); }

bool CheckpointTensor::holds_floats() const {
  return stored.type == "F64" || stored.type == "F32" || stored.type == "F16" || stored.type == "BF16";
}

void CheckpointTensor::read(int64_t first, int64_t n, float* out) const {
  const std::size_t width = element_bytes(stored.type);
  const auto count = static_cast<std::size_t>(n);
  const auto bytes =
      file->bytes().subspan(stored.offset + static_cast<std::size_t>(first) * width, count * width);
  if (stored.type == "F32") {
    std::memcpy(out, bytes.data(), bytes.size());
  } else if (stored.type == "F64") {
    for (std::size_t i = 0; i < count; ++i) {
      double value = 0.0;
      std::memcpy(&value, bytes.data() + i * width, width);
      out[i] = static_cast<float>(value);
    }
  } else {  // copied, because a file's tensors need not be aligned
    std::vector<uint16_t> half(count);
    std::memcpy(half.data(), bytes.data(), bytes.size());
    if (stored.type == "F16") {
      ggml_fp16_to_fp32_row(half.data(), out, n);
    } else {
      ggml_bf16_to_fp32_row(reinterpret_cast<const ggml_bf16_t*>(half.data()), out, n);
    }
  }
  for (std::size_t i = 0; i < count; ++i) {
    WINNOW_CHECK(std::isfinite(out[i]), Corrupt, kWhere, "{}: element {} is {}, expected a finite number",
                 place(), first + static_cast<int64_t>(i), out[i]);
  }
}

void CheckpointTensor::release(int64_t first, int64_t n) const {
  const std::size_t width = element_bytes(stored.type);
  file->release(stored.offset + static_cast<std::size_t>(first) * width, static_cast<std::size_t>(n) * width);
}

Checkpoint::Checkpoint(std::string folder) : folder_(std::move(folder)) {
  std::error_code ignored;
  WINNOW_CHECK(fs::is_directory(folder_, ignored), NotFound, kWhere, "{}: no such folder", folder_);
  if (fs::exists(file_in(folder_, kSingleFile), ignored)) {
    add_file(kSingleFile);
    return;
  }
  const std::string index = file_in(folder_, kIndexFile);
  if (!fs::exists(index, ignored)) fail_without_weights(folder_);
  const auto file_of = read_index(index);
  std::set<std::string> files;
  for (const auto& [tensor, file] : file_of) files.insert(file);
  for (const std::string& file : files) add_file(file);
  check_index(file_of);
}

void Checkpoint::add_file(const std::string& name) {
  const std::string path = file_in(folder_, name);
  const auto file = std::make_shared<const engine::MappedFile>(path);
  for (auto& [tensor, stored] : record::index_safetensors(file->bytes(), path).tensors) {
    const auto [place, is_new] =
        tensors_.try_emplace(tensor, CheckpointTensor{tensor, path, std::move(stored), file});
    WINNOW_CHECK(is_new, Corrupt, kWhere, "{}: tensor '{}' is in {} too", path, tensor, place->second.path);
  }
}

void Checkpoint::check_index(const std::map<std::string, std::string>& file_of) const {
  for (const auto& [tensor, file] : file_of) {
    const CheckpointTensor* found = find(tensor);
    WINNOW_CHECK(found != nullptr && found->path == file_in(folder_, file), Corrupt, kWhere,
                 "{}: tensor '{}' is missing, {} says that it is there", file_in(folder_, file), tensor,
                 kIndexFile);
  }
  for (const auto& [tensor, found] : tensors_) {
    WINNOW_CHECK(file_of.contains(tensor), Corrupt, kWhere, "{} is not in {}", found.place(), kIndexFile);
  }
}

const CheckpointTensor* Checkpoint::find(const std::string& name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : &found->second;
}

}  // namespace winnow::convert
