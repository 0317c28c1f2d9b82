// The node's end of the command channel: agent PORT.
//
// Reads requests from a virtio-serial port and answers each with its output and exit status:
//   RUN TOKEN SECONDS BYTES\n<script for bash>      from the host
//   DONE TOKEN STATUS BYTES\n<stdout and stderr>    to the host
// A script that takes longer than SECONDS is killed with its process group (status 124), as is one
// whose asker has hung up (129). What it leaves running in a session of its own is left alone.

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <thread>

namespace {

using Clock = std::chrono::steady_clock;

constexpr int timed_out = 124;
constexpr int hung_up = 128 + SIGHUP;
constexpr std::size_t most_output = std::size_t{8} << 20;

// The driver raises SIGIO when the host connects or hangs up.
void wait_for_host(int port) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGIO);
  pollfd state{port, POLLIN, 0};
  while (poll(&state, 1, -1) >= 0 && (state.revents & POLLHUP) != 0) {
    const timespec fallback{1, 0};
    sigtimedwait(&set, nullptr, &fallback);
  }
}

// False: the host has hung up.
bool read_exactly(int port, char* buffer, std::size_t size) {
  while (size > 0) {
    const ssize_t got = read(port, buffer, size);
    if (got <= 0)
      return false;
    buffer += got;
    size -= static_cast<std::size_t>(got);
  }
  return true;
}

bool write_all(int port, std::string_view text) {
  while (!text.empty()) {
    const ssize_t put = write(port, text.data(), text.size());
    if (put <= 0)
      return false;
    text.remove_prefix(static_cast<std::size_t>(put));
  }
  return true;
}

bool read_line(int port, std::string& line) {
  line.clear();
  char c = 0;
  while (read_exactly(port, &c, 1)) {
    if (c == '\n')
      return true;
    line += c;
  }
  return false;
}

[[noreturn]] void become(const std::string& script, int output) {
  setpgid(0, 0);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
  dup2(output, STDOUT_FILENO);
  dup2(output, STDERR_FILENO);
  if (chdir("/root") == 0)
    execl("/bin/bash", "bash", "-c", script.c_str(), nullptr);
  _exit(127);
}

// The driver may hear that the asker before this one has hung up later than what this one writes:
// it hears of the new connection together with that.
bool stays_hung_up(int port) {
  std::this_thread::sleep_for(std::chrono::seconds(1));
  pollfd state{port, 0, 0};
  return poll(&state, 1, 0) > 0 && (state.revents & POLLHUP) != 0;
}

// Runs the script to its end, to the deadline, or until the host hangs up.
int run(int port, const std::string& script, std::chrono::seconds limit, int output) {
  const auto deadline = Clock::now() + limit;
  const pid_t child = fork();
  if (child < 0)
    return 126;
  if (child == 0)
    become(script, output);
  setpgid(child, child);
  const int process = static_cast<int>(syscall(SYS_pidfd_open, child, 0));
  std::array<pollfd, 2> states{{{process, POLLIN, 0}, {port, 0, 0}}};
  int killed = 0;
  for (bool ended = false; !ended && killed == 0;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
    const int ready =
        left.count() > 0 ? poll(states.data(), states.size(), static_cast<int>(left.count())) : 0;
    ended = ready > 0 && states[0].revents != 0;
    if (ready == 0)
      killed = timed_out;
    else if (ready > 0 && !ended && (states[1].revents & POLLHUP) != 0 && stays_hung_up(port))
      killed = hung_up;
  }
  if (killed != 0)
    kill(-child, SIGKILL);
  close(process);
  int status = 0;
  waitpid(child, &status, 0);
  if (killed != 0)
    return killed;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool serve_one(int port) {
  std::string header;
  if (!read_line(port, header))
    return false;
  std::array<char, 64> token{};
  long seconds = 0;
  std::size_t bytes = 0;
  if (std::sscanf(header.c_str(), "RUN %63s %ld %zu", token.data(), &seconds, &bytes) != 3) {
    return true;  // the rest of a request that was cut off
  }
  std::string script(bytes, '\0');
  if (!read_exactly(port, script.data(), script.size()))
    return false;

  const int output = memfd_create("output", MFD_CLOEXEC);
  fcntl(output, F_SETFL, O_APPEND);
  const int status = run(port, script, std::chrono::seconds(seconds), output);
  // No more memory than it takes: in the node's emulation each new page is dear.
  std::string text(std::min(static_cast<std::size_t>(lseek(output, 0, SEEK_END)), most_output),
                   '\0');
  const ssize_t size = pread(output, text.data(), text.size(), 0);
  text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  close(output);

  return write_all(port, "DONE " + std::string(token.data()) + " " + std::to_string(status) + " " +
                             std::to_string(text.size()) + "\n") &&
         write_all(port, text);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2)
    return 2;
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGIO);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_IGN);
  const int port = open(argv[1], O_RDWR | O_CLOEXEC);
  if (port < 0) {
    std::perror(argv[1]);
    return 1;
  }
  fcntl(port, F_SETOWN, getpid());
  fcntl(port, F_SETFL, O_ASYNC);
  while (true) {
    wait_for_host(port);
    while (serve_one(port))
      continue;
  }
}
