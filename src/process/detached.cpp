#include "process/detached.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>

#include "process/pointers.h"
#include "process/tool_environment.h"

namespace block_drbd::process {

namespace {

// From here on nothing but what may be called between fork and exec.

/// As a process has it that nobody prepared.
void reset_signals() {
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal)
    ::sigaction(signal, &action, nullptr);  // fails for SIGKILL, say
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

/// An inherited descriptor may be the stream of a migration: its sender would wait for us.
void drop_descriptors() {
  const int null = ::open("/dev/null", O_RDWR);
  for (int descriptor = 0; descriptor <= STDERR_FILENO; ++descriptor)
    if (null < 0)
      ::close(descriptor);
    else
      ::dup2(null, descriptor);
  ::closefrom(STDERR_FILENO + 1);
}

void execute(char* const* argv) {
  ::execve(argv[0], argv, const_cast<char* const*>(tool_environment));
}

/// Whether the tool could be run and was content.
bool succeeds(char* const* argv) {
  const pid_t tool = ::fork();
  if (tool == 0) {
    execute(argv);
    ::_exit(127);
  }
  int status = 0;
  while (tool > 0 && ::waitpid(tool, &status, 0) < 0 && errno == EINTR) {
  }
  return tool > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/// `by_systemd` may be null.
[[noreturn]] void become(char* const* program, char* const* by_systemd) {
  reset_signals();
  drop_descriptors();
  static_cast<void>(!::chdir("/"));
  ::umask(022);
  if (by_systemd != nullptr && succeeds(by_systemd))
    ::_exit(0);
  execute(program);
  ::_exit(127);
}

/// The exit code says why there is no process.
[[noreturn]] void leave_behind(char* const* program, char* const* by_systemd) {
  ::setsid();
  // A second fork: it is nobody's child, and no leader of its session, which could get a terminal.
  const pid_t process = ::fork();
  if (process == 0)
    become(program, by_systemd);
  ::_exit(process < 0 ? errno : 0);
}

}  // namespace

Result<void> start_detached(const std::vector<std::string>& argv, const std::string& description,
                            const Systemd& systemd) {
  // --collect: a unit that failed is forgotten, too. Not --no-block: whether the program could be
  // started is worth waiting for, where nobody waits. Its output is as it is without systemd.
  std::vector<std::string> by_systemd{systemd.run,
                                      "--quiet",
                                      "--collect",
                                      "--description=" + description,
                                      "--property=Type=exec",
                                      "--property=StandardOutput=null",
                                      "--property=StandardError=null",
                                      "--"};
  by_systemd.insert(by_systemd.end(), argv.begin(), argv.end());
  const auto program = pointers_to(argv);
  const auto unit = pointers_to(by_systemd);
  struct stat status {};
  const bool has_systemd =
      ::stat(systemd.directory.c_str(), &status) == 0 && S_ISDIR(status.st_mode);

  const auto cannot = [&](int code) {
    return failure("cannot start " + description + ": " + std::strerror(code), code);
  };
  const pid_t child = ::fork();
  if (child < 0)
    return cannot(errno);
  if (child == 0)
    leave_behind(program.data(), has_systemd ? unit.data() : nullptr);
  int ended = 0;
  while (::waitpid(child, &ended, 0) < 0)
    if (errno != EINTR)
      return cannot(errno);
  if (!WIFEXITED(ended))
    return cannot(ECHILD);
  if (WEXITSTATUS(ended) != 0)
    return cannot(WEXITSTATUS(ended));
  return {};
}

Result<std::string> own_program(const std::string& link) {
  std::string path(PATH_MAX, '\0');
  const ssize_t size = ::readlink(link.c_str(), path.data(), path.size());
  if (size <= 0)
    return failure(std::string("cannot tell where this program is: ") + std::strerror(errno),
                   errno);
  path.resize(static_cast<std::size_t>(size));
  constexpr std::string_view replaced = " (deleted)";
  if (path.ends_with(replaced) && ::access(path.c_str(), F_OK) != 0)
    path.resize(path.size() - replaced.size());
  return path;
}

}  // namespace block_drbd::process
