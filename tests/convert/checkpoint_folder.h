#pragma once

// Hugging Face checkpoint folders for tests, made back from GGUF fixtures: the tensors of tests/data/llava15
// under transformers' names and in its order of rows, beside the checkpoint's real JSON files and tokenizer.

#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace winnow::test {

/// How a checkpoint names its tensors.
enum class Layout {
  Old,       ///< transformers before 4.52, as most are published
  New,       ///< since then
  Original,  ///< the authors' own, its tower apart
};

struct FolderTensor {
  std::vector<int64_t> shape;
  std::vector<float> values;
  bool i64 = false;  ///< stored as whole numbers
};

struct CheckpointFolder {
  std::string path;
  std::map<std::string, FolderTensor> tensors;
  std::map<std::string, nlohmann::json> json;  ///< files by name
  std::string tokenizer_model;                 ///< empty: no such file

  /// Writes everything anew; the tensors in `type` (F32, F16, BF16, F64) to n_files files.
  void write(const std::string& type = "F32", int n_files = 1) const;
};

/// The model of tests/data/llava15 in a folder of the test's scratch folder. Nothing is written yet.
CheckpointFolder llava_folder(const std::string& name, Layout layout = Layout::Old);
/// The model of tests/data/llava_next, with the tokenizer of the other.
CheckpointFolder llava_next_folder(const std::string& name, Layout layout = Layout::Old);
/// The model of tests/data/qwen2_vl. Old: as published, with the text model's keys at the top of config.json;
/// New: transformers 5.
CheckpointFolder qwen2_vl_folder(const std::string& name, Layout layout = Layout::Old);
/// A LLaVA-OneVision of synth's "tiny-onevision" pair, with the tokenizer of tests/data/qwen2_vl and JSON
/// files as the published ones have them. Old: as published, New: transformers 5.
CheckpointFolder onevision_folder(const std::string& name, const std::string& text, const std::string& mmproj,
                                  Layout layout = Layout::Old);

/// The same text model with the tower of testing::windowed_model(), Qwen2.5-VL's kind.
CheckpointFolder qwen2_5_vl_folder(const std::string& name, Layout layout = Layout::Old);
/// A whole CLIP checkpoint: the tower of tests/data/llava15, and the text tower of synth's "tiny" in `mmproj`
/// (if not empty).
CheckpointFolder clip_folder(const std::string& name, const std::string& mmproj = "");

/// Fails the test unless two GGUF files have the same tensors: names, shapes, types and bytes.
void expect_same_tensors(const std::string& actual_path, const std::string& expected_path);

void write_text(const std::string& path, const std::string& text);
std::string read_text(const std::string& path);

}  // namespace winnow::test
