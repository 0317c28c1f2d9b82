// Who started us, and who started them.
#pragma once

#include <sys/types.h>

#include <string>

namespace block_drbd::process {

/// Whether `xl migrate-receive` is among the ancestors of `pid`. A wrapper script may stand
/// between. libxl has no other sign of an incoming migration that nobody can give by accident: the
/// name `NAME--incoming` can be given by a configuration or `xl rename`. `proc` is /proc, but in
/// tests.
bool is_below_migrate_receive(pid_t pid, const std::string& proc = "/proc");

}  // namespace block_drbd::process
