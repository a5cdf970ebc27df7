#pragma once

// A GGUF file taken apart, so that a test can damage one part and put the rest together again. Nothing is
// checked: that is the point.

#include <cstdint>
#include <string>
#include <vector>

namespace winnow::test {

/// One metadata key. `value` holds the bytes after the type, as in the file.
struct GgufKey {
  std::string name;
  uint32_t type = 0;
  std::vector<uint8_t> value;
};

/// One tensor. ne: fastest dimension first.
struct GgufPart {
  std::string name;
  std::vector<uint64_t> ne;
  uint32_t type = 0;
  std::vector<uint8_t> data;
};

struct GgufParts {
  uint32_t magic = 0x46554747;  // "GGUF"
  uint32_t version = 3;
  uint64_t alignment = 32;
  std::vector<GgufKey> keys;
  std::vector<GgufPart> tensors;

  GgufKey& key(const std::string& name);
  GgufPart& tensor(const std::string& name);
};

/// Type numbers of metadata values.
enum GgufValueType : uint32_t {
  kU32 = 4,
  kI32 = 5,
  kF32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kU64 = 10,
  kF64 = 12
};

GgufParts read_parts(const std::string& path);
std::vector<uint8_t> file_bytes(const GgufParts& parts);
void write_bytes(const std::string& path, const std::vector<uint8_t>& bytes);

/// Metadata values as bytes.
template <class T>
std::vector<uint8_t> value_of(T number) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(&number);
  return {bytes, bytes + sizeof(T)};
}
std::vector<uint8_t> value_of_text(const std::string& text);
std::vector<uint8_t> value_of_texts(const std::vector<std::string>& texts);

}  // namespace winnow::test
