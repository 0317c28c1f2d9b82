// What a program costs.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace block_drbd::bench {

struct Command {
  std::vector<std::string> argv;
  std::vector<std::string> environment;
};

struct Cost {
  double wall = 0;  ///< milliseconds, from before its start to its end
  double cpu = 0;   ///< milliseconds, with all that it waited for
  bool failed = false;
};

/// What cannot be seen without slowing it down.
struct Trace {
  int executions = 0;       ///< of other programs
  int of_drbd = 0;          ///< of drbdsetup or drbdadm among them
  long peak_of_memory = 0;  ///< KiB, of its own process
};

/// Ends this program when the command fails, and shows what it said.
Cost measure(const Command& command);
/// All at once; the costs are in the order of the commands. One that fails, or that takes longer
/// than `most` and is ended, is only noted.
std::vector<Cost> measure_together(const std::vector<Command>& commands, std::chrono::seconds most);
Trace trace(const Command& command);
/// On stdout and stderr, by what was measured last.
std::string what_was_said();

double median(std::vector<double> values);

[[noreturn]] void give_up(const std::string& because);

}  // namespace block_drbd::bench
