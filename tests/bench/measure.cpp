#include "measure.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <set>

#include "fd.h"
#include "process/pointers.h"

extern "C" {
#include <sys/pidfd.h>  // has no extern "C" of its own in glibc 2.36
}

namespace block_drbd::bench {

namespace {

using Clock = std::chrono::steady_clock;

const char* const said = "/run/said";

using process::pointers_to;

pid_t start(const Command& command) {
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  for (const int descriptor : {STDOUT_FILENO, STDERR_FILENO})
    ::posix_spawn_file_actions_addopen(&actions, descriptor, said, O_WRONLY | O_CREAT | O_APPEND,
                                       0600);
  posix_spawnattr_t in_group_of_its_own;
  ::posix_spawnattr_init(&in_group_of_its_own);
  ::posix_spawnattr_setflags(&in_group_of_its_own, POSIX_SPAWN_SETPGROUP);
  pid_t process = -1;
  if (::posix_spawn(&process, command.argv.front().c_str(), &actions, &in_group_of_its_own,
                    pointers_to(command.argv).data(), pointers_to(command.environment).data()) != 0)
    give_up("cannot start " + command.argv.front());
  ::posix_spawnattr_destroy(&in_group_of_its_own);
  ::posix_spawn_file_actions_destroy(&actions);
  return process;
}

bool is_success(int status) {
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void demand_success(bool success, const Command& command) {
  if (success)
    return;
  std::cerr << what_was_said();
  give_up(command.argv.front() + " failed");
}

double milliseconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_usec) / 1e3;
}

/// The figure of a line in /proc/PID/status.
long status_of(pid_t process, const std::string& key) {
  std::ifstream status("/proc/self/../" + std::to_string(process) + "/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(key))
      return std::strtol(line.c_str() + key.size(), nullptr, 10);
  return 0;
}

bool is_drbd(pid_t process) {
  std::error_code ignored;
  return std::filesystem::read_symlink("/proc/self/../" + std::to_string(process) + "/exe", ignored)
      .filename()
      .string()
      .starts_with("drbd");
}

}  // namespace

std::vector<Cost> measure_together(const std::vector<Command>& commands,
                                   std::chrono::seconds most) {
  std::filesystem::remove(said);
  struct Running {
    std::size_t command;
    Clock::time_point begin;
    Fd process;  ///< readable when it has ended
  };
  std::map<pid_t, Running> running;
  for (std::size_t each = 0; each < commands.size(); ++each) {
    const auto begin = Clock::now();
    const pid_t process = start(commands[each]);
    running.emplace(process, Running{each, begin, Fd(::pidfd_open(process, 0))});
  }
  const auto end = Clock::now() + most;
  std::vector<Cost> costs(commands.size());
  while (!running.empty()) {
    std::vector<pollfd> processes;
    for (const auto& [process, its] : running)
      processes.push_back({.fd = its.process.get(), .events = POLLIN, .revents = 0});
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now()).count();
    if (left > 0 && ::poll(processes.data(), processes.size(), static_cast<int>(left)) <= 0)
      continue;
    if (left <= 0)
      for (const auto& [process, its] : running)
        ::kill(-process, SIGKILL);
    int status = 0;
    rusage usage{};
    const auto ended = running.find(::wait4(-1, &status, 0, &usage));
    if (ended == running.end())
      continue;
    const Running& its = ended->second;
    costs[its.command] = {
        .wall = std::chrono::duration<double, std::milli>(Clock::now() - its.begin).count(),
        .cpu = milliseconds(usage.ru_utime) + milliseconds(usage.ru_stime),
        .failed = !is_success(status)};
    running.erase(ended);
  }
  return costs;
}

Cost measure(const Command& command) {
  const Cost cost = measure_together({command}, std::chrono::hours(1)).front();
  demand_success(!cost.failed, command);
  return cost;
}

std::string what_was_said() {
  std::ifstream text(said);
  return {std::istreambuf_iterator<char>(text), {}};
}

Trace trace(const Command& command) {
  const auto argv = pointers_to(command.argv);
  const auto environment = pointers_to(command.environment);
  const pid_t program = ::fork();
  if (program == 0) {
    const int null = ::open("/dev/null", O_RDWR);
    for (int descriptor = 0; descriptor <= STDERR_FILENO; ++descriptor)
      ::dup2(null, descriptor);
    ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    static_cast<void>(::raise(SIGSTOP));
    ::execve(argv.front(), argv.data(), environment.data());
    ::_exit(127);
  }
  int status = 0;
  ::waitpid(program, &status, 0);
  constexpr long options = PTRACE_O_TRACEEXEC | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                           PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXIT | PTRACE_O_EXITKILL;
  ::ptrace(PTRACE_SETOPTIONS, program, nullptr, options);
  ::ptrace(PTRACE_CONT, program, nullptr, nullptr);

  Trace trace{.executions = -1};  // its own is not counted
  std::set<pid_t> alive{program};
  // A child may have ended before its parent tells of it.
  std::set<pid_t> ended_unannounced;
  while (!alive.empty()) {
    const pid_t process = ::waitpid(-1, &status, __WALL);
    if (process < 0)
      give_up("a process of " + command.argv.front() + " got lost");
    if (!WIFSTOPPED(status)) {
      if (alive.erase(process) == 0)
        ended_unannounced.insert(process);
      if (process == program)
        demand_success(is_success(status), command);
      continue;
    }
    const int event = status >> 16;
    if (event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK || event == PTRACE_EVENT_CLONE) {
      unsigned long child = 0;
      ::ptrace(PTRACE_GETEVENTMSG, process, nullptr, &child);
      if (ended_unannounced.erase(static_cast<pid_t>(child)) == 0)
        alive.insert(static_cast<pid_t>(child));
    }
    if (event == PTRACE_EVENT_EXEC) {
      ++trace.executions;
      trace.of_drbd += is_drbd(process) ? 1 : 0;
    }
    if (event == PTRACE_EVENT_EXIT && process == program)
      trace.peak_of_memory = status_of(process, "VmHWM:");
    // A signal is passed on; the stop of a process that has just come to be is none of its own.
    const int signal = WSTOPSIG(status);
    const bool own = event == 0 && signal != SIGTRAP && signal != SIGSTOP;
    ::ptrace(PTRACE_CONT, process, nullptr, static_cast<long>(own ? signal : 0));
  }
  return trace;
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

void give_up(const std::string& because) {
  std::cerr << "bench: " << because << '\n';
  std::exit(1);
}

}  // namespace block_drbd::bench
