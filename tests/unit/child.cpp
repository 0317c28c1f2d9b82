#include "child.h"

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <climits>
#include <csignal>
#include <stdexcept>
#include <thread>
#include <vector>

namespace block_drbd::test {

namespace {

constexpr int too_long_ms = 10'000;

}  // namespace

Pipe::Pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0)
    throw std::runtime_error("no pipe to be had");
  read_end = Fd(ends[0]);
  write_end = Fd(ends[1]);
}

std::string read_all(const Fd& from, std::string_view until) {
  std::string text;
  char buffer[4096];
  for (;;) {
    pollfd descriptor{.fd = from.get(), .events = POLLIN, .revents = 0};
    if (::poll(&descriptor, 1, too_long_ms) != 1)
      return text;
    const ssize_t size = ::read(from.get(), buffer, sizeof buffer);
    if (size <= 0)
      return text;
    text.append(buffer, static_cast<std::size_t>(size));
    if (!until.empty() && text.find(until) != std::string::npos)
      return text;
  }
}

void fill(const Fd& pipe, int room) {
  // A pipe is a row of pages; one that is begun takes nothing that does not fit into it.
  const int pages = ::fcntl(pipe.get(), F_GETPIPE_SZ) / PIPE_BUF;
  const std::vector<char> page(PIPE_BUF, 'x');
  for (int each = 0; each < pages - room; ++each)
    if (::write(pipe.get(), page.data(), page.size()) != static_cast<ssize_t>(page.size()))
      throw std::runtime_error("the pipe took less than its size");
}

bool eventually(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(too_long_ms);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end)
      return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

std::optional<int> wait_for(pid_t pid) {
  const Fd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  pollfd descriptor{.fd = process.get(), .events = POLLIN, .revents = 0};
  int status = 0;
  if (!process || ::poll(&descriptor, 1, too_long_ms) != 1 || ::waitpid(pid, &status, 0) != pid)
    return std::nullopt;
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

bool all_reaped() {
  return ::waitpid(-1, nullptr, WNOHANG) == -1 && errno == ECHILD;
}

Child::Child(const std::function<int()>& body) : pid_(::fork()) {
  if (pid_ < 0)
    throw std::runtime_error("no process to be had");
  if (pid_ > 0)
    return;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  int code = 99;
  try {
    code = body();
  } catch (...) {
    // The tests' own code must not go on in here, whatever happens.
  }
  ::_exit(code);
}

Child::~Child() {
  signal(SIGKILL);
  wait();
}

void Child::signal(int number) const {
  if (pid_ > 0)
    ::kill(pid_, number);
}

std::optional<int> Child::wait() {
  if (pid_ <= 0)
    return std::nullopt;
  const auto code = wait_for(pid_);
  if (code)
    pid_ = -1;
  return code;
}

Subreaper::Subreaper() {
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
}

Subreaper::~Subreaper() {
  ::prctl(PR_SET_CHILD_SUBREAPER, 0);
}

}  // namespace block_drbd::test
