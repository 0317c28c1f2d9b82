#include "file.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace block_drbd {

namespace {

tl::unexpected<Error> cannot_read(const std::string& name) {
  const int code = errno;
  return failure("cannot read " + name + ": " + std::strerror(code), code);
}

}  // namespace

Result<std::string> read_all(const Fd& file, const std::string& name) {
  std::string text;
  std::array<char, 4096> buffer;
  for (;;) {
    const ssize_t size = ::read(file.get(), buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR)
      continue;
    if (size < 0)
      return cannot_read(name);
    if (size == 0)
      return text;
    text.append(buffer.data(), static_cast<std::size_t>(size));
  }
}

Result<std::string> read_file(const std::string& path) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file)
    return cannot_read(path);
  return read_all(file, path);
}

}  // namespace block_drbd
