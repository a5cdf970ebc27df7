#include "winnow/train/folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "winnow/base/error.h"

namespace winnow::train {
namespace {

constexpr const char* kWhere = "train";

}  // namespace

FolderLock::FolderLock(const std::string& folder)
    : descriptor_(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  WINNOW_CHECK(descriptor_ >= 0, Io, kWhere, "the folder {} cannot be opened: {}", folder,
               std::strerror(errno));
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return;
  ::close(descriptor_);
  fail(ErrorCode::Io, kWhere, "the folder {} is in use by another training; wait for it, or give another one",
       folder);
}

FolderLock::~FolderLock() { ::close(descriptor_); }

}  // namespace winnow::train
