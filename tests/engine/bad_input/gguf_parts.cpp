#include "tests/engine/bad_input/gguf_parts.h"

#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace winnow::test {
namespace {

class Reader {
 public:
  explicit Reader(const std::vector<uint8_t>& bytes) : bytes_(bytes) {}

  template <class T>
  T number() {
    T value{};
    std::memcpy(&value, take(sizeof(T)), sizeof(T));
    return value;
  }
  std::string text() {
    const auto n = number<uint64_t>();
    return {reinterpret_cast<const char*>(take(n)), n};
  }
  /// The bytes of a value, whatever is in them.
  std::vector<uint8_t> value(uint32_t type) {
    const std::size_t start = at_;
    skip(type);
    return {bytes_.begin() + static_cast<int64_t>(start), bytes_.begin() + static_cast<int64_t>(at_)};
  }
  std::size_t at() const { return at_; }

 private:
  const uint8_t* take(std::size_t n) {
    const uint8_t* here = bytes_.data() + at_;
    at_ += n;
    if (at_ > bytes_.size()) throw std::runtime_error("gguf_parts: the file is too short");
    return here;
  }
  void skip(uint32_t type) {
    constexpr std::size_t kSize[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    if (type == kString) {
      text();
    } else if (type == kArray) {
      const auto item = number<uint32_t>();
      const auto n = number<uint64_t>();
      for (uint64_t i = 0; i < n; ++i) skip(item);
    } else {
      take(kSize[type]);
    }
  }

  const std::vector<uint8_t>& bytes_;
  std::size_t at_ = 0;
};

template <class T>
void put(std::vector<uint8_t>& out, T number) {
  const auto bytes = value_of(number);
  out.insert(out.end(), bytes.begin(), bytes.end());
}

void put_text(std::vector<uint8_t>& out, const std::string& text) {
  put<uint64_t>(out, text.size());
  out.insert(out.end(), text.begin(), text.end());
}

std::size_t padded(std::size_t size, uint64_t alignment) {
  return (size + alignment - 1) / alignment * alignment;
}

}  // namespace

GgufKey& GgufParts::key(const std::string& name) {
  for (GgufKey& k : keys) {
    if (k.name == name) return k;
  }
  throw std::runtime_error("gguf_parts: no key " + name);
}

GgufPart& GgufParts::tensor(const std::string& name) {
  for (GgufPart& t : tensors) {
    if (t.name == name) return t;
  }
  throw std::runtime_error("gguf_parts: no tensor " + name);
}

GgufParts read_parts(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> chars{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  const std::vector<uint8_t> bytes(chars.begin(), chars.end());
  Reader reader(bytes);
  GgufParts parts;
  parts.magic = reader.number<uint32_t>();
  parts.version = reader.number<uint32_t>();
  parts.tensors.resize(reader.number<uint64_t>());
  parts.keys.resize(reader.number<uint64_t>());
  for (GgufKey& key : parts.keys) {
    key.name = reader.text();
    key.type = reader.number<uint32_t>();
    key.value = reader.value(key.type);
  }
  std::vector<uint64_t> offsets;
  for (GgufPart& tensor : parts.tensors) {
    tensor.name = reader.text();
    tensor.ne.resize(reader.number<uint32_t>());
    for (uint64_t& n : tensor.ne) n = reader.number<uint64_t>();
    tensor.type = reader.number<uint32_t>();
    offsets.push_back(reader.number<uint64_t>());
  }
  const std::size_t start = padded(reader.at(), parts.alignment);
  for (std::size_t i = 0; i < offsets.size(); ++i) {
    const std::size_t end = i + 1 < offsets.size() ? offsets[i + 1] : bytes.size() - start;
    parts.tensors[i].data.assign(bytes.begin() + static_cast<int64_t>(start + offsets[i]),
                                 bytes.begin() + static_cast<int64_t>(start + end));
  }
  return parts;
}

std::vector<uint8_t> file_bytes(const GgufParts& parts) {
  std::vector<uint8_t> out;
  put(out, parts.magic);
  put(out, parts.version);
  put<uint64_t>(out, parts.tensors.size());
  put<uint64_t>(out, parts.keys.size());
  for (const GgufKey& key : parts.keys) {
    put_text(out, key.name);
    put(out, key.type);
    out.insert(out.end(), key.value.begin(), key.value.end());
  }
  uint64_t offset = 0;
  for (const GgufPart& tensor : parts.tensors) {
    put_text(out, tensor.name);
    put(out, static_cast<uint32_t>(tensor.ne.size()));
    for (const uint64_t n : tensor.ne) put(out, n);
    put(out, tensor.type);
    put(out, offset);
    offset += padded(tensor.data.size(), parts.alignment);
  }
  for (const GgufPart& tensor : parts.tensors) {
    out.resize(padded(out.size(), parts.alignment));
    out.insert(out.end(), tensor.data.begin(), tensor.data.end());
  }
  out.resize(padded(out.size(), parts.alignment));
  return out;
}

void write_bytes(const std::string& path, const std::vector<uint8_t>& bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  if (!file.flush()) throw std::runtime_error("gguf_parts: cannot write " + path);
}

std::vector<uint8_t> value_of_text(const std::string& text) {
  std::vector<uint8_t> out;
  put_text(out, text);
  return out;
}

std::vector<uint8_t> value_of_texts(const std::vector<std::string>& texts) {
  std::vector<uint8_t> out;
  put<uint32_t>(out, kString);
  put<uint64_t>(out, texts.size());
  for (const std::string& text : texts) put_text(out, text);
  return out;
}

}  // namespace winnow::test
