// The real program: `winnow convert`, and what it wrote in `winnow run` and `winnow trace`.

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>

#include "tests/convert/checkpoint_folder.h"
#include "tests/support/engine_models.h"

namespace winnow::convert {
namespace {

namespace fs = std::filesystem;
using test::CheckpointFolder;
using test::llava_folder;

struct Finished {
  int status = -1;
  std::string out, err;
};

Finished winnow(const std::string& arguments) {
  const std::string out = testing::scratch_folder() + "/stdout";
  const std::string err = testing::scratch_folder() + "/stderr";
  const int status = std::system((WINNOW_BINARY " " + arguments + " >" + out + " 2>" + err).c_str());
  return {WEXITSTATUS(status), test::read_text(out), test::read_text(err)};
}

/// Converts a checkpoint whose weights are stored as `stored`; returns the pair as arguments.
std::string converted(const std::string& name, const std::string& options, const std::string& stored) {
  const CheckpointFolder folder = llava_folder(name);
  folder.write(stored, 2);
  const std::string out = testing::scratch_folder() + "/pair_" + name;
  const Finished done = winnow("convert " + folder.path + " --out " + out + " " + options);
  EXPECT_EQ(done.status, 0) << done.err;
  const std::size_t end = done.out.find('\n');
  const std::string text = done.out.substr(0, end);
  const std::string mmproj = done.out.substr(end + 1, done.out.size() - end - 2);
  EXPECT_TRUE(fs::exists(text) && fs::exists(mmproj)) << done.out;
  return "-m " + text + " --mmproj " + mmproj;
}

TEST(ConvertCommand, QuantisedPairsAnswer) {
  for (const std::string type : {"q8_0", "Q4_0"}) {
    const std::string pair = converted("command_" + type, "--type " + type, "F16");
    const Finished done = winnow("run " + pair + " -t 1 -i " + testing::oracle_path("exact.png") +
                                 " -p 'What is this?' --max-tokens 4 --prune fastervlm --keep 9");
    EXPECT_EQ(done.status, 0) << done.err;
    EXPECT_FALSE(done.out.empty());
    EXPECT_NE(done.err.find("9 of 36 visual tokens"), std::string::npos) << done.err;
  }
}

TEST(ConvertCommand, TraceGivesTheReferenceResults) {
  const std::string pair = converted("command_trace", "--type f32", "F32");
  const std::string trace = testing::scratch_folder() + "/trace.safetensors";
  std::string ids;
  for (const int32_t id : testing::oracle_results().at("input_ids").i32) {
    ids += std::to_string(id) + " ";
  }
  const std::string ids_file = testing::scratch_folder() + "/ids";
  test::write_text(ids_file, ids);
  const Finished done =
      winnow("trace " + pair + " -t 1 --f32 --image-fit crop -i " + testing::oracle_path("exact.png") +
             " --ids " + ids_file + " --image-token 500 -o " + trace);
  ASSERT_EQ(done.status, 0) << done.err;
  const record::TensorFile actual = record::read_safetensors(trace);
  for (const char* name : {"selected", "proj", "llm.norm", "logits"}) {
    EXPECT_LE(testing::worst_error(actual.at(name).f32, testing::oracle_results().at(name).f32), 2e-5)
        << name;
  }
}

/// A tower with windows: 5 x 6 visual tokens of a picture of 170 x 140 px.
TEST(ConvertCommand, Qwen25VlAnswersAndIsInspected) {
  const CheckpointFolder folder = test::qwen2_5_vl_folder("command_qwen25");
  folder.write("BF16");
  const std::string out = testing::scratch_folder() + "/pair_command_qwen25";
  ASSERT_EQ(winnow("convert " + folder.path + " --out " + out).status, 0);
  const std::string start = out + "/command_qwen25-", mmproj = start + "mmproj-f16.gguf";
  const std::string picture = testing::scratch_folder() + "/170x140.png";
  engine::save_png(testing::picture(4, 170, 140), picture);
  const std::string pair = "-m " + start + "text-f16.gguf --mmproj " + mmproj + " -t 1 -i " + picture;
  for (const std::string options : {"--prune divprune --keep 9", "--prune fastv --layer 2 --keep 9"}) {
    const Finished done = winnow(fmt::format("run {} -p 'What is this?' --max-tokens 2 {}", pair, options));
    EXPECT_EQ(done.status, 0) << done.err;
    EXPECT_NE(done.err.find("9 of 30 visual tokens"), std::string::npos) << done.err;
  }
  const Finished inspected = winnow("inspect " + mmproj);
  EXPECT_NE(
      inspected.out.find("Qwen2.5-VL tower, 4 of 4 stored blocks are run, 2 of them in windows of 8 x 8 "
                         "patches, pictures of 3136 to 50176 pixels"),
      std::string::npos)
      << inspected.out;
}

TEST(ConvertCommand, BadInputLeavesNothing) {
  CheckpointFolder folder = llava_folder("command_bad");
  folder.tensors.erase("language_model.model.norm.weight");
  folder.write();
  const std::string out = testing::scratch_folder() + "/pair_bad";
  const Finished done = winnow("convert " + folder.path + " --out " + out);
  EXPECT_EQ(done.status, 2);
  EXPECT_EQ(done.out, "");
  EXPECT_EQ(done.err, "winnow: error: [convert.tensor] " + folder.path +
                          ": tensor 'language_model.model.norm.weight' is missing, expected shape [96]\n");
  EXPECT_FALSE(fs::exists(out));
}

}  // namespace
}  // namespace winnow::convert
