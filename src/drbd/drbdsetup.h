// DRBD through its own tool drbdsetup and /proc/drbd. drbdadm is too slow and too fragile for the
// way to success: it parses every configuration file on each call and fails on any broken one.
#pragma once

#include <memory>
#include <string>

#include "drbd/drbd.h"
#include "process/processes.h"

namespace block_drbd::drbd {

/// `proc_drbd` is /proc/drbd, elsewhere in tests. `processes` must outlive the result.
std::unique_ptr<Drbd> drbdsetup(process::Processes& processes, std::string proc_drbd);

}  // namespace block_drbd::drbd
