#include "tests/convert/converting.h"

#include <filesystem>

#include "tests/support/engine_models.h"
#include "tests/support/expect_error.h"

namespace winnow::test {
namespace {

std::string out_of(const CheckpointFolder& folder) {
  return testing::scratch_folder() + "/out_" + std::filesystem::path(folder.path).filename().string();
}

}  // namespace

convert::ConvertedFiles convert_folder(const CheckpointFolder& folder, ggml_type type) {
  return convert::convert_checkpoint({folder.path, "", "", type, out_of(folder)});
}

FolderChange set_json(const char* file, const std::string& pointer, const nlohmann::json& value) {
  return [=](CheckpointFolder& folder) { folder.json[file][nlohmann::json::json_pointer(pointer)] = value; };
}

void expect_refused(CheckpointFolder folder, ErrorCode code, const char* message,
                    const FolderChange& change) {
  change(folder);
  folder.write();
  expect_error(code, message, [&] { convert_folder(folder); });
}

void expect_other_towers_refused(const CheckpointFolder& folder) {
  folder.write();
  expect_error(ErrorCode::InvalidArgument, "has no CLIP tower, got --text-tower clip", [&] {
    convert::convert_checkpoint({folder.path, "", "clip", GGML_TYPE_F32, out_of(folder)});
  });
  expect_error(ErrorCode::InvalidArgument, "leave --tower clip out", [&] {
    convert::convert_checkpoint({folder.path, "clip", "", GGML_TYPE_F32, out_of(folder)});
  });
}

}  // namespace winnow::test
