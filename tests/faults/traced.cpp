#include "traced.h"

#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <stdexcept>
#include <vector>

namespace block_drbd::faults {

namespace {

long trace(__ptrace_request request, pid_t pid, unsigned long address = 0, unsigned long data = 0) {
  return ::ptrace(request, pid, address, data);
}

int code_of(int status) {
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

bool has_ended(int status) {
  return WIFEXITED(status) || WIFSIGNALED(status);
}

class Tracer {
 public:
  Tracer(const Node& node, const Node::Start& start, const Point& point) : point_(point) {
    test::Pipe seized;
    program_ = ::fork();
    if (program_ == 0) {
      seized.write_end = Fd();
      char until_closed = 0;
      static_cast<void>(!::read(seized.read_end.get(), &until_closed, 1));
      node.become(start);
    }
    unsigned long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
    if (point.with_tools)
      options |= PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE;
    if (program_ < 0 || trace(PTRACE_SEIZE, program_, 0, options) != 0 ||
        trace(PTRACE_INTERRUPT, program_) != 0)
      throw std::runtime_error(std::string("cannot trace the program: ") + std::strerror(errno));
    note(program_);
  }

  Traced run() {
    for (;;) {
      int status = 0;
      const pid_t pid = ::waitpid(-1, &status, __WALL);
      if (pid < 0)
        throw std::runtime_error("the program got lost");
      if (has_ended(status)) {
        std::erase(traced_, pid);
        if (pid != program_)
          continue;
        result_.code = code_of(status);
        let_go();
        return result_;
      }
      note(pid);
      note_child(pid, status);
      if (is_call(pid, status) && ++result_.calls == point_.number) {
        result_.reached = true;
        end_program();
        return result_;
      }
      trace(PTRACE_SYSCALL, pid, 0, signal_of(status));
    }
  }

 private:
  /// Whether it stands before a system call that counts.
  bool is_call(pid_t pid, int status) {
    if (status >> 16 == PTRACE_EVENT_EXEC && pid == program_)
      runs_ = true;
    if (!runs_ || WSTOPSIG(status) != (SIGTRAP | 0x80))
      return false;
    __ptrace_syscall_info info{};
    trace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, reinterpret_cast<unsigned long>(&info));
    return info.op == PTRACE_SYSCALL_INFO_ENTRY;
  }

  void end_program() {
    ::kill(program_, point_.signal);
    if (point_.signal != SIGKILL) {
      let_go();
      if (!result_.code)
        result_.code = wait_as_libxl(program_);
      return;
    }
    int status = 0;
    do {  // a stop may have been on its way
      ::waitpid(program_, &status, __WALL);
    } while (!has_ended(status));
    std::erase(traced_, program_);
    result_.code = code_of(status);
    let_go();
  }

  /// The youngest first: until a child of vfork(2) has executed its tool, its parent cannot stop.
  void let_go() {
    while (!traced_.empty()) {
      const pid_t pid = traced_.back();
      traced_.pop_back();
      trace(PTRACE_INTERRUPT, pid);
      int status = 0;
      while (trace(PTRACE_DETACH, pid, 0, signal_of(status)) != 0) {
        if (::waitpid(pid, &status, __WALL) != pid || note_end(pid, status))
          break;
        note_child(pid, status);
      }
    }
    // Who was born meanwhile.
    int status = 0;
    for (pid_t pid = 0; (pid = ::waitpid(-1, &status, __WALL | WNOHANG)) > 0;)
      if (!note_end(pid, status))
        trace(PTRACE_DETACH, pid, 0, signal_of(status));
  }

  /// Whether a process has ended; nobody can wait for it again.
  bool note_end(pid_t pid, int status) {
    if (has_ended(status) && pid == program_)
      result_.code = code_of(status);
    return has_ended(status);
  }

  /// The signal that a process was stopped for, and shall have; 0: a stop of the tracer's own.
  static unsigned long signal_of(int status) {
    const int stop = WSTOPSIG(status);
    return status >> 16 == 0 && stop != (SIGTRAP | 0x80) ? static_cast<unsigned long>(stop) : 0;
  }

  void note_child(pid_t pid, int status) {
    const int event = status >> 16;
    if (event != PTRACE_EVENT_FORK && event != PTRACE_EVENT_VFORK && event != PTRACE_EVENT_CLONE)
      return;
    unsigned long child = 0;
    if (trace(PTRACE_GETEVENTMSG, pid, 0, reinterpret_cast<unsigned long>(&child)) == 0)
      note(static_cast<pid_t>(child));
  }

  void note(pid_t pid) {
    if (std::find(traced_.begin(), traced_.end(), pid) == traced_.end())
      traced_.push_back(pid);
  }

  Point point_;
  pid_t program_ = -1;
  std::vector<pid_t> traced_;  ///< in the order in which they were born
  bool runs_ = false;
  Traced result_;
};

}  // namespace

Traced run_traced(const Node& node, const Node::Start& start, const Point& point) {
  return Tracer(node, start, point).run();
}

}  // namespace block_drbd::faults
