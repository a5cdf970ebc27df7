#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace winnow::engine {

/// A file mapped read-only into memory for as long as the object lives. Not copyable; safe to read from many
/// threads.
class MappedFile {
 public:
  /// Throws NotFound, Io; an empty file or a folder is an error too.
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const uint8_t> bytes() const { return {data_, size_}; }
  /// Tells the system that this part is not needed any more (it can be read again).
  void release(std::size_t offset, std::size_t size) const;

 private:
  const uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace winnow::engine
