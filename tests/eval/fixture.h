#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "winnow/eval/benchmark.h"
#include "winnow/scenes/formats/output.h"

namespace winnow::eval::test {

/// A folder of the running test, empty at first, gone at its end.
class Folder {
 public:
  Folder() {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    std::string name = fmt::format("winnow_eval_{}_{}", info->test_suite_name(), info->name());
    for (char& c : name) c = c == '/' ? '_' : c;
    root_ = std::filesystem::path(testing::TempDir()) / name;
    std::filesystem::remove_all(root_);
    std::filesystem::create_directories(root_);
  }
  ~Folder() { std::filesystem::remove_all(root_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::string path(const std::string& name = "") const {
    return name.empty() ? root_.string() : (root_ / name).string();
  }
  void write(const std::string& name, std::string_view bytes) const {
    const std::filesystem::path file = root_ / name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << bytes;
  }

 private:
  std::filesystem::path root_;
};

/// Bytes that stand for a picture; long enough to be one in a table. Nobody decodes them here.
inline std::string picture_bytes(char mark) { return std::string(60, mark); }
inline std::string picture_base64(char mark) { return scenes::base64(picture_bytes(mark)); }

inline std::string bytes_of(const ItemImage& image) {
  if (image.bytes != nullptr) return *image.bytes;
  std::ifstream file(image.path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline std::vector<std::string> ids_of(const std::vector<Item>& items) {
  std::vector<std::string> ids;
  for (const Item& item : items) ids.push_back(item.id);
  return ids;
}

/// An answer to an item that has only what scorers look at.
inline Score scored(const std::string& benchmark, const Item& item, std::string_view answer,
                    Convention convention) {
  return find_benchmark(benchmark).score(item, answer, convention);
}

inline double metric(const std::vector<Metric>& metrics, const std::string& name) {
  for (const Metric& one : metrics) {
    if (one.name == name) return one.value;
  }
  ADD_FAILURE() << "no metric '" << name << "'";
  return -1.0;
}

}  // namespace winnow::eval::test
