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

/// `once`: what one reading gives.
Result<std::string> read_until_end(const Fd& file, const std::string& name, bool once) {
  std::string text;
  std::array<char, 4096> buffer;
  for (;;) {
    const ssize_t size = ::read(file.get(), buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR)
      continue;
    if (size < 0)
      return cannot_read(name);
    text.append(buffer.data(), static_cast<std::size_t>(size));
    if (size == 0 || once)
      return text;
  }
}

}  // namespace

Result<std::string> read_all(const Fd& file, const std::string& name) {
  return read_until_end(file, name, false);
}

Result<std::string> read_file(const std::string& path) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file)
    return cannot_read(path);
  return read_all(file, path);
}

Result<std::string> read_beginning(const std::string& path) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file)
    return cannot_read(path);
  return read_until_end(file, path, true);
}

}  // namespace block_drbd
