// A process that outlives us.
#pragma once

#include <string>
#include <vector>

#include "result.h"

namespace block_drbd::process {

/// Where systemd shows that it manages this system, and the tool that asks it for a unit.
struct Systemd {
  std::string directory = "/run/systemd/system";
  std::string run = "/usr/bin/systemd-run";
};

/// Starts `argv` (the program by its path) as a daemon: in a session of its own, with `/` as its
/// directory, /dev/null for stdin, stdout and stderr, no other descriptor, and an environment of
/// our own. Where systemd manages this system the process becomes a unit of its own, or it would
/// end with whatever service, or session, we are part of; where systemd does not take it, it starts
/// without. Waits for nothing but its own child, which ends at once: whether the program could be
/// started is not known.
Result<void> start_detached(const std::vector<std::string>& argv, const std::string& description,
                            const Systemd& systemd = {});

/// The path of the program that we are. A package's upgrade may have put a new one in its place.
/// `link` is /proc/self/exe, but in tests.
Result<std::string> own_program(const std::string& link = "/proc/self/exe");

}  // namespace block_drbd::process
