// The wish of others that we end: SIGTERM, SIGINT, SIGHUP. And the end that we set ourselves.
#pragma once

#include <memory>
#include <string>

#include "clock.h"

namespace block_drbd::process {

/// Takes the three signals for itself, and ignores SIGPIPE. Returns a descriptor that becomes
/// readable with the first of them and stays so; -1 when there is none to be had. Call it once.
int catch_signals();

/// All signals as a process finds them that nobody has set anything for: the first one ends it.
void restore_signals();

/// A clock whose waits end when `interruption` becomes readable.
std::unique_ptr<Clock> steady_clock(int interruption);

/// The last resort: after `limit` the process says `message` on stderr and exits with 1, whatever
/// it is doing then (a xenstored that does not answer, a log that blocks). Its tools die with it.
/// Only while a tool is being started (process/start.h) it is held off, until that is done.
void end_after(Duration limit, const std::string& message);

}  // namespace block_drbd::process
