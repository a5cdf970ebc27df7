#pragma once

// Reads one tensor of a small, trusted safetensors fixture of the tests. Not a general reader: that is
// winnow/record/safetensors.h, which the minimal build does not have.

#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace winnow::test {

class TensorFixture {
 public:
  explicit TensorFixture(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    bytes_.assign(std::istreambuf_iterator<char>(file), {});
    uint64_t header_size = 0;
    if (bytes_.size() < sizeof header_size) throw std::runtime_error("no fixture at " + path);
    std::memcpy(&header_size, bytes_.data(), sizeof header_size);
    data_at_ = sizeof header_size + header_size;
    header_ = bytes_.substr(sizeof header_size, header_size);
  }

  std::vector<int64_t> shape(const std::string& name) const { return list(name, "shape"); }
  std::vector<float> f32(const std::string& name) const { return values<float>(name, "F32"); }
  std::vector<int32_t> i32(const std::string& name) const { return values<int32_t>(name, "I32"); }

 private:
  /// The text between the braces of "name":{...}.
  std::string entry(const std::string& name) const {
    const std::string key = "\"" + name + "\":{";
    const std::size_t at = header_.find(key);
    if (at == std::string::npos) throw std::runtime_error("no tensor " + name);
    return header_.substr(at + key.size(), header_.find('}', at) - at - key.size());
  }

  std::vector<int64_t> list(const std::string& name, const std::string& field) const {
    const std::string text = entry(name);
    const std::size_t open = text.find('[', text.find("\"" + field + "\""));
    std::istringstream numbers(text.substr(open + 1, text.find(']', open) - open - 1));
    std::vector<int64_t> result;
    for (std::string number; std::getline(numbers, number, ',');) result.push_back(std::stoll(number));
    return result;
  }

  template <class T>
  std::vector<T> values(const std::string& name, const std::string& type) const {
    if (entry(name).find("\"" + type + "\"") == std::string::npos)
      throw std::runtime_error(name + " is not " + type);
    const std::vector<int64_t> range = list(name, "data_offsets");
    std::vector<T> result(static_cast<std::size_t>(range.at(1) - range.at(0)) / sizeof(T));
    if (data_at_ + static_cast<std::size_t>(range[1]) > bytes_.size())
      throw std::runtime_error("fixture is cut short");
    std::memcpy(result.data(), bytes_.data() + data_at_ + range[0], result.size() * sizeof(T));
    return result;
  }

  std::string bytes_;
  std::string header_;
  std::size_t data_at_ = 0;
};

}  // namespace winnow::test
