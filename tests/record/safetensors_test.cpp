#include "winnow/record/safetensors.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "tests/support/expect_error.h"
#include "winnow/base/error.h"

namespace winnow::record {
namespace {

using test::expect_error;

using Bytes = std::vector<uint8_t>;

Bytes file_of(const std::string& header, const Bytes& data = {}) {
  Bytes bytes;
  for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<uint8_t>(uint64_t{header.size()} >> 8 * i));
  for (const char c : header) bytes.push_back(static_cast<uint8_t>(c));
  for (const uint8_t byte : data) bytes.push_back(byte);
  return bytes;
}

std::string entry(const std::string& type, const std::string& shape, int64_t begin, int64_t end) {
  return R"({"dtype":")" + type + R"(","shape":)" + shape + R"(,"data_offsets":[)" + std::to_string(begin) +
         "," + std::to_string(end) + "]}";
}

void expect_corrupt(const std::string& text, const Bytes& bytes) {
  expect_error(ErrorCode::Corrupt, text, [&] { parse_safetensors(bytes, "x"); });
}

TEST(Safetensors, IndexSaysWhereTensorsLie) {
  const std::string header = R"({"__metadata__":{"format":"pt"},"b":)" + entry("F16", "[2]", 8, 12) +
                             R"(,"a":)" + entry("F32", "[2,1]", 0, 8) + "}";
  const TensorIndex index = index_safetensors(file_of(header, Bytes(12)), "x");
  EXPECT_EQ(index.metadata.at("format"), "pt");
  ASSERT_EQ(index.tensors.size(), 2U);
  EXPECT_EQ(index.tensors.at("a").type, "F32");
  EXPECT_EQ(index.tensors.at("a").shape, (std::vector<int64_t>{2, 1}));
  EXPECT_EQ(index.tensors.at("a").offset, 8 + header.size());
  EXPECT_EQ(index.tensors.at("b").offset, 8 + header.size() + 8);
  EXPECT_EQ(index.tensors.at("b").bytes, 4U);
  expect_error(ErrorCode::Corrupt, "'x': data that belongs to no tensor",
               [&] { index_safetensors(file_of(header, Bytes(13)), "x"); });
}

TEST(Safetensors, RoundTrip) {
  TensorFile file;
  file.add_f32("a", {2, 3}, {1.5f, -0.0f, INFINITY, 1e-40f, 5, 6});
  file.add_i32("b.kept", {4}, {0, -1, INT32_MAX, INT32_MIN});
  file.add_f32("scalar", {}, {7});
  file.add_f32("empty", {0, 5}, {});
  file.metadata["made"] = "by \"a\" t\u00e9st";
  const std::string path = testing::TempDir() + "winnow_round_trip.safetensors";
  write_safetensors(file, path);
  write_safetensors(file, path);  // an existing file is replaced
  const TensorFile read = read_safetensors(path);
  EXPECT_EQ(read.metadata, file.metadata);
  ASSERT_EQ(read.tensors.size(), 4u);
  for (const auto& [name, tensor] : file.tensors) {
    EXPECT_EQ(read.at(name).shape, tensor.shape) << name;
    EXPECT_EQ(read.at(name).f32, tensor.f32) << name;
    EXPECT_EQ(read.at(name).i32, tensor.i32) << name;
  }
  std::filesystem::remove(path);
}

TEST(Safetensors, WritesTheFormat) {
  TensorFile file;
  file.add_i32("k", {2}, {1, 2});
  const std::string path = testing::TempDir() + "winnow_format.safetensors";
  write_safetensors(file, path);
  std::ifstream stream(path, std::ios::binary);
  const Bytes bytes{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  std::string header = R"({"k":{"data_offsets":[0,8],"dtype":"I32","shape":[2]}})";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  EXPECT_EQ(bytes, file_of(header, {1, 0, 0, 0, 2, 0, 0, 0}));
  std::filesystem::remove(path);
}

TEST(Safetensors, ConvertsTypes) {
  const auto f32 = [](const std::string& type, int64_t n, const Bytes& data) {
    const auto end = static_cast<int64_t>(data.size());
    return parse_safetensors(file_of(R"({"t":)" + entry(type, fmt::format("[{}]", n), 0, end) + "}", data),
                             "x")
        .at("t")
        .f32;
  };
  EXPECT_EQ(f32("F16", 5, {0x00, 0x3C, 0x00, 0xC0, 0x01, 0x00, 0xFF, 0x7B, 0x00, 0x7C}),
            (std::vector<float>{1.0f, -2.0f, 0x1p-24f, 65504.0f, INFINITY}));
  EXPECT_TRUE(std::isnan(f32("F16", 1, {0x01, 0x7E}).at(0)));
  EXPECT_TRUE(std::signbit(f32("F16", 1, {0x00, 0x80}).at(0)));
  EXPECT_EQ(f32("BF16", 2, {0x80, 0x3F, 0x49, 0xC0}), (std::vector<float>{1.0f, -3.140625f}));
  EXPECT_EQ(f32("F64", 1, {0, 0, 0, 0, 0, 0, 0xF8, 0x3F}), std::vector<float>{1.5f});

  const Bytes integers{0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 9, 200};
  const TensorFile file = parse_safetensors(
      file_of(R"({"i":)" + entry("I64", "[1]", 0, 8) + R"(,"u":)" + entry("U8", "[2]", 8, 10) + "}",
              integers),
      "x");
  EXPECT_EQ(file.at("i").i32, std::vector<int32_t>{-2});
  EXPECT_EQ(file.at("u").i32, (std::vector<int32_t>{9, 200}));
}

TEST(Safetensors, RefusesOtherTypes) {
  expect_error(ErrorCode::Unsupported, "'F8_E4M3'", [] {
    parse_safetensors(file_of(R"({"t":)" + entry("F8_E4M3", "[1]", 0, 1) + "}", {0}), "x");
  });
  const Bytes wide{0, 0, 0, 0x80, 0, 0, 0, 0};
  expect_error(ErrorCode::Unsupported, "does not fit 32 bits",
               [&] { parse_safetensors(file_of(R"({"t":)" + entry("I64", "[1]", 0, 8) + "}", wide), "x"); });
}

TEST(Safetensors, BadHeaders) {
  expect_corrupt("too short", {});
  expect_corrupt("too short", {1, 2, 3});
  expect_corrupt("header length", Bytes(8, 0xFF));
  expect_corrupt("header length", {3, 0, 0, 0, 0, 0, 0, 0, '{', '}'});
  expect_corrupt("not a JSON object", file_of(""));
  expect_corrupt("not a JSON object", file_of("{"));
  expect_corrupt("not a JSON object", file_of("[1]"));
  expect_corrupt("not a JSON object", file_of(std::string(100000, '[')));
  expect_corrupt("not an object", file_of(R"({"t":3})"));
  expect_corrupt("no text 'dtype'", file_of(R"({"t":{}})"));
  expect_corrupt("no array 'shape'", file_of(R"({"t":{"dtype":"F32"}})"));
  expect_corrupt("metadata 'k' is not text", file_of(R"({"__metadata__":{"k":1}})"));
  EXPECT_TRUE(parse_safetensors(file_of("{}  "), "x").tensors.empty());
}

TEST(Safetensors, BadShapesAndOffsets) {
  const auto one = [](const std::string& shape, int64_t begin, int64_t end, size_t n_data) {
    return file_of(R"({"t":)" + entry("F32", shape, begin, end) + "}", Bytes(n_data));
  };
  EXPECT_NO_THROW(parse_safetensors(one("[2]", 0, 8, 8), "x"));
  expect_corrupt("bad number in 'shape'", one("[-1]", 0, 4, 4));
  expect_corrupt("bad number in 'shape'", one("[1.5]", 0, 4, 4));
  expect_corrupt("bad number in 'shape'", one("[18446744073709551615]", 0, 4, 4));
  expect_corrupt("shape is too large", one("[4611686018427387904,4]", 0, 0, 0));
  expect_corrupt("shape is too large", one("[3037000500,3037000500]", 0, 4, 4));
  expect_corrupt("outside the file", one("[2]", 0, 8, 4));
  expect_corrupt("outside the file", one("[2]", 8, 0, 8));
  expect_corrupt("data size does not match", one("[2]", 0, 4, 4));
  expect_corrupt("belongs to no tensor", one("[1]", 0, 4, 8));
  expect_corrupt("overlap or leave a hole", one("[1]", 4, 8, 8));
  expect_corrupt("overlap or leave a hole", file_of(R"({"a":)" + entry("F32", "[2]", 0, 8) + R"(,"b":)" +
                                                        entry("F32", "[1]", 4, 8) + "}",
                                                    Bytes(8)));
}

TEST(Safetensors, EveryCutIsAnError) {
  TensorFile file;
  file.add_f32("a", {2, 2}, {1, 2, 3, 4});
  const std::string path = testing::TempDir() + "winnow_cut.safetensors";
  write_safetensors(file, path);
  std::ifstream stream(path, std::ios::binary);
  const Bytes bytes{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  for (size_t n = 0; n < bytes.size(); ++n) {
    EXPECT_THROW(parse_safetensors(std::span(bytes).first(n), "x"), Error) << n;
  }
  std::filesystem::remove(path);
}

TEST(Safetensors, PathErrors) {
  const std::string missing = "/nonexistent/x.safetensors";
  expect_error(ErrorCode::NotFound, missing, [&] { read_safetensors(missing); });
  expect_error(ErrorCode::Io, "/tmp", [] { read_safetensors("/tmp"); });
  expect_error(ErrorCode::Io, missing, [&] { write_safetensors({}, missing); });

  const std::string folder = testing::TempDir() + "winnow_is_a_folder";
  std::filesystem::create_directories(folder);
  expect_error(ErrorCode::Io, folder, [&] { write_safetensors({}, folder); });
  for (const auto& left : std::filesystem::directory_iterator(testing::TempDir())) {
    EXPECT_FALSE(left.path().string().starts_with(folder + ".")) << left.path() << " was left behind";
  }
  std::filesystem::remove(folder);
}

TEST(Safetensors, APipeIsWrittenAndStaysAPipe) {
  const std::string path = ::testing::TempDir() + "winnow_pipe";
  ::unlink(path.c_str());
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  const int fd = ::open(path.c_str(), O_RDWR);
  ASSERT_GE(fd, 0);
  TensorFile file;
  file.add_f32("a", {2}, {1, 2});
  write_safetensors(file, path);
  Bytes bytes(4096);
  const auto n = ::read(fd, bytes.data(), bytes.size());
  ASSERT_GT(n, 0);
  bytes.resize(static_cast<size_t>(n));
  EXPECT_EQ(parse_safetensors(bytes, path).at("a").f32, file.at("a").f32);
  EXPECT_TRUE(std::filesystem::is_fifo(path));
  ::close(fd);
  ::unlink(path.c_str());
}

TEST(TensorFile, ChecksWhatIsAdded) {
  TensorFile file;
  file.add_f32("a", {2}, {1, 2});
  expect_error(ErrorCode::InvalidArgument, "'a' is taken", [&] { file.add_i32("a", {1}, {1}); });
  expect_error(ErrorCode::InvalidArgument, "taken", [&] { file.add_i32("__metadata__", {1}, {1}); });
  expect_error(ErrorCode::InvalidArgument, "got 1 elements, expected 2",
               [&] { file.add_i32("b", {2}, {1}); });
  expect_error(ErrorCode::InvalidArgument, "does not fill", [&] { file.add_i32("b", {-1}, {1}); });
  expect_error(ErrorCode::NotFound, "no tensor 'c'", [&] { static_cast<void>(file.at("c")); });
  file.add_f32("bad \xFF", {1}, {1});
  expect_error(ErrorCode::InvalidArgument, "UTF-8",
               [&] { write_safetensors(file, testing::TempDir() + "unused"); });
}

}  // namespace
}  // namespace winnow::record
