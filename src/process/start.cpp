#include "process/start.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "process/pointers.h"
#include "process/tool_environment.h"

namespace block_drbd::process {

namespace {

/// In the child, whose memory is ours: system calls and nothing else. Returns when the program
/// could not be executed, with the error of it.
int become(char* const* argv, pid_t parent, int out, int err) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent)
    ::_exit(128 + SIGKILL);  // we died before the line above
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0)
    return errno;
  const std::array<int, 3> descriptors{null, out == nowhere ? null : out,
                                       err == nowhere ? null : err};
  for (int target = 0; target <= STDERR_FILENO; ++target)
    if (::dup2(descriptors[static_cast<std::size_t>(target)], target) < 0)
      return errno;
  ::close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
  static_cast<void>(::signal(SIGPIPE, SIG_DFL));  // ours, to ignore it, would be inherited
  ::execve(argv[0], argv, const_cast<char* const*>(tool_environment));
  return errno;
}

}  // namespace

Result<pid_t> start_tool(const std::string& path, const std::vector<std::string>& argv, int out,
                         int err) {
  auto words = pointers_to(argv);
  words.front() = const_cast<char*>(path.c_str());
  const pid_t parent = ::getpid();
  // Not fork: to copy our page tables, and then what of our memory we write to, takes a seventh of
  // all that `add` takes. Not posix_spawn: its child cannot die with us. What POSIX forbids after
  // vfork, Linux allows: its child has a copy of nothing but the descriptors and the signals.
  volatile int error = 0;
  // NOLINTBEGIN(clang-analyzer-security.insecureAPI.vfork,clang-analyzer-unix.Vfork)
  const pid_t child = ::vfork();
  if (child == 0) {
    error = become(words.data(), parent, out, err);
    ::_exit(127);
  }
  // NOLINTEND(clang-analyzer-security.insecureAPI.vfork,clang-analyzer-unix.Vfork)
  if (child < 0)
    error = errno;
  else if (error != 0)
    ::waitpid(child, nullptr, 0);
  if (error != 0)
    return failure(std::strerror(error), error);
  return child;
}

}  // namespace block_drbd::process
