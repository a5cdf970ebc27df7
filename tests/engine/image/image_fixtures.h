#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "tests/support/expect_error.h"
#include "winnow/base/error.h"
#include "winnow/engine/image.h"
#include "winnow/record/safetensors.h"

namespace winnow::engine {

using test::expect_error;

inline std::string image_path(const std::string& name) {
  return std::string(WINNOW_TEST_DATA) + "/images/" + name;
}

inline std::vector<uint8_t> file_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.is_open()) << path;
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

inline const record::TensorFile& pillow(const std::string& name) {
  static std::map<std::string, record::TensorFile> files;
  const auto found = files.find(name);
  if (found != files.end()) return found->second;
  return files[name] = record::read_safetensors(image_path(name + ".safetensors"));
}

// The picture() of tools/make_image_fixtures.py.
inline Image picture(int64_t width, int64_t height) {
  Image image{static_cast<int32_t>(width), static_cast<int32_t>(height), {}};
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      for (int64_t c = 0; c < 3; ++c) {
        const auto noise = static_cast<int64_t>(
            (static_cast<uint64_t>(x * 7919 + y * 104729 + c * 1299709) * 2654435761u % 4294967296u) >> 26);
        image.rgb.push_back(
            static_cast<uint8_t>((x * 170 / width + y * (60 + 20 * c) / height + noise) % 256));
      }
    }
  }
  return image;
}

// expected [height, width, 3]
inline void expect_same(const Image& image, const record::Tensor& expected) {
  ASSERT_EQ((std::vector<int64_t>{image.height, image.width, 3}), expected.shape);
  ASSERT_EQ(image.rgb.size(), expected.i32.size());
  for (size_t i = 0; i < image.rgb.size(); ++i) {
    ASSERT_EQ(image.rgb[i], expected.i32[i])
        << "at x " << i / 3 % static_cast<size_t>(image.width) << ", y "
        << i / 3 / static_cast<size_t>(image.width) << ", channel " << i % 3;
  }
}

}  // namespace winnow::engine
