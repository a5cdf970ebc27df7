#pragma once

// A Hugging Face checkpoint folder: JSON files, and tensors in mapped safetensors files, of which only the
// rows that are asked for are read.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "winnow/engine/mapped_file.h"
#include "winnow/record/safetensors.h"

namespace winnow::convert {

/// A file of the folder: the file's path, for messages too.
std::string file_in(const std::string& folder, const std::string& name);

/// One tensor; `file` lives as long as its checkpoint.
struct CheckpointTensor {
  std::string name;
  std::string path;  ///< of its file
  record::StoredTensor stored;
  std::shared_ptr<const engine::MappedFile> file;

  /// "FILE: tensor 'NAME'", for messages.
  std::string place() const;
  bool holds_floats() const;
  /// Elements [first, first + n) in row-major order as float32, of floats only. Thread-safe. Throws Corrupt
  /// for a number that is not finite.
  void read(int64_t first, int64_t n, float* out) const;
  /// Gives the pages of these elements back to the system.
  void release(int64_t first, int64_t n) const;
};

/// The tensors of model.safetensors or of all files of model.safetensors.index.json, by name.
class Checkpoint {
 public:
  /// Throws NotFound (no such folder, no safetensors, a missing file), Unsupported (other weight files),
  /// Corrupt (a damaged file, an index that contradicts its files).
  explicit Checkpoint(std::string folder);

  const std::string& folder() const { return folder_; }
  /// nullptr when there is none.
  const CheckpointTensor* find(const std::string& name) const;
  const std::map<std::string, CheckpointTensor>& tensors() const { return tensors_; }

 private:
  void add_file(const std::string& name);
  void check_index(const std::map<std::string, std::string>& file_of) const;

  std::string folder_;
  std::map<std::string, CheckpointTensor> tensors_;
};

}  // namespace winnow::convert
