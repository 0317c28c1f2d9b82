// Running a tool: argv, never a shell.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "clock.h"
#include "result.h"

namespace block_drbd::process {

/// What a tool left behind. A tool that a signal ended has 128 + the signal as its exit code.
struct Output {
  int exit_code = 0;
  std::string out;
  std::string err;
};

class Processes {
 public:
  virtual ~Processes() = default;

  /// Runs the tool `argv[0]`, found in the system's directories for tools, and waits for its end,
  /// at most `limit`. What it printed beyond one MiB is an error: no tool of DRBD says that much.
  /// A tool that does not end in time is killed; the error (code ETIMEDOUT) says whether it could
  /// be: one that sleeps uninterruptibly in the kernel cannot, and may still do its work later.
  virtual Result<Output> run(const std::vector<std::string>& argv, Duration limit) = 0;
};

/// Through Boost.Process, with an environment of our own, every other descriptor closed, stdin
/// /dev/null, and death of the tool when we die. `directories` is where tools are looked for.
/// `interruption` is a descriptor that becomes readable when we are asked to end: the tool is
/// killed.
std::unique_ptr<Processes> real_processes(std::vector<std::string> directories, int interruption);

}  // namespace block_drbd::process
