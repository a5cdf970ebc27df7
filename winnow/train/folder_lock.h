#pragma once

#include <string>

namespace winnow::train {

/// Keeps a folder to one training: held until destruction, or until the process ends in whatever way.
class FolderLock {
 public:
  /// The folder exists. Throws Io when another lock holds it or it cannot be opened. A file system without
  /// locks is none.
  explicit FolderLock(const std::string& folder);
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;
  ~FolderLock();

 private:
  int descriptor_ = -1;
};

}  // namespace winnow::train
