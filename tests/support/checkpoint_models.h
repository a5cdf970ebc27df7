#pragma once

// Models of the checkpoints in tests/data that Hugging Face transformers made (tools/make_references.py), and
// its results.

#include <ggml.h>

#include <memory>
#include <string>

#include "tests/support/engine_models.h"
#include "winnow/convert/convert.h"
#include "winnow/engine/image.h"

namespace winnow::testing {

/// tests/data/FAMILY/NAME; families: qwen2_5_vl, llava_onevision, qwen2_vl_video.
std::string checkpoint_path(const std::string& family, const std::string& name);
/// The family's checkpoint as a GGUF pair in the test's scratch folder, with the tokenizer of
/// tests/data/qwen2_vl, whose vocabulary it shares. Converted once per process for each type.
const convert::ConvertedFiles& converted_checkpoint(const std::string& family,
                                                    ggml_type type = GGML_TYPE_F32);
/// That pair in f32, loaded once per process.
std::shared_ptr<const engine::Model> checkpoint_model(const std::string& family);
/// What transformers makes of NAME: results of one picture or video.
const record::TensorFile& checkpoint_results(const std::string& family, const std::string& name);

}  // namespace winnow::testing
