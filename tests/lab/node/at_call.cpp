// at-call NUMBER kill|stop COMMAND... - runs a command, and kills or stops it before its so many-th
// system call; whatever it has started goes on. Ends as the command does, a killed one with 137.
//
// strace cannot: it counts the calls of each kind for itself.
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace {

constexpr int stop_at_call = SIGTRAP | 0x80;  // PTRACE_O_TRACESYSGOOD, see ptrace(2)

/// Lets it go on until it stops for the tracer; false when it has ended, as `status` tells.
bool goes_on(pid_t command, int& status, unsigned long signal) {
  return ptrace(PTRACE_SYSCALL, command, nullptr, signal) == 0 &&
         waitpid(command, &status, 0) == command && WIFSTOPPED(status);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view harm = argc > 3 ? argv[2] : "";
  if (harm != "kill" && harm != "stop") {
    std::fputs("usage: at-call NUMBER kill|stop COMMAND...\n", stderr);
    return 2;
  }
  const pid_t command = fork();
  if (command == 0) {
    ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    execv(argv[3], argv + 3);
    std::perror(argv[3]);
    _exit(127);
  }
  int status = 0;  // of its first stop, after execve(2)
  waitpid(command, &status, 0);
  ptrace(PTRACE_SETOPTIONS, command, nullptr, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
  const long number = std::atol(argv[1]);
  bool is_in_call = false;
  unsigned long signal = 0;
  for (long calls = 0; calls < number && goes_on(command, status, signal);) {
    const bool is_call = WSTOPSIG(status) == stop_at_call;
    is_in_call = is_call != is_in_call;
    calls += is_call && is_in_call ? 1 : 0;
    signal = is_call ? 0 : static_cast<unsigned long>(WSTOPSIG(status));
  }
  if (WIFSTOPPED(status)) {
    kill(command, harm == "kill" ? SIGKILL : SIGSTOP);
    ptrace(PTRACE_DETACH, command, nullptr, nullptr);
    waitpid(command, &status, 0);
  }
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
