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

/// A tool that runs on and says something from time to time. It ends with this object.
class Stream {
 public:
  virtual ~Stream() = default;

  /// Waits until the tool says something that no wait has returned for yet, at most `limit`, and at
  /// most until we are asked to end. What it says is thrown away. Once it has ended, this lasts
  /// until the limit.
  virtual void wait(Duration limit) = 0;
  /// Whether a wait has found the tool ended.
  virtual bool has_ended() const = 0;
};

class Processes {
 public:
  virtual ~Processes() = default;

  /// Runs the tool `argv[0]`, found in the system's directories for tools, and waits for its end,
  /// at most `limit`. What it printed beyond 8 MiB is an error: DRBD says no more of thousands of
  /// resources.
  /// A tool that does not end in time is killed; the error (code ETIMEDOUT) says whether it could
  /// be: one that sleeps uninterruptibly in the kernel cannot, and may still do its work later.
  virtual Result<Output> run(const std::vector<std::string>& argv, Duration limit) = 0;

  /// Starts the tool `argv[0]` and lets it run. What it says on stderr is lost.
  virtual Result<std::unique_ptr<Stream>> follow(const std::vector<std::string>& argv) = 0;
};

/// Through Boost.Process, with an environment of our own, every other descriptor closed, stdin
/// /dev/null, and death of the tool when we die. `directories` is where tools are looked for.
/// `interruption` is a descriptor that becomes readable when we are asked to end: a tool that is
/// waited for is killed, and a wait for what a stream says ends.
std::unique_ptr<Processes> real_processes(std::vector<std::string> directories, int interruption);

}  // namespace block_drbd::process
