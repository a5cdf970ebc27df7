#pragma once

// The signals of one image, or of one tile of it, on disk, as docs/signals.md describes them, and the plan
// that came of them.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "winnow/prune/method.h"
#include "winnow/record/safetensors.h"

namespace winnow::cli {

/// A file that was read and checked; views of its signals live as long as it does.
class SignalFile {
 public:
  /// Throws NotFound, Io, Corrupt and Unsupported as read_safetensors, Unsupported for another version, and
  /// InvalidArgument for a missing grid or a tensor of the wrong type or rank.
  static SignalFile read(const std::string& path);
  /// The same from tensors; `name` is for messages.
  SignalFile(record::TensorFile file, std::string name);

  /// What a method reads, and grid, tokens, ids and rope. Throws NotFound for a signal that the file lacks,
  /// and says what it holds.
  prune::Signals for_method(const prune::MethodUse& use) const;
  /// A signal of the file outside the tower's blocks; absent if it is not there.
  MatrixView view(prune::Signal signal) const;
  /// Which image of its prompt it is (metadata "image"), 0 when nothing says.
  int32_t image() const { return image_; }
  /// Which tile of the image (metadata "tile"), -1 when nothing says: all of it.
  int32_t tile() const { return tile_; }
  int32_t n() const { return layout_.n(); }
  /// Grid, tokens, ids and rope, without signals.
  const prune::Signals& layout() const { return layout_; }
  const std::string& name() const { return name_; }
  /// Names of the signals in the file, "cls_attention, hidden".
  std::string names() const;

 private:
  struct Key {
    prune::Signal signal;
    int32_t block;
    auto operator<=>(const Key&) const = default;
  };
  Key key_of(const prune::Need& need) const;
  MatrixView matrix(const Key& key) const;
  void read_layout();
  void read_signal(const std::string& tensor);
  void check(bool good, const std::string& tensor, const char* expected) const;
  /// [n] I32, empty when it is not there.
  std::vector<int32_t> ints(const std::string& tensor) const;

  record::TensorFile file_;
  std::string name_;
  prune::Signals layout_;              ///< grid, token_of, ids, text_ids, rope
  std::map<Key, std::string> places_;  ///< name of each signal's tensor
  int32_t n_block_ = 0;                ///< blocks of the tower up to the features; 0: the file does not say
  int32_t image_ = 0;
  int32_t tile_ = -1;

  int32_t metadata_number(const std::string& key, int32_t fallback) const;
};

/// Every signal that is there, named for a tower whose projector reads the output of block n_block - 1.
record::TensorFile signal_tensors(const prune::Signals& signals, int32_t n_block);

/// The plan of one image: kept, position_of, offsets, index, weight, scores, and merged when there are
/// `features` [n, width] for it to act on (cls_token [1, width] or absent: input n).
record::TensorFile plan_tensors(const prune::Plan& plan, const prune::Signals& signals,
                                const MatrixView& features, const MatrixView& cls_token);

/// Grid index of the token whose position each output takes. Returns [n_out].
std::vector<int32_t> kept_cells(const prune::Plan& plan, const prune::Signals& signals);

}  // namespace winnow::cli
