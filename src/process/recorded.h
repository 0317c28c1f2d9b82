// What was run, for a report of a fault.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "process/processes.h"

namespace block_drbd::process {

/// One command, how long it took, and what came of it.
struct Run {
  std::vector<std::string> argv;
  Duration took{0};
  Result<Output> result;
};

/// Passes everything on to `processes`, and notes each `run` in `runs`. Both must outlive it.
std::unique_ptr<Processes> recorded(Processes& processes, std::vector<Run>& runs);

/// The runs as one would have typed them, with their times and answers.
std::string in_words(const std::vector<Run>& runs);

}  // namespace block_drbd::process
