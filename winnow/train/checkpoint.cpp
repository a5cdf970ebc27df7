#include "winnow/train/checkpoint.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "winnow/base/error.h"
#include "winnow/record/sha256.h"

namespace winnow::train {
namespace {

constexpr const char* kWhere = "train.checkpoint";
constexpr const char* kFormat = "winnow training checkpoint 2";

constexpr const char* kWeight = "weight/";
constexpr const char* kMoment = "moment/";
constexpr std::size_t kDigestBytes = 64;

void insert(c10::Dict<std::string, torch::Tensor>& dict, const char* prefix, const Parameters& parameters) {
  for (const auto& [name, value] : parameters) dict.insert(prefix + name, value);
}

/// The names behind `prefix`.
Parameters part_of(const c10::IValue& dict, const std::string& prefix) {
  Parameters out;
  for (const auto& entry : dict.toGenericDict()) {
    const std::string& name = entry.key().toStringRef();
    if (name.rfind(prefix, 0) == 0)
      out.emplace(name.substr(prefix.size()), entry.value().toTensor().contiguous());
  }
  return out;
}

void check_shape(const std::string& path, const std::string& name, const torch::Tensor& value,
                 const std::vector<int64_t>& shape) {
  const auto sizes = value.sizes();
  WINNOW_CHECK(std::equal(sizes.begin(), sizes.end(), shape.begin(), shape.end()), Corrupt, kWhere,
               "{}: '{}', got shape [{}], expected [{}]", path, name,
               fmt::join(sizes.begin(), sizes.end(), ", "), fmt::join(shape, ", "));
}

/// Of a file's bytes, behind them: LibTorch reads a damaged archive without a word.
std::string digest(const std::vector<char>& bytes, std::size_t n) {
  return record::sha256_of(std::string_view(bytes.data(), n));
}

/// Without the digest behind them. Throws Corrupt when it is another one's.
void take_digest(const std::string& path, std::vector<char>& bytes) {
  const std::size_t whole = bytes.size();
  if (whole > kDigestBytes) {
    const std::size_t n = whole - kDigestBytes;
    if (digest(bytes, n) == std::string_view(bytes.data() + n, kDigestBytes)) {
      bytes.resize(n);
      return;
    }
  }
  fail(ErrorCode::Corrupt, kWhere,
       "{}: {} bytes that are no whole checkpoint (their SHA-256 is not the one at their end)", path, whole);
}

std::vector<char> read_bytes(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "rb");
  WINNOW_CHECK(file != nullptr, NotFound, kWhere, "{}: cannot be read: {}", path, std::strerror(errno));
  std::vector<char> bytes;
  std::array<char, 1 << 16> part;
  std::size_t n = 0;
  while ((n = std::fread(part.data(), 1, part.size(), file)) > 0)
    bytes.insert(bytes.end(), part.data(), part.data() + n);
  const bool failed = std::ferror(file) != 0;
  std::fclose(file);
  WINNOW_CHECK(!failed, Io, kWhere, "{}: cannot be read", path);
  return bytes;
}

}  // namespace

void write_atomically(const std::string& path, const char* data, std::size_t n_bytes) {
  const std::string partial = path + ".partial";
  std::FILE* file = std::fopen(partial.c_str(), "wb");
  WINNOW_CHECK(file != nullptr, Io, kWhere, "{}: cannot be written: {}", partial, std::strerror(errno));
  const bool whole = std::fwrite(data, 1, n_bytes, file) == n_bytes && std::fflush(file) == 0 &&
                     ::fsync(::fileno(file)) == 0;
  const int error = errno;
  const bool closed = std::fclose(file) == 0;
  if (!whole || !closed) {
    std::error_code ignored;
    std::filesystem::remove(partial, ignored);
    fail(ErrorCode::Io, kWhere, "{}: writing {} bytes failed: {}; the older file is untouched", path, n_bytes,
         std::strerror(whole ? errno : error));
  }
  std::error_code renamed;
  std::filesystem::rename(partial, path, renamed);
  WINNOW_CHECK(!renamed, Io, kWhere, "{}: cannot be renamed from {}: {}", path, partial, renamed.message());
}

void write_checkpoint(const std::string& path, const Checkpoint& c) {
  const nlohmann::json head = {{"format", kFormat},
                               {"settings", c.settings},
                               {"stage", c.stage},
                               {"step", c.step},
                               {"seconds", c.seconds}};
  c10::Dict<std::string, torch::Tensor> tensors;
  insert(tensors, kWeight, c.parameters);
  insert(tensors, kMoment, c.moments);
  const c10::IValue whole = c10::ivalue::Tuple::create(c10::IValue(head.dump()), c10::IValue(tensors));
  std::vector<char> bytes = torch::pickle_save(whole);
  const std::string end = digest(bytes, bytes.size());
  bytes.insert(bytes.end(), end.begin(), end.end());
  write_atomically(path, bytes.data(), bytes.size());
}

void check_weights(const std::string& path, const Checkpoint& checkpoint, const ModelShape& shape) {
  for (const ParameterSpec& spec : parameter_specs(shape)) {
    const auto found = checkpoint.parameters.find(spec.name);
    WINNOW_CHECK(found != checkpoint.parameters.end(), Corrupt, kWhere, "{}: weight '{}' is missing", path,
                 spec.name);
    check_shape(path, spec.name, found->second, spec.shape);
    for (const char* moment : {".first", ".second"}) {
      const auto of_weight = checkpoint.moments.find(spec.name + moment);
      if (of_weight != checkpoint.moments.end())
        check_shape(path, of_weight->first, of_weight->second, spec.shape);
    }
  }
}

Checkpoint read_checkpoint(const std::string& path) {
  std::vector<char> bytes = read_bytes(path);
  take_digest(path, bytes);
  Checkpoint c;
  try {
    const auto parts = torch::pickle_load(bytes).toTuple();
    const auto head = nlohmann::json::parse(parts->elements().at(0).toStringRef());
    WINNOW_CHECK(head.at("format") == kFormat, Corrupt, kWhere, "{}: expected a '{}'", path, kFormat);
    c.settings = head.at("settings");
    c.stage = head.at("stage");
    c.step = head.at("step");
    c.seconds = head.at("seconds");
    c.parameters = part_of(parts->elements().at(1), kWeight);
    c.moments = part_of(parts->elements().at(1), kMoment);
  } catch (const Error&) {
    throw;
  } catch (const std::exception&) {  // LibTorch's message is a page long and names its own sources
    fail(ErrorCode::Corrupt, kWhere, "{}: {} bytes that are no whole checkpoint", path, bytes.size());
  }
  return c;
}

}  // namespace winnow::train
