#include "winnow/train/checkpoint.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "winnow/base/error.h"
#include "winnow/train/recipe.h"

namespace winnow::train {
namespace {

namespace fs = std::filesystem;

class CheckpointTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("winnow_checkpoint_test_" + std::to_string(::getpid()));
    fs::create_directories(folder_);
    shape_.n_vocab = 40;
    checkpoint_ = {"{\"seed\":1}",
                   2,
                   77,
                   12.5,
                   initial_parameters(shape_, 1, {}),
                   {{"output_norm.weight.first", torch::ones({64})}}};
    path_ = (folder_ / "checkpoint.pt").string();
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string failure(const std::string& path, const ModelShape& shape) const {
    try {
      check_weights(path, read_checkpoint(path), shape);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  fs::path folder_;
  std::string path_;
  ModelShape shape_ = shape_named("mini");
  Checkpoint checkpoint_;
};

TEST_F(CheckpointTest, ReadsBackWhatWasWritten) {
  write_checkpoint(path_, checkpoint_);
  const Checkpoint back = read_checkpoint(path_);
  EXPECT_EQ(back.settings, checkpoint_.settings);
  EXPECT_EQ(back.stage, 2);
  EXPECT_EQ(back.step, 77);
  EXPECT_EQ(back.seconds, 12.5);
  ASSERT_EQ(back.parameters.size(), checkpoint_.parameters.size());
  for (const auto& [name, value] : checkpoint_.parameters)
    EXPECT_TRUE(torch::equal(value, back.parameters.at(name))) << name;
  EXPECT_TRUE(torch::equal(back.moments.at("output_norm.weight.first"), torch::ones({64})));
  EXPECT_FALSE(fs::exists(path_ + ".partial"));
}

TEST_F(CheckpointTest, BrokenFilesAreNamed) {
  write_checkpoint(path_, checkpoint_);
  std::ifstream in(path_, std::ios::binary);
  const std::string whole((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, std::size_t{100}, whole.size() / 2, whole.size() - 1}) {
    std::ofstream(path_, std::ios::binary) << whole.substr(0, size);
    EXPECT_NE(failure(path_, shape_).find(path_), std::string::npos) << size << " bytes";
  }
  std::ofstream(path_, std::ios::binary) << std::string(5000, 'x');
  EXPECT_NE(failure(path_, shape_).find("no whole checkpoint"), std::string::npos);
  EXPECT_NE(failure((folder_ / "nothing.pt").string(), shape_).find("cannot be read"), std::string::npos);
  EXPECT_NE(failure(folder_.string(), shape_).find("cannot be read"), std::string::npos);
}

TEST_F(CheckpointTest, OtherShapesAndMissingWeightsAreErrors) {
  write_checkpoint(path_, checkpoint_);
  ModelShape wider = shape_;
  wider.n_ff = 256;
  EXPECT_NE(failure(path_, wider).find("blk.0.ffn_"), std::string::npos);
  checkpoint_.moments["output_norm.weight.first"] = torch::ones({4});
  write_checkpoint(path_, checkpoint_);
  EXPECT_NE(failure(path_, shape_).find("'output_norm.weight.first', got shape [4]"), std::string::npos);
  checkpoint_.moments.clear();
  checkpoint_.parameters.erase("output_norm.weight");
  write_checkpoint(path_, checkpoint_);
  EXPECT_NE(failure(path_, shape_).find("'output_norm.weight' is missing"), std::string::npos);
}

TEST_F(CheckpointTest, AFailedWriteLeavesTheOlderFile) {
  write_checkpoint(path_, checkpoint_);
  fs::create_directories(path_ + ".partial/x");  // the partial file cannot be opened
  checkpoint_.step = 78;
  EXPECT_THROW(write_checkpoint(path_, checkpoint_), Error);
  fs::remove_all(path_ + ".partial");
  EXPECT_EQ(read_checkpoint(path_).step, 77);
  EXPECT_THROW(write_checkpoint("/nonexistent/folder/checkpoint.pt", checkpoint_), Error);
}

TEST_F(CheckpointTest, AFullDiskIsAnErrorThatSaysSo) {
  if (!fs::exists("/dev/full")) GTEST_SKIP();
  fs::create_symlink("/dev/full", path_ + ".partial");
  try {
    write_checkpoint(path_, checkpoint_);
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("No space left"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace winnow::train
