#include "record/contents.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "file.h"

namespace block_drbd::record {

Result<std::string> contents_of(const Fd& directory, const std::string& name) {
  const Fd file(
      ::openat(directory.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat status {};
  if (!file || ::fstat(file.get(), &status) != 0) {
    const int code = errno;
    return failure(std::strerror(code), code);
  }
  if (!S_ISREG(status.st_mode))
    return failure("it is no regular file", EINVAL);
  return read_all(file, name);
}

}  // namespace block_drbd::record
