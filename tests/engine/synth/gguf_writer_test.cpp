#include "winnow/engine/gguf_writer.h"

#include <gguf.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <numeric>

#include "winnow/base/error.h"

namespace winnow::engine {
namespace {

namespace fs = std::filesystem;

class GgufWriterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(::testing::TempDir()) /
              (std::string("gguf_writer_") + ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  fs::path folder_;
};

void add(GgufWriter& writer, const std::string& name, ggml_type type, std::vector<int64_t> ne) {
  writer.add_tensor(name, type, ne);
}

ErrorCode code_of(const std::function<void()>& action, std::string* message = nullptr) {
  try {
    action();
  } catch (const Error& error) {
    if (message != nullptr) *message = error.what();
    return error.code();
  }
  ADD_FAILURE() << "expected an error";
  return ErrorCode::Internal;
}

TEST_F(GgufWriterTest, GgmlReadsBackWhatWasWritten) {
  const std::string file = path("a.gguf");
  GgufWriter writer(file);
  writer.set_str("general.architecture", "replaced later");
  writer.set_str("general.architecture", "llama");
  writer.set_u32("a.u32", 4'000'000'000U);
  writer.set_f32("a.f32", 0.1F);
  writer.set_bool("a.bool", true);
  writer.set_f32_array("a.f32s", std::vector<float>{1.0F, 2.5F});
  writer.set_i32_array("a.i32s", std::vector<int32_t>{-1, 7, 9});
  writer.set_str_array("a.strs", {"", "\xe2\x96\x81", "x"});
  add(writer, "odd", GGML_TYPE_F32, {3});  // 12 bytes, so padding follows
  add(writer, "matrix", GGML_TYPE_Q8_0, {64, 2});
  add(writer, "cube", GGML_TYPE_F16, {2, 3, 4});
  const int64_t expected_bytes = writer.file_bytes();
  writer.begin();
  EXPECT_FALSE(fs::exists(file)) << "the name appears when the file is complete";
  std::vector<uint8_t> bytes(12 + 2 * 68 + 48);
  std::iota(bytes.begin(), bytes.end(), uint8_t{1});
  const std::span<const uint8_t> all(bytes);
  writer.write("odd", all.first(12));
  writer.write("matrix", all.subspan(12, 68));
  writer.write("matrix", all.subspan(80, 68));
  writer.write("cube", all.subspan(148));
  writer.finish();

  EXPECT_EQ(static_cast<int64_t>(fs::file_size(file)), expected_bytes);
  EXPECT_FALSE(fs::exists(file + ".partial"));
  ggml_context* data = nullptr;
  const std::unique_ptr<gguf_context, void (*)(gguf_context*)> gguf(
      gguf_init_from_file(file.c_str(), {.no_alloc = false, .ctx = &data}), gguf_free);
  ASSERT_NE(gguf, nullptr);
  const std::unique_ptr<ggml_context, void (*)(ggml_context*)> owner(data, ggml_free);
  const auto key = [&](const char* name) { return gguf_find_key(gguf.get(), name); };
  EXPECT_EQ(gguf_get_version(gguf.get()), 3U);
  EXPECT_EQ(gguf_get_n_kv(gguf.get()), 7);
  EXPECT_STREQ(gguf_get_val_str(gguf.get(), key("general.architecture")), "llama");
  EXPECT_EQ(gguf_get_val_u32(gguf.get(), key("a.u32")), 4'000'000'000U);
  EXPECT_EQ(gguf_get_val_f32(gguf.get(), key("a.f32")), 0.1F);
  EXPECT_TRUE(gguf_get_val_bool(gguf.get(), key("a.bool")));
  EXPECT_EQ(static_cast<const float*>(gguf_get_arr_data(gguf.get(), key("a.f32s")))[1], 2.5F);
  EXPECT_EQ(static_cast<const int32_t*>(gguf_get_arr_data(gguf.get(), key("a.i32s")))[0], -1);
  EXPECT_STREQ(gguf_get_arr_str(gguf.get(), key("a.strs"), 1), "\xe2\x96\x81");
  const ggml_tensor* matrix = ggml_get_tensor(data, "matrix");
  ASSERT_NE(matrix, nullptr);
  EXPECT_EQ(matrix->type, GGML_TYPE_Q8_0);
  EXPECT_EQ(matrix->ne[0], 64);
  EXPECT_EQ(std::memcmp(matrix->data, bytes.data() + 12, 136), 0);
  const ggml_tensor* cube = ggml_get_tensor(data, "cube");
  ASSERT_NE(cube, nullptr);
  EXPECT_EQ(cube->ne[2], 4);
  EXPECT_EQ(std::memcmp(cube->data, bytes.data() + 148, 48), 0);
}

TEST_F(GgufWriterTest, RefusesTensorsThatGgmlWouldAbortOn) {
  GgufWriter writer(path("a.gguf"));
  add(writer, "a", GGML_TYPE_F32, {4});
  const auto code = [&](const std::string& name, ggml_type type, const std::vector<int64_t>& ne) {
    return code_of([&] { add(writer, name, type, ne); });
  };
  const auto bad = ErrorCode::InvalidArgument;
  EXPECT_EQ(code("", GGML_TYPE_F32, {4}), bad);
  EXPECT_EQ(code(std::string(GGML_MAX_NAME, 'x'), GGML_TYPE_F32, {4}), bad);
  EXPECT_EQ(code("a", GGML_TYPE_F32, {4}), bad) << "a name twice";
  EXPECT_EQ(code("b", GGML_TYPE_F32, {}), bad);
  EXPECT_EQ(code("b", GGML_TYPE_F32, {1, 1, 1, 1, 1}), bad);
  EXPECT_EQ(code("b", GGML_TYPE_F32, {0}), bad);
  EXPECT_EQ(code("b", GGML_TYPE_F32, {int64_t{1} << 40, int64_t{1} << 40}), bad);
  EXPECT_EQ(code("b", GGML_TYPE_Q4_K, {128, 2}), bad) << "blocks of 256";
  EXPECT_EQ(code("b", GGML_TYPE_COUNT, {256}), bad);
  EXPECT_EQ(code_of([&] { writer.set_u32("", 1); }), bad);
}

TEST_F(GgufWriterTest, UnfinishedFileLeavesNothing) {
  {
    GgufWriter writer(path("a.gguf"));
    add(writer, "a", GGML_TYPE_F32, {4});
    writer.begin();
    EXPECT_TRUE(fs::exists(path("a.gguf.partial")));
  }
  EXPECT_TRUE(fs::is_empty(folder_));
}

TEST_F(GgufWriterTest, WrongOrderOrSizeIsInternal) {
  GgufWriter writer(path("a.gguf"));
  add(writer, "a", GGML_TYPE_F32, {2});
  add(writer, "b", GGML_TYPE_F32, {2});
  const std::vector<uint8_t> nine(9);
  EXPECT_EQ(code_of([&] { writer.write("a", nine); }), ErrorCode::Internal);
  writer.begin();
  EXPECT_EQ(code_of([&] { writer.write("b", std::span(nine).first(8)); }), ErrorCode::Internal);
  EXPECT_EQ(code_of([&] { writer.write("a", nine); }), ErrorCode::Internal);
  writer.write("a", std::span(nine).first(7));
  EXPECT_EQ(code_of([&] { writer.finish(); }), ErrorCode::Internal);
}

TEST_F(GgufWriterTest, UnwritablePathsNameThePath) {
  std::ofstream(path("file")) << "x";
  fs::create_directory(path("folder"));
  for (const std::string& bad : {path("file") + "/a.gguf", path("absent") + "/a.gguf", path("folder")}) {
    GgufWriter writer(bad);
    std::string message;
    EXPECT_EQ(code_of([&] { writer.begin(); }, &message), ErrorCode::Io);
    EXPECT_NE(message.find(bad), std::string::npos) << message;
  }
  EXPECT_EQ(code_of([] { GgufWriter(""); }), ErrorCode::InvalidArgument);
}

TEST_F(GgufWriterTest, TooLittleSpaceIsFoundBeforeTheStart) {
  GgufWriter writer(path("a.gguf"));
  add(writer, "a", GGML_TYPE_F32, {int64_t{1} << 50});
  std::string message;
  EXPECT_EQ(code_of([&] { writer.begin(); }, &message), ErrorCode::Io);
  EXPECT_NE(message.find("a.gguf"), std::string::npos) << message;
  EXPECT_TRUE(fs::is_empty(folder_));
}

TEST_F(GgufWriterTest, WriteThatFailsNamesThePathAndLeavesNothing) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  std::string message;
  {
    GgufWriter writer(path("a.gguf"));
    add(writer, "a", GGML_TYPE_F32, {1 << 20});
    const rlimit small{.rlim_cur = 1 << 20, .rlim_max = before.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
    const std::vector<uint8_t> data(std::size_t{4} << 20);
    EXPECT_EQ(code_of(
                  [&] {
                    writer.begin();
                    writer.write("a", data);
                    writer.finish();
                  },
                  &message),
              ErrorCode::Io);
  }
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_NE(message.find("a.gguf"), std::string::npos) << message;
  EXPECT_TRUE(fs::is_empty(folder_));
}

}  // namespace
}  // namespace winnow::engine
