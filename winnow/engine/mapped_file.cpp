#include "winnow/engine/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "winnow/base/error.h"

namespace winnow::engine {
namespace {

constexpr const char* kWhere = "engine.map_file";

}  // namespace

MappedFile::MappedFile(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  WINNOW_CHECK(fd >= 0 || errno != ENOENT, NotFound, kWhere, "{}: no such file", path);
  WINNOW_CHECK(fd >= 0, Io, kWhere, "{}: cannot open: {}", path, std::strerror(errno));
  struct stat info {};
  const bool regular = ::fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
  if (regular && info.st_size > 0) {
    size_ = static_cast<std::size_t>(info.st_size);
    void* map = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, fd, 0);
    if (map != MAP_FAILED) data_ = static_cast<const uint8_t*>(map);
  }
  const int map_errno = errno;
  ::close(fd);
  WINNOW_CHECK(regular, Io, kWhere, "{}: not a regular file", path);
  WINNOW_CHECK(size_ > 0, Corrupt, kWhere, "{}: file is empty", path);
  WINNOW_CHECK(data_ != nullptr, Io, kWhere, "{}: cannot map {} bytes: {}", path, size_,
               std::strerror(map_errno));
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<uint8_t*>(data_), size_);
}

void MappedFile::release(std::size_t offset, std::size_t size) const {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const std::size_t first = (offset + page - 1) / page * page;
  const std::size_t last = (offset + size) / page * page;
  if (first < last) ::madvise(const_cast<uint8_t*>(data_) + first, last - first, MADV_DONTNEED);
}

}  // namespace winnow::engine
