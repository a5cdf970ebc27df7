#pragma once

#include <ggml.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/convert/checkpoint_folder.h"
#include "winnow/base/error.h"
#include "winnow/convert/convert.h"

namespace winnow::test {

/// A folder that holds its tower, converted to a folder of the test's scratch folder.
convert::ConvertedFiles convert_folder(const CheckpointFolder& folder, ggml_type type = GGML_TYPE_F32);

using FolderChange = std::function<void(CheckpointFolder&)>;

/// Sets the value at a JSON pointer of one of the folder's files.
FolderChange set_json(const char* file, const std::string& pointer, const nlohmann::json& value);

/// Fails the test unless the folder, changed, is refused with a message that holds `message`.
void expect_refused(CheckpointFolder folder, ErrorCode code, const char* message, const FolderChange& change);

/// Fails the test unless --tower and --text-tower are refused for the folder, whose tower is not CLIP's.
void expect_other_towers_refused(const CheckpointFolder& folder);

}  // namespace winnow::test
