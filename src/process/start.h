// Starting a tool.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "result.h"

namespace block_drbd::process {

/// A descriptor of /dev/null instead of one of ours.
inline constexpr int nowhere = -1;

/// Runs the program at `path`, which it gets as its name, too, with the other words of `argv` and
/// an environment of our own. Its stdin is /dev/null, its stdout and stderr are `out` and `err`,
/// and it has no other descriptor. It dies with us. Until the program is executed we stand still,
/// as long as a disk that hangs. An error's code is that of fork(2) or execve(2), or of what had to
/// be done in between; then no process is left.
Result<pid_t> start_tool(const std::string& path, const std::vector<std::string>& argv, int out,
                         int err);

}  // namespace block_drbd::process
